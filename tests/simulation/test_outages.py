"""A provider dies, hangs, fails, refuses or resets under load, with a healthy one beside it; then it comes back.

The gateway's own path, breakers and retries; simulated models; a loop that skips waiting. 1,000 requests for each
fault, 10,000 with `POLYROUTE_OUTAGE_REQUESTS=10000`. What the gateway's own work adds is not in these times.
"""

import asyncio
import os
import random
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from polyroute.cli.drill.clock import RehearsalLoop
from polyroute.config.load import reads
from polyroute.errors import Overloaded, PolyrouteError, ProviderError, ProviderTimeout, StreamInterrupted, Unreachable
from polyroute.journey import Entry, Parts
from polyroute.providers.simulated import Simulated, SimulatedModel
from polyroute.state.health.health import Health
from polyroute.stores.figures import quantile
from polyroute.stores.memory import MemoryLedger
from polyroute.types.access import Caller
from polyroute.types.cards import Deadlines, Deployment
from polyroute.types.receipt import Receipt
from polyroute.types.request import Request, ask
from polyroute.types.response import Chunk, Reply
from polyroute.wiring.build import open_gateway

REQUESTS = int(os.environ.get("POLYROUTE_OUTAGE_REQUESTS", "1000"))
DIES_S, RETURNS_S, ENDS_S = 5.0, 25.0, 45.0
LATENCY_MS = 50.0
FIRST_TOKEN_S = 2.0  # that it is waited for
DOCUMENT = """
providers: {one: {dialect: simulated}, two: {dialect: simulated}}
models:
  first: {provider: one, latency_ms: 50, timeouts: {first_token_s: 2}, price: free}
  second: {provider: two, latency_ms: 50, price: free}
routes: {steady: {primary: first, fallback: second}}
"""
FAULTS: dict[str, Callable[[], ProviderError]] = {
    "dead": lambda: Unreachable("no connection"),
    "hung": lambda: ProviderTimeout("silence", phase="first_token"),
    "500": lambda: Overloaded("it failed", http_status=500),
    "429": lambda: Overloaded("too many", http_status=429, retry_after_s=1.0),
    "resetting": lambda: StreamInterrupted("cut"),
}


class Mortal:
    """A provider that fails in one way for a while. Counts when it was asked meanwhile."""

    def __init__(self, fault: str, began_s: float) -> None:
        self._well = Simulated(models={"first@one": SimulatedModel(latency_ms=LATENCY_MS)})
        self._fault, self._began_s = fault, began_s
        self.asked_s: list[float] = []

    def obstacles(self, request: Request, target: Deployment) -> tuple[str, ...]:
        return ()

    async def complete(
        self, request: Request, target: Deployment, deadlines: Deadlines, max_output_tokens: int | None
    ) -> Reply:
        now_s = asyncio.get_running_loop().time() - self._began_s
        if DIES_S <= now_s < RETURNS_S:
            self.asked_s.append(now_s)
            await asyncio.sleep(FIRST_TOKEN_S if self._fault == "hung" else 0.001)
            error = FAULTS[self._fault]()
            raise error
        return await self._well.complete(request, target, deadlines, max_output_tokens)

    def stream(
        self, request: Request, target: Deployment, deadlines: Deadlines, max_output_tokens: int | None
    ) -> AsyncGenerator[Chunk, None]:
        return self._well.stream(request, target, deadlines, max_output_tokens)

    async def aclose(self) -> None:
        """Nothing is held."""


async def live(fault: str, folder: Path) -> tuple[dict[float, Receipt | None], Mortal]:
    """Receipts by arrival; None where the caller got an error."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, RehearsalLoop)
    async with open_gateway(reads(DOCUMENT, {}, folder=folder), {}) as built:
        loop.skip()
        began_s, draws = loop.time(), random.Random(7)
        mortal = Mortal(fault, began_s)

        def mortally(parts: Parts) -> Parts:
            around = replace(
                parts.around,
                providers={**parts.around.providers, "one": mortal},
                monotonic=loop.time,
                jitter=draws.random,
                health=Health(began_s),
            )
            return replace(parts, around=around, ledger=MemoryLedger(), draw=draws.random, observe=lambda receipt: None)

        path = built.path.over(mortally)

        async def one(number: int) -> tuple[float, Receipt | None]:
            at_s = number * ENDS_S / REQUESTS
            await asyncio.sleep(began_s + at_s - loop.time())
            entry = Entry(request_id=f"r{number}", arrived_s=loop.time(), door="python")
            try:
                return at_s, (await path.answer(ask("steady", "hello"), Caller(), entry)).receipt
            except PolyrouteError:
                return at_s, None

        told = await asyncio.gather(*map(one, range(REQUESTS)))
    return dict(told), mortal


@pytest.mark.parametrize("fault", FAULTS)
def test_an_outage_is_carried_by_the_other_and_the_return_is_noticed(fault: str, tmp_path: Path) -> None:
    with asyncio.Runner(loop_factory=RehearsalLoop) as runner:
        told, mortal = runner.run(live(fault, tmp_path))
    answered = [receipt for receipt in told.values() if receipt is not None]
    assert len(answered) >= len(told) * 0.9999

    known_s = DIES_S + (1 + FIRST_TOKEN_S if fault == "hung" else 1)  # five calls have failed, or a second of them
    during = [receipt for at_s, receipt in told.items() if receipt and known_s <= at_s < RETURNS_S]
    added_ms = sorted(receipt.total_ms - LATENCY_MS for receipt in during)
    asked = [at_s for at_s in mortal.asked_s if at_s >= known_s]
    attempts = sum(len(receipt.attempts) for receipt in during) / len(during)
    back = [receipt for at_s, receipt in told.items() if receipt and at_s >= RETURNS_S + 10]
    print(f"{fault}: {len(answered)} of {len(told)} answered, {attempts:.3f} attempts a request once it is known dead")
    print(
        f"added: p50 {quantile(added_ms, 0.5):.1f} ms, p99 {quantile(added_ms, 0.99):.1f} ms; asked {len(asked)} times"
    )
    print("ten seconds after its return:", Counter(receipt.provider for receipt in back))
    assert quantile(added_ms, 0.5) <= 1
    if REQUESTS >= 10_000:  # of fewer, those let through to see whether it is back are more than one in a hundred
        assert quantile(added_ms, 0.99) <= 5
    assert attempts <= 1.10
    assert {receipt.provider for receipt in back} == {"one"}
