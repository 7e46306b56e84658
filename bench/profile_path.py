"""Where the gateway's time goes: `python -m bench.profile_path [--stream]` prints its dearest functions under load.

The server runs under cProfile, which sees the event loop's thread only and makes small functions look dearer than they
are: read the order, then prove a gain with `python -m bench path`. `--out FILE` keeps the profile for other viewers.
"""

from __future__ import annotations

import argparse
import pstats
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from bench.passes import Mode, press
from bench.processes import BenchError
from bench.variants import gateway_doors, require, start_gateway, start_upstream


def main() -> int:
    options = _options()
    mode = Mode(name="profile", connections=options.connections, shape=options.shape, stream=options.stream)
    try:
        require("gcc", "wrk")
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
            out = Path(options.out or folder / "profile").absolute()
            direct = start_upstream(stack, folder)
            profiler = (sys.executable, "-m", "cProfile", "-o", str(out))
            doors = gateway_doors(start_gateway(stack, folder, direct.child.port, prefix=profiler))
            door = next(door for door in doors if door.name == options.door)
            door.await_answer()
            load = press(door, mode, options.seconds, folder)
            door.child.end(
                signal.SIGINT
            )  # cProfile writes its file when the interpreter is interrupted, not terminated
            if not out.exists():
                raise BenchError(f"the gateway left no profile:\n{door.child.log_tail()}")
            print(
                f"{load.requests} answers, {load.errors} errors, {load.requests / load.seconds:.0f} a second profiled"
            )
            pstats.Stats(str(out)).strip_dirs().sort_stats(options.sort).print_stats(options.lines)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.profile_path", description=__doc__)
    parser.add_argument("--door", default="gateway", choices=("gateway", "messages", "translated"))
    parser.add_argument("--stream", action="store_true")
    parser.add_argument("--shape", default="", help='how the upstream behaves: "" instant, "-d60" 60 ms late, …')
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--sort", default="tottime", help="a pstats sort key: tottime, cumtime, ncalls")
    parser.add_argument("--lines", type=int, default=40)
    parser.add_argument("--out", metavar="FILE", help="keep the profile there")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
