"""`workers`: one gateway of one process, of two and of three, on the same machine and under the same load.

With one worker counters are in its memory; with more they are in a file that all share, so the CPU of a request says
what that costs. Load generator, upstream and gateway share the cores: on two of them a second worker gains little
where a first one can already take most of what the load generator leaves.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path

from bench.hops import hops_table
from bench.passes import Mode, measure
from bench.report import Section
from bench.variants import Variant, require, start_gateway, start_nginx, start_upstream

COUNTS = (1, 2, 3)
MODES = (
    Mode(name="light: 16, 60 ms upstream", connections=16, shape="-d60"),
    Mode(name="saturating: 64, instant", connections=64, shape=""),
)


def workers(*, rounds: int, seconds: int) -> Section:
    """What more processes cost and bring."""
    require("gcc", "nginx", "wrk")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        direct = start_upstream(stack, folder)
        variants = [direct, start_nginx(stack, folder, direct.child.port)]
        variants += [_gateway(stack, folder / str(count), direct.child.port, count) for count in COUNTS]
        samples = measure(MODES, variants, rounds=rounds, seconds=seconds, folder=folder)
    return Section(
        name="workers",
        title="One, two and three workers (JSON answers, a rate and a budget counted)",
        n=f"{rounds} rounds of {seconds} s each",
        text=hops_table(MODES, samples),
        figures={"samples": samples},
    )


def _gateway(stack: ExitStack, folder: Path, upstream: int, count: int) -> Variant:
    folder.mkdir()
    child = start_gateway(stack, folder, upstream, workers=count)
    variant = Variant(name=f"{count} worker{'s' if count > 1 else ''}", child=child, door="chat", model="bench")
    variant.await_answer()
    return variant
