"""Interleaved passes: every variant under every mode, round after round, in turning order.

One round goes over all variants before the next begins, so that a busy minute of a shared machine falls on all of them;
ratios and differences are taken within a round.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.books import findings
from bench.figures import cpu_spent_s, is_sound
from bench.processes import BenchError, get
from bench.traffic import PATHS, bodies, headers
from bench.variants import HERE, Variant


@dataclass(frozen=True, kw_only=True, slots=True)
class Mode:
    """One way to knock: so many connections at once, at an upstream of that shape."""

    name: str
    connections: int
    shape: str
    stream: bool = False
    cpu_goal: float | None = None  # at most so many times the nginx hop's CPU per request
    p50_goal_ms: float | None = None  # at most so much added over direct


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """One variant under one mode in one round."""

    mode: str
    variant: str
    round: int
    requests: int
    errors: int
    forwarded: int  # what the upstream saw of it
    cpu_ms: float  # per answered request, whole process tree
    per_second: float
    p50_ms: float
    p99_ms: float
    pss_mb: float
    sound: bool
    unbalanced: str | None  # what the gateway's own check of its books found after the pass


@dataclass(frozen=True, kw_only=True, slots=True)
class Load:
    """What the load generator reports."""

    requests: int
    seconds: float
    errors: int
    p50_ms: float
    p99_ms: float


def measure(
    modes: Sequence[Mode], variants: Sequence[Variant], *, rounds: int, seconds: int, folder: Path
) -> list[Sample]:
    """`variants[0]` is the upstream itself, whose counters say what was forwarded."""
    samples = []
    for number in range(rounds):
        turn = number % len(variants)
        for mode in modes:
            for variant in (*variants[turn:], *variants[:turn]):
                sample = _pass(mode, variant, variants[0].child.port, number, seconds, folder)
                samples.append(sample)
                print(
                    f"round {number + 1}/{rounds}  {mode.name:<24} {variant.name:<10} {sample.cpu_ms:8.4f} CPU ms/req"
                    f" {sample.per_second:8.0f} req/s  p50 {sample.p50_ms:8.2f} ms  errors {sample.errors}",
                    file=sys.stderr,
                    flush=True,
                )
                if sample.unbalanced:
                    print(f"the books do not balance: {sample.unbalanced}", file=sys.stderr, flush=True)
    return samples


def _pass(mode: Mode, variant: Variant, upstream: int, number: int, seconds: int, folder: Path) -> Sample:
    press(variant, mode, 1, folder)  # warm: connections, caches, and the code itself
    variant.child.is_over(within_s=0.3)  # let it see that the warm-up's callers have left
    seen, cpu = _seen(upstream), variant.child.cpu_s()
    load = press(variant, mode, seconds, folder)
    spent_s, forwarded = cpu_spent_s(cpu, variant.child.cpu_s()), _seen(upstream) - seen
    if not load.requests:
        raise BenchError(f"{variant.name} answered nothing under {mode.name}:\n{variant.child.log_tail()}")
    return Sample(
        mode=mode.name,
        variant=variant.name,
        round=number,
        requests=load.requests,
        errors=load.errors,
        forwarded=forwarded,
        cpu_ms=spent_s * 1000 / load.requests,
        per_second=load.requests / load.seconds,
        p50_ms=load.p50_ms,
        p99_ms=load.p99_ms,
        pss_mb=variant.child.memory().pss_mb,
        sound=is_sound(requests=load.requests, errors=load.errors, forwarded=forwarded, connections=mode.connections),
        unbalanced=findings(folder) if variant.keeps_books else None,
    )


def press(variant: Variant, mode: Mode, seconds: int, folder: Path) -> Load:
    """One run of wrk against one variant."""
    replay = folder / "bodies.jsonl"
    replay.write_bytes(b"\n".join(bodies(variant.door, variant.model + mode.shape, stream=mode.stream)) + b"\n")
    environment = {
        "BENCH_PATH": PATHS[variant.door],
        "BENCH_BODIES": str(replay),
        "BENCH_HEADERS": "\n".join(f"{name}: {value}" for name, value in headers(variant.door).items()),
    }
    command = ["wrk", "-t1", f"-c{mode.connections}", f"-d{seconds}s", "--timeout", "20s", "-s", str(HERE / "load.lua")]
    ran = subprocess.run(
        [*command, f"http://127.0.0.1:{variant.child.port}"],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        timeout=seconds + 60,
        check=False,
    )
    return parse_report(ran.stdout + ran.stderr)


def parse_report(text: str) -> Load:
    """Reads the line that load.lua prints; figures of a run without answers are not numbers and read as 0."""
    for line in text.splitlines():
        if line.startswith("JSON "):
            return Load(**json.loads(line[5:].replace("-nan", "0").replace("nan", "0")))
    raise BenchError(f"wrk gave no report: {text}")


def first_chunks_ms(variant: Variant, shape: str, *, count: int) -> list[float]:
    """Milliseconds from sending a request to its stream's first event, one after another on one connection."""
    body = bodies(variant.door, variant.model + shape, stream=True, count=1)[0]
    lines = [f"POST {PATHS[variant.door]} HTTP/1.1", "host: 127.0.0.1", f"content-length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers(variant.door).items()]
    message = "\r\n".join(lines).encode() + b"\r\n\r\n" + body
    times = []
    with socket.create_connection(("127.0.0.1", variant.child.port), timeout=10) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(count):
            sent_at, received, first_s = time.perf_counter(), b"", 0.0
            connection.sendall(message)
            while not received.endswith(b"\r\n0\r\n\r\n"):
                piece = connection.recv(65536)
                if not piece:
                    raise BenchError(f"{variant.name} closed a stream early: {received[:500]!r}")
                received += piece
                if not received.startswith(b"HTTP/1.1 200"):
                    raise BenchError(f"{variant.name} did not stream: {received[:500]!r}")
                if not first_s and b"data:" in received:
                    first_s = time.perf_counter() - sent_at
            times.append(first_s * 1000)
    return times


def _seen(upstream: int) -> int:
    counts = json.loads(get(upstream, "/stats").body)
    return int(counts["chat"] + counts["stream"] + counts["messages"])
