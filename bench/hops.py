"""`path` and `stream`: the gateway between direct and an nginx hop, in one interleaved run."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from bench.figures import Spread, percentile, spread, verdict
from bench.passes import Mode, Sample, first_chunks_ms, measure
from bench.report import Section, table
from bench.variants import (
    Variant,
    gateway_doors,
    refuse_an_open_door,
    require,
    start_gateway,
    start_nginx,
    start_upstream,
)

PATH_MODES = (
    Mode(name="light: 16, 60 ms upstream", connections=16, shape="-d60", cpu_goal=8.0, p50_goal_ms=2.5),
    Mode(name="saturating: 64, instant", connections=64, shape=""),
    Mode(name="alone: 1, instant", connections=1, shape="", p50_goal_ms=2.5),
)
STREAM_MODES = (
    Mode(name="light: 4", connections=4, shape="-g5", stream=True, cpu_goal=4.0),
    Mode(name="light: 16", connections=16, shape="-g5", stream=True, cpu_goal=4.0),
    Mode(name="many: 64", connections=64, shape="-g5", stream=True, cpu_goal=4.0),
)
FIRST_CHUNKS = 100

_ADDED = ("p50 added ms", "p99 added ms")
_HEAD = ("mode", "variant", "CPU ms/req", "x nginx", "req/s", *_ADDED, "PSS MB", "err", "forwarded", "verdict")


def path(*, rounds: int, seconds: int) -> Section:
    """JSON answers: what one request costs."""
    require("gcc", "nginx", "wrk")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        samples = measure(PATH_MODES, _start(stack, folder), rounds=rounds, seconds=seconds, folder=folder)
    return Section(
        name="path",
        title="One request (JSON answer of about 0.8 KB to a request of about 1 KB)",
        n=f"{rounds} rounds of {seconds} s each",
        text=hops_table(PATH_MODES, samples),
        figures={"samples": samples},
    )


def stream(*, rounds: int, seconds: int) -> Section:
    """Streamed answers: what forty chunks cost, and when the first of them comes."""
    require("gcc", "nginx", "wrk")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        variants = _start(stack, folder)
        samples = measure(STREAM_MODES, variants, rounds=rounds, seconds=seconds, folder=folder)
        first: dict[str, list[list[float]]] = {variant.name: [] for variant in variants}
        for _ in range(rounds):
            for variant in variants:
                first[variant.name].append(first_chunks_ms(variant, "-n1-g5", count=FIRST_CHUNKS))
    firsts = _first_table(first)
    return Section(
        name="stream",
        title="One stream (40 chunks 5 ms apart, then usage)",
        n=f"{rounds} rounds of {seconds} s each; first chunk: {rounds} rounds of {FIRST_CHUNKS} streams, one at a time",
        text=hops_table(STREAM_MODES, samples) + "\nTime to the first chunk over direct, one caller:\n\n" + firsts,
        figures={"samples": samples, "first_chunks_ms": first},
    )


def _start(stack: ExitStack, folder: Path) -> list[Variant]:
    direct = start_upstream(stack, folder)
    hop = start_nginx(stack, folder, direct.child.port)
    doors = gateway_doors(start_gateway(stack, folder, direct.child.port))
    for door in doors:
        print(f"{door.name}: first answer {door.await_answer():.2f} s after the start", file=sys.stderr, flush=True)
        refuse_an_open_door(door)
    return [direct, hop, *doors]


def hops_table(modes: Sequence[Mode], samples: Sequence[Sample]) -> str:
    rows = []
    for mode in modes:
        here = [sample for sample in samples if sample.mode == mode.name]
        beside = {(sample.variant, sample.round): sample for sample in here}
        for variant in dict.fromkeys(sample.variant for sample in here):
            own = [sample for sample in here if sample.variant == variant]
            rows.append(_row(mode, own, beside))
    return table(_HEAD, rows)


def _row(mode: Mode, own: Sequence[Sample], beside: Mapping[tuple[str, int], Sample]) -> tuple[str, ...]:
    """`beside` holds every variant's sample of the same mode, by round."""
    name = own[0].variant
    times_nginx = spread([sample.cpu_ms / beside["nginx", sample.round].cpu_ms for sample in own])
    p50_added = spread([sample.p50_ms - beside["direct", sample.round].p50_ms for sample in own])
    p99_added = spread([sample.p99_ms - beside["direct", sample.round].p99_ms for sample in own])
    is_yardstick = name in ("direct", "nginx")
    return (
        mode.name,
        name,
        spread([sample.cpu_ms for sample in own]).text(4),
        times_nginx.text(2),
        spread([sample.per_second for sample in own]).text(0),
        "-" if name == "direct" else p50_added.text(2),
        "-" if name == "direct" else p99_added.text(2),
        spread([sample.pss_mb for sample in own]).text(1),
        str(sum(sample.errors for sample in own)),
        f"{sum(sample.forwarded for sample in own) / sum(sample.requests for sample in own):.3f}",
        "-" if is_yardstick else _judge(mode, own, times_nginx, p50_added),
    )


def _judge(mode: Mode, own: Sequence[Sample], times_nginx: Spread, p50_added: Spread) -> str:
    if not all(sample.sound for sample in own):
        return "void: errors, or answers without an upstream call"
    if any(sample.unbalanced for sample in own):
        return "void: the books do not balance"
    found = []
    if mode.cpu_goal is not None:
        found.append(f"{mode.cpu_goal:g} x nginx: {verdict(times_nginx, mode.cpu_goal)}")
    if mode.p50_goal_ms is not None:
        found.append(f"p50 + {mode.p50_goal_ms:g} ms: {verdict(p50_added, mode.p50_goal_ms)}")
    return "; ".join(found) or "-"


def _first_table(first: dict[str, list[list[float]]]) -> str:
    rows = []
    for name in [name for name in first if name != "direct"]:
        rounds = list(zip(first[name], first["direct"], strict=True))
        added = [
            spread([percentile(times, share) - percentile(floor, share) for times, floor in rounds])
            for share in (0.5, 0.99)
        ]
        rows.append((name, *(one.text(2) for one in added)))
    return table(("variant", *_ADDED), rows)
