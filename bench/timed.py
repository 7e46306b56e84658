"""Times the request path's pieces in this process, and prints them as JSON. Run by `python -m bench pieces`.

Plain loops around `time.perf_counter`: a round is as many calls as take about 50 ms, and there are seven.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import orjson

from bench.traffic import bodies

ROUND_S = 0.05
ROUNDS = 7


@dataclass(frozen=True, kw_only=True, slots=True)
class Timed:
    name: str
    calls: int  # in all rounds
    rounds_ns: list[float]  # per call, one a round


def timed(name: str, call: Callable[[], object]) -> Timed:
    calls = 1
    while (taken_s := _loop_s(call, calls)) < ROUND_S:
        calls = max(calls * 2, int(calls * ROUND_S / max(taken_s, 1e-9)))
    rounds = [_loop_s(call, calls) * 1e9 / calls for _ in range(ROUNDS)]
    return Timed(name=name, calls=calls * ROUNDS, rounds_ns=rounds)


def _loop_s(call: Callable[[], object], calls: int) -> float:
    began_at = time.perf_counter()
    for _ in range(calls):
        call()
    return time.perf_counter() - began_at


def main() -> None:
    chat = bodies("chat", "bench", stream=False, count=1)[0]
    results = [timed("orjson.loads of a 1 KB request (a yardstick)", lambda: orjson.loads(chat))]
    print(json.dumps([asdict(one) for one in results]))


if __name__ == "__main__":
    main()
