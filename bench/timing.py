"""How long one call takes: plain loops around `time.perf_counter`, as many calls a round as take about 50 ms."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

ROUND_S = 0.05
ROUNDS = 7


@dataclass(frozen=True, kw_only=True, slots=True)
class Timed:
    name: str
    calls: int  # in all rounds
    rounds_ns: list[float]  # per call, one a round


def timed(name: str, call: Callable[[], object]) -> Timed:
    def loop_s(calls: int) -> float:
        began_at = time.perf_counter()
        for _ in range(calls):
            call()
        return time.perf_counter() - began_at

    calls = 1
    while (taken_s := loop_s(calls)) < ROUND_S:
        calls = next_size(calls, taken_s)
    return Timed(name=name, calls=calls * ROUNDS, rounds_ns=[loop_s(calls) * 1e9 / calls for _ in range(ROUNDS)])


async def timed_awaits(name: str, call: Callable[[], Awaitable[object]], *, together: int) -> Timed:
    """The same for a coroutine function, so many of them in flight at once."""

    async def one_after_another(calls: int) -> None:
        for _ in range(calls):
            await call()

    async def loop_s(calls: int) -> float:
        began_at = time.perf_counter()
        await asyncio.gather(*(one_after_another(calls) for _ in range(together)))
        return time.perf_counter() - began_at

    calls = 1
    while (taken_s := await loop_s(calls)) < ROUND_S:
        calls = next_size(calls, taken_s)
    rounds = [await loop_s(calls) * 1e9 / (calls * together) for _ in range(ROUNDS)]
    return Timed(name=name, calls=calls * together * ROUNDS, rounds_ns=rounds)


def next_size(calls: int, taken_s: float) -> int:
    """More calls, so that a round comes to last ROUND_S: as measured, and at least twice as many."""
    return max(calls * 2, int(calls * ROUND_S / max(taken_s, 1e-9)))
