"""One of two places of a model is slow by a coin: second calls keep the tail short, and stop where everything is slow.

The gateway's own path on a loop that skips waiting; 200 requests a second. 4,000 of them, 20,000 with
`POLYROUTE_BROWNOUT_REQUESTS=20000`. What the gateway's own work adds is not in these times.
"""

import asyncio
import math
import os
import random
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from polyroute.cli.drill.clock import RehearsalLoop
from polyroute.config.load import reads
from polyroute.journey import Entry, Parts
from polyroute.state.health.health import Health
from polyroute.state.hedges import Hedges
from polyroute.stores.figures import quantile
from polyroute.stores.memory import MemoryLedger
from polyroute.types.access import Caller
from polyroute.types.cards import Deadlines, Deployment
from polyroute.types.receipt import Receipt
from polyroute.types.request import Request, ask
from polyroute.types.response import ChoiceEnded, Chunk, Ended, Reply, Started, StopReason, TextDelta, Usage
from polyroute.wiring.build import open_gateway

REQUESTS = int(os.environ.get("POLYROUTE_BROWNOUT_REQUESTS", "4000"))
PER_S = 200
USUAL_S, SPREAD = 0.1, 0.3  # the median of a log-normal time to the first token, and its sigma
SLOW_S, COIN, COIN_SEED = 5.0, 0.05, 5
BEGINS_S = 5.0  # all is well until then: the bucket fills
DOCUMENT = """
providers: {one: {dialect: simulated}, two: {dialect: simulated}}
models: {m: {deployments: [{provider: one}, {provider: two}], price: free}}
routes: {steady: {primary: m%s}}
"""
Slow = Callable[[float], bool]  # by the time since the beginning


class Place:
    """A provider whose first token takes as long as usual, or five seconds."""

    def __init__(self, seed: int, began_s: float, is_slow: Slow) -> None:
        self._draws, self._began_s, self._is_slow = random.Random(seed), began_s, is_slow
        self.left = 0

    def obstacles(self, request: Request, target: Deployment) -> tuple[str, ...]:
        return ()

    async def complete(
        self, request: Request, target: Deployment, deadlines: Deadlines, max_output_tokens: int | None
    ) -> Reply:
        raise AssertionError("only streams are asked for")

    async def stream(
        self, request: Request, target: Deployment, deadlines: Deadlines, max_output_tokens: int | None
    ) -> AsyncGenerator[Chunk, None]:
        now_s = asyncio.get_running_loop().time() - self._began_s
        usual_s = USUAL_S * math.exp(self._draws.gauss(0, SPREAD))
        try:
            await asyncio.sleep(SLOW_S if self._is_slow(now_s) else usual_s)
        except asyncio.CancelledError:
            self.left += 1
            raise
        yield Started(id="s", model="m")
        yield TextDelta(text="hello")
        yield ChoiceEnded(stop=StopReason.END)
        yield Ended(usage=Usage(input_tokens=1, output_tokens=1), model="m")

    async def aclose(self) -> None:
        """Nothing is held."""


class Lived(Struct, frozen=True, kw_only=True):
    first_s: list[float]  # to the first token, by request
    extra: list[float]  # when second calls were made, in seconds since the beginning
    receipts: list[Receipt]
    left: int  # calls that were cut

    def quantile(self, share: float) -> float:
        """Of the requests since the brown-out began."""
        return quantile(sorted(self.first_s[int(BEGINS_S * PER_S) :]), share)


async def live(folder: Path, hedge: str, slow: Callable[[random.Random], tuple[Slow, Slow]]) -> Lived:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, RehearsalLoop)
    async with open_gateway(reads(DOCUMENT % hedge, {}, folder=folder), {}) as built:
        loop.skip()
        began_s, draws = loop.time(), random.Random(11)
        one, two = (Place(seed, began_s, is_slow) for seed, is_slow in enumerate(slow(random.Random(COIN_SEED))))
        receipts: list[Receipt] = []
        books = MemoryLedger()

        def placed(parts: Parts) -> Parts:
            around = replace(
                parts.around,
                providers={"one": one, "two": two},
                monotonic=loop.time,
                health=Health(began_s),
                hedges=Hedges(),
            )
            return replace(parts, around=around, ledger=books, draw=draws.random, observe=receipts.append)

        path = built.path.over(placed)

        async def ask_one(number: int) -> float:
            await asyncio.sleep(began_s + number / PER_S - loop.time())
            arrived_s = loop.time()
            entry = Entry(request_id=f"r{number}", arrived_s=arrived_s, door="python")
            answer = await path.stream(replace(ask("steady", "hello"), stream=True), Caller(), entry)
            took_s = loop.time() - arrived_s
            assert [chunk.text async for chunk in answer.chunks() if isinstance(chunk, TextDelta)] == ["hello"]
            return took_s

        first_s = await asyncio.gather(*map(ask_one, range(REQUESTS)))
    extra = [
        int(receipt.request_id[1:]) / PER_S + attempt.started_ms / 1000
        for receipt in receipts
        for attempt in receipt.attempts
        if attempt.role == "hedge"
    ]
    return Lived(first_s=first_s, extra=sorted(extra), receipts=receipts, left=one.left + two.left)


def lived(folder: Path, hedge: str, slow: Callable[[random.Random], tuple[Slow, Slow]]) -> Lived:
    with asyncio.Runner(loop_factory=RehearsalLoop) as runner:
        return runner.run(live(folder, hedge, slow))


def well(draws: random.Random) -> tuple[Slow, Slow]:
    return (lambda now_s: False), (lambda now_s: False)


def brown(draws: random.Random) -> tuple[Slow, Slow]:
    return (lambda now_s: now_s >= BEGINS_S and draws.random() < COIN), (lambda now_s: False)


def both_from(since_s: float) -> Callable[[random.Random], tuple[Slow, Slow]]:
    return lambda draws: ((lambda now_s: now_s >= since_s), (lambda now_s: now_s >= since_s))


def test_a_brown_out_is_hedged_within_three_percent_of_extra_calls(tmp_path: Path) -> None:
    healthy, alone, hedged = (lived(tmp_path, *how) for how in (("", well), ("", brown), (", hedge: {}", brown)))
    share = len(hedged.extra) / REQUESTS
    for name, one in (("healthy", healthy), ("brown-out", alone), ("hedged", hedged)):
        print(f"{name}: p50 {one.quantile(0.5):.3f} p99 {one.quantile(0.99):.3f} p99.9 {one.quantile(0.999):.3f} s")
    print(f"extra calls: {len(hedged.extra)} of {REQUESTS}, {share:.2%}")
    assert alone.quantile(0.999) >= SLOW_S
    assert hedged.quantile(0.999) <= 2 * healthy.quantile(0.99)
    assert share <= 0.03
    assert alone.extra == []
    losers = [a for receipt in hedged.receipts for a in receipt.attempts if a.status == "cancelled"]
    assert len(losers) == hedged.left == len(hedged.extra), "each loser was cut, and is on the books"
    assert all(loser.usage is not None and loser.usage.estimated for loser in losers)


def test_a_healthy_model_costs_no_more_than_the_share_either(tmp_path: Path) -> None:
    hedged = lived(tmp_path, ", hedge: {}", well)
    assert len(hedged.extra) / REQUESTS <= 0.03


def test_second_calls_stop_within_two_seconds_where_everything_is_slow(tmp_path: Path) -> None:
    hedged = lived(tmp_path, ", hedge: {}", both_from(BEGINS_S))
    after = [at_s - BEGINS_S for at_s in hedged.extra if at_s >= BEGINS_S]
    print(f"second calls since both were slow: {len(after)}, the last one after {max(after, default=0.0):.2f} s")
    assert [at_s for at_s in after if 2 <= at_s < SLOW_S] == []
