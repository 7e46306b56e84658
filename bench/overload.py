"""`overload`: more than the gateway can serve, for a while. What is still answered well, and how are others told?

Open loop: requests come at their rate whatever becomes of the earlier ones. The gateway has one core and the load the
other one, where there are two. Answered well: within twice the 99th percentile of the same requests without load.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import uvloop

from bench.figures import percentile
from bench.openloop import Outcomes, Pool
from bench.processes import CACHED_BYTECODE, Child, free_port
from bench.report import Section, table
from bench.traffic import KEY, PATHS, bodies, headers
from bench.variants import (
    DOCUMENT,
    GATEWAY,
    SECRETS,
    Variant,
    gateway_document,
    refuse_an_open_door,
    require,
    start_upstream,
)

SHAPE = "-d60"  # the provider answers after 60 ms
QUIET_KEY = "sk-bench-1111111111111111"
_FIRST, _STEP, _TRY_S = 400.0, 1.15, 3.0  # to find the peak
_UNLOADED = 40.0  # a second
_QUIET = 1.0  # requests of a small tenant, a second
_PROBES = 10.0  # of liveness
_REST_S = 1.5
_ONSET_S = 2.0
_IN_USE_S = 0.15  # of a second's connections, open beforehand


@dataclass(kw_only=True, slots=True)
class Run:
    """One rate for a while."""

    name: str
    offered: float  # a second
    seconds: float
    flood: Outcomes
    quiet: Outcomes = field(default_factory=Outcomes)
    alive: Outcomes = field(default_factory=Outcomes)
    rss_mb: float = 0.0

    def good(self, bound_s: float, since_s: float = 0.0) -> float:
        """A second."""
        return sum(taken_s <= bound_s for taken_s in self.flood.taken(200, since_s=since_s)) / (self.seconds - since_s)


def overload(*, seconds: int) -> Section:
    require("gcc")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        cores = sorted(os.sched_getaffinity(0))
        own = cores[:1] if len(cores) > 1 else cores
        os.sched_setaffinity(0, cores[1:] or cores)
        stack.callback(os.sched_setaffinity, 0, cores)
        direct = start_upstream(stack, folder)
        child = _start(stack, folder, direct.child.port, own)
        door = Variant(name="gateway", child=child, door="chat", model="bench")
        door.await_answer()
        refuse_an_open_door(door)
        unloaded, tries, runs = uvloop.run(_measure(child, seconds))
    floor_s = percentile(unloaded.flood.taken(200), 0.99)
    bound_s = 2 * floor_s
    peak = max(run.good(bound_s) for run in tries)
    rows = [_row(run, bound_s, peak) for run in runs]
    head = (
        "offered", "a second", "answered well, a second", "of the peak", "after the onset", "refused",
        "refusal ms p50 / p99", "after the onset", "answer ms p50 / p99, after the onset", "alive ms p95",
        "quiet tenant", "RSS MB", "neither", "load late ms p99",
    )  # fmt: skip
    steps = ", ".join(f"{run.offered:.0f}: {run.good(bound_s):.0f}" for run in tries)
    text = table(head, rows) + (
        f"\nWithout load the 99th percentile is {floor_s * 1000:.1f} ms: an answer within {bound_s * 1000:.1f} ms is a"
        f" good one. The onset: the first {_ONSET_S:g} s. The peak is {peak:.0f} of them a second;"
        f" on the way to it, offered and answered well: {steps}.\n"
    )
    return Section(
        name="overload",
        title="More than it can serve (open loop, one team floods, another asks once a second; a provider of 60 ms)",
        n=f"{seconds} s at each rate, {sum(run.flood.asked for run in runs)} requests",
        text=text,
        figures={"runs": [(run.name, run.good(bound_s), run.flood.counts()) for run in runs], "peak": peak},
    )


def _start(stack: ExitStack, folder: Path, upstream: int, cores: list[int]) -> Child:
    port, document = free_port(), folder / DOCUMENT
    quiet = "keys: [{name: quiet, key: {env: BENCH_QUIET_KEY}, team: quiet, user: quiet}, "
    document.write_text(gateway_document(upstream, ["", SHAPE]).replace("keys: [", quiet))
    taskset = [shutil.which("taskset") or "", "-c", ",".join(map(str, cores))] if shutil.which("taskset") else []
    command = [*taskset, str(GATEWAY), "serve", "-c", str(document), "--port", str(port)]
    environment = CACHED_BYTECODE | SECRETS | {"BENCH_QUIET_KEY": QUIET_KEY}
    return stack.enter_context(Child("gateway", command, port=port, folder=folder, environment=environment))


async def _measure(child: Child, seconds: int) -> tuple[Run, list[Run], list[Run]]:
    await _offer(child, "warm", 200.0, 2.0)
    unloaded = await _offer(child, "unloaded", _UNLOADED, 5.0)
    bound_s = 2 * percentile(unloaded.flood.taken(200), 0.99)
    tries, rate = list[Run](), _FIRST
    while not tries or tries[-1].good(bound_s) >= 0.7 * tries[-1].offered:
        tries.append(await _offer(child, "try", rate, _TRY_S))
        print(f"offered {rate:.0f}: {tries[-1].good(bound_s):.0f} well", file=sys.stderr, flush=True)
        rate *= _STEP
    peak = max(run.good(bound_s) for run in tries)
    runs = []
    for name, times in (("0.8 x", 0.8), ("1 x", 1.0), ("2 x", 2.0), ("3 x", 3.0)):
        runs.append(await _offer(child, name, peak * times, seconds))
        print(f"{name}: {runs[-1].good(bound_s):.0f} well", file=sys.stderr, flush=True)
    return unloaded, tries, runs


async def _offer(child: Child, name: str, per_second: float, seconds: float) -> Run:
    flood, quiet, alive = Pool(child.port), Pool(child.port), Pool(child.port)
    probe = b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n"
    peak_mb = 0.0

    async def weigh() -> None:
        nonlocal peak_mb
        while True:
            peak_mb = max(peak_mb, child.memory().rss_mb)
            await asyncio.sleep(0.5)

    weighing = asyncio.create_task(weigh())
    await flood.connect(int(per_second * _IN_USE_S))
    told, quietly, living = await asyncio.gather(
        flood.offer(_messages(KEY), per_second, seconds),
        quiet.offer(_messages(QUIET_KEY), _QUIET, seconds),
        alive.offer([probe], _PROBES, seconds),
    )
    weighing.cancel()
    for pool in (flood, quiet, alive):
        pool.close()
    await asyncio.sleep(_REST_S)
    return Run(name=name, offered=per_second, seconds=seconds, flood=told, quiet=quietly, alive=living, rss_mb=peak_mb)


def _messages(key: str) -> list[bytes]:
    lines = [f"POST {PATHS['chat']} HTTP/1.1", "host: 127.0.0.1"]
    lines += [f"{name}: {value}" for name, value in headers("chat", key).items()]
    return [
        "\r\n".join([*lines, f"content-length: {len(body)}", "", ""]).encode() + body
        for body in bodies("chat", "bench" + SHAPE, stream=False)
    ]


def _row(run: Run, bound_s: float, peak: float) -> tuple[str, ...]:
    counts = run.flood.counts()
    refused = run.flood.taken(429, 503)
    quiet = run.quiet.counts()
    neither = sum(count for status, count in counts.items() if status not in (200, 429, 503))
    return (
        run.name,
        f"{run.offered:.0f}",
        f"{run.good(bound_s):.0f}",
        f"{run.good(bound_s) / peak:.0%}",
        f"{run.good(bound_s, _ONSET_S) / peak:.0%}",
        f"{len(refused)} ({counts[503]} x 503)",
        _two(refused),
        _two(run.flood.taken(429, 503, since_s=_ONSET_S)),
        _two(run.flood.taken(200, since_s=_ONSET_S)),
        f"{percentile(run.alive.taken(200) or [0.0], 0.95) * 1000:.1f}",
        f"{quiet[200]} of {quiet.total()}",
        f"{run.rss_mb:.0f}",
        str(neither + run.flood.without_retry_after),
        f"{percentile(run.flood.late_s, 0.99) * 1000:.0f}",
    )


def _two(seconds: list[float]) -> str:
    return " / ".join(f"{percentile(seconds, share) * 1000:.1f}" for share in (0.5, 0.99)) if seconds else "-"
