"""`size`: what the package weighs before it does anything: import, start, idle memory, installed bytes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from bench.figures import Spread, spread, verdict
from bench.processes import CACHED_BYTECODE
from bench.report import Section, table
from bench.variants import gateway_doors, require, start_gateway, start_upstream

PACKAGE = "polyroute"
IMPORTS = 15
STARTS = 5


def size() -> Section:
    require("gcc")
    bare, full = _import_ms()
    added = spread([taken - without for taken, without in zip(full, bare, strict=True)])
    _start()  # compiles what was never compiled, as the first import above does
    starts = [_start() for _ in range(STARTS)]
    first = spread([seconds for seconds, _ in starts])
    idle = spread([megabytes for _, megabytes in starts])
    installed = _closure(PACKAGE)
    megabytes = sum(map(_megabytes, installed.values()))
    rows = [
        _goal(f"`import {PACKAGE}`, over a bare interpreter ({spread(bare).text(0)} ms)", added, "ms", 0, 150, IMPORTS),
        _goal("start to first answer", first, "s", 2, 1, STARTS),
        _goal("idle memory (PSS of the tree after one answer)", idle, "MB", 1, 80, STARTS),
        ("base install, unpacked", f"{megabytes:.1f} MB in {len(installed)} distributions", "-", "-", "1"),
    ]
    return Section(
        name="size",
        title="Size and start",
        n="as listed, each in a fresh process",
        text=table(("what", "median (min–max)", "goal", "verdict", "n"), rows),
        figures={
            "import_bare_ms": bare,
            "import_ms": full,
            "first_answer_s": [seconds for seconds, _ in starts],
            "idle_mb": [megabytes for _, megabytes in starts],
            "install_mb": {name: _megabytes(found) for name, found in installed.items()},
        },
    )


def _goal(what: str, measured: Spread, unit: str, digits: int, goal: float, n: int) -> tuple[str, ...]:
    return (what, f"{measured.text(digits)} {unit}", f"< {goal:g} {unit}", verdict(measured, goal), str(n))


def _import_ms() -> tuple[list[float], list[float]]:
    """Wall time of fresh interpreters, in turn: one that does nothing, one that imports the package."""
    bare, full = [], []
    _interpreter_ms(f"import {PACKAGE}")
    for _ in range(IMPORTS):
        bare.append(_interpreter_ms("pass"))
        full.append(_interpreter_ms(f"import {PACKAGE}"))
    return bare, full


def _interpreter_ms(code: str) -> float:
    began_at = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | CACHED_BYTECODE)
    return (time.perf_counter() - began_at) * 1000


def _start() -> tuple[float, float]:
    """Seconds to the first answer and, when things have settled, megabytes held."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        direct = start_upstream(stack, folder)
        door = gateway_doors(start_gateway(stack, folder, direct.child.port))[0]
        seconds = door.await_answer()
        door.child.is_over(within_s=1.0)
        return seconds, door.child.memory().pss_mb


def _closure(name: str) -> dict[str, Distribution]:
    """The distributions of a base install, by normalised name: what is required without an extra and stands here."""
    found: dict[str, Distribution] = {}
    waiting = [name]
    while waiting:
        wanted = _normal(waiting.pop())
        if wanted in found:
            continue
        try:
            found[wanted] = distribution(wanted)
        except PackageNotFoundError:  # a requirement of another platform or Python
            continue
        for requirement in found[wanted].requires or ():
            specifier, _, marker = requirement.partition(";")
            if "extra" not in marker:
                waiting += re.findall(r"^[\w.-]+", specifier)
    return found


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _megabytes(found: Distribution) -> float:
    files = [Path(str(found.locate_file(file))) for file in found.files or () if file.suffix != ".pyc"]
    return sum(file.stat().st_size for file in files if file.exists()) / 1e6
