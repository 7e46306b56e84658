"""`python -m bench [PART]`: measures one part (or all but the long ones) and prints Markdown; `--record` keeps it."""

from __future__ import annotations

import argparse
import dataclasses
import datetime as dt
import json
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from bench.conformance import conformance
from bench.hops import path, stream
from bench.mix import MIXES
from bench.outage import outage
from bench.overload import overload
from bench.pieces import pieces
from bench.processes import BenchError, machine
from bench.report import Circumstances, Section, put_section, render
from bench.size import size
from bench.soak import soak
from bench.stores import stores
from bench.tokens import tokens
from bench.variants import HERE
from bench.wire import wire
from bench.workers import workers

RESULTS = HERE / "RESULTS.md"
_LONG = ("outage", "overload", "soak", "workers")
_HEADING = "# Results\n\nWritten by `python -m bench --record`; README.md says how to read them.\n"


def main() -> int:
    options = _options()
    signal.signal(signal.SIGTERM, _leave)
    parts: dict[str, Callable[[], Section]] = {
        "path": lambda: path(rounds=options.rounds, seconds=options.seconds),
        "stream": lambda: stream(rounds=options.rounds, seconds=options.seconds),
        "size": size,
        "pieces": pieces,
        "stores": stores,
        "workers": lambda: workers(rounds=options.rounds, seconds=options.seconds),
        "wire": wire,
        "tokens": tokens,
        "conformance": conformance,
        "outage": outage,
        "overload": lambda: overload(seconds=options.seconds),
        "soak": lambda: soak(minutes=options.minutes, mix=options.mix),
    }
    chosen = [name for name in parts if name not in _LONG] if options.part == "all" else [options.part]
    figures: dict[str, object] = {}
    try:
        for name in chosen:
            under = circumstances()
            section = parts[name]()
            text = render(section, under)
            print(text, flush=True)
            figures[name] = {"under": dataclasses.asdict(under), "n": section.n, **section.figures}
            if options.record:
                recorded = RESULTS.read_text() if RESULTS.exists() else _HEADING
                RESULTS.write_text(put_section(recorded, section.name, text))
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    if options.json:
        Path(options.json).write_text(json.dumps(figures, indent=1, default=dataclasses.asdict))
    return 0


def circumstances() -> Circumstances:
    nginx = _output("nginx", "-v").rpartition("/")[2]
    return Circumstances(
        machine=machine(),
        software=f"Python {platform.python_version()}, nginx {nginx or 'absent'}",
        date=dt.datetime.now(dt.UTC).date().isoformat(),
        commit=_output("git", "-C", str(HERE), "describe", "--always", "--dirty") or "unknown",
        load_average=os.getloadavg()[0],
    )


def _output(*command: str) -> str:
    """What the command says, on either channel; empty where it is missing or fails."""
    try:
        ran = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return (ran.stdout + ran.stderr).strip()


def _leave(*_: object) -> None:
    """Turns SIGTERM into an exit that unwinds, so that children are ended."""
    sys.exit(143)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parts = ("all", "path", "stream", "size", "pieces", "stores", "wire", "tokens", "conformance", *_LONG)
    parser.add_argument("part", nargs="?", default="all", choices=parts)
    parser.add_argument("mix", nargs="?", default="mixed", choices=tuple(MIXES), help="what is asked (soak)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds over all variants (path, stream); default 3")
    parser.add_argument("--seconds", type=int, default=4, help="length of one pass (path, stream, overload); default 4")
    parser.add_argument("--minutes", type=float, default=2.0, help="how long the load lasts (soak); default 2")
    parser.add_argument("--record", action="store_true", help="update the sections of bench/RESULTS.md")
    parser.add_argument("--json", metavar="FILE", help="write every round's figures to FILE")
    options = parser.parse_args()
    if options.rounds < 1 or options.seconds < 1 or options.minutes < 0.2:
        parser.error("--rounds and --seconds must be at least 1, --minutes at least 0.2")
    return options


if __name__ == "__main__":
    sys.exit(main())
