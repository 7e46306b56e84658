"""One of two places of a model is slow for a while: who chooses by latency leaves it, and comes back.

The gateway's own path with simulated models, on a loop that skips waiting.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from msgspec.structs import replace

from polyroute.cli.drill.clock import RehearsalLoop
from polyroute.config.load import reads
from polyroute.journey import Entry, Parts
from polyroute.providers.simulated import Simulated, SimulatedModel
from polyroute.state.health.health import Health
from polyroute.stores.memory import MemoryLedger
from polyroute.types.access import Caller
from polyroute.types.cards import Deadlines, Deployment
from polyroute.types.request import Request, ask
from polyroute.types.response import Chunk, Reply
from polyroute.wiring.build import open_gateway

PER_S, SLOW_S, WELL_S, ENDS_S = 10, 30.0, 150.0, 400.0
DOCUMENT = """
providers: {one: {dialect: simulated}, two: {dialect: simulated}}
models: {m: {deployments: [{provider: one}, {provider: two}], choose: CHOOSE, price: free}}
"""


class Moody:
    """A provider whose answers take 50 ms, and two seconds for a while."""

    def __init__(self, began_s: float, *, slows: bool) -> None:
        self._began_s, self._slows = began_s, slows

    def obstacles(self, request: Request, target: Deployment) -> tuple[str, ...]:
        return ()

    def _now(self, target: Deployment) -> Simulated:
        at_s = asyncio.get_running_loop().time() - self._began_s
        latency_ms = 2000.0 if self._slows and SLOW_S <= at_s < WELL_S else 50.0
        return Simulated(models={target.id: SimulatedModel(latency_ms=latency_ms)})

    async def complete(
        self, request: Request, target: Deployment, deadlines: Deadlines, max_output_tokens: int | None
    ) -> Reply:
        return await self._now(target).complete(request, target, deadlines, max_output_tokens)

    def stream(
        self, request: Request, target: Deployment, deadlines: Deadlines, max_output_tokens: int | None
    ) -> AsyncGenerator[Chunk, None]:
        return self._now(target).stream(request, target, deadlines, max_output_tokens)

    async def aclose(self) -> None:
        """Nothing is held."""


async def live(choose: str, folder: Path) -> list[tuple[float, str]]:
    """When each request came, and who answered it."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, RehearsalLoop)
    async with open_gateway(reads(DOCUMENT.replace("CHOOSE", choose), {}, folder=folder), {}) as built:
        loop.skip()
        began_s, draws = loop.time(), random.Random(11)

        def moodily(parts: Parts) -> Parts:
            around = replace(
                parts.around,
                providers={"one": Moody(began_s, slows=True), "two": Moody(began_s, slows=False)},
                monotonic=loop.time,
                health=Health(began_s),
            )
            return replace(parts, around=around, ledger=MemoryLedger(), draw=draws.random, observe=lambda receipt: None)

        path = built.path.over(moodily)

        async def one(number: int) -> tuple[float, str]:
            at_s = number / PER_S
            await asyncio.sleep(began_s + at_s - loop.time())
            entry = Entry(request_id=f"r{number}", arrived_s=loop.time(), door="python")
            return at_s, (await path.answer(ask("m", "hello"), Caller(), entry)).receipt.provider or ""

        return await asyncio.gather(*map(one, range(int(ENDS_S * PER_S))))


@pytest.mark.parametrize(("choose", "at_most"), [("weighted", 0.6), ("least_busy", 0.2), ("latency", 0.02)])
def test_how_often_a_slow_place_is_asked(choose: str, at_most: float, tmp_path: Path) -> None:
    with asyncio.Runner(loop_factory=RehearsalLoop) as runner:
        told = runner.run(live(choose, tmp_path))
    before = Counter(who for at_s, who in told if at_s < SLOW_S)
    during = Counter(who for at_s, who in told if SLOW_S + 5 <= at_s < WELL_S)
    after = Counter(who for at_s, who in told if at_s >= WELL_S + 150)
    shares = [seen["one"] / seen.total() for seen in (before, during, after)]
    print(choose, [f"{share:.1%}" for share in shares])
    assert 0.25 < shares[0] < 0.75
    assert shares[1] <= at_most
    assert 0.25 < shares[2] < 0.75
