"""`pieces`: the request path's pieces one by one, in a fresh process of their own (timed.py), as nanoseconds a call."""

from __future__ import annotations

import json
import subprocess
import sys

from bench.figures import spread
from bench.processes import BenchError
from bench.report import Section, table
from bench.variants import HERE


def pieces() -> Section:
    command = [sys.executable, "-m", "bench.timed"]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=HERE.parent, timeout=300, check=False)
    if ran.returncode:
        raise BenchError(f"the pieces could not be timed:\n{ran.stderr[-2000:]}")
    timed = json.loads(ran.stdout)
    rows = [
        (one["name"], spread(one["rounds_ns"]).text(0), f"{one['calls']} calls in {len(one['rounds_ns'])} rounds")
        for one in timed
    ]
    return Section(
        name="pieces",
        title="Pieces of the path, in process",
        n="as listed",
        text=table(("piece", "ns per call, median of rounds (min–max)", "n"), rows),
        figures={"pieces": timed},
    )
