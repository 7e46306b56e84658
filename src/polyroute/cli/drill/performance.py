"""One run of a drill: the traffic through the gateway's own path, over simulated providers, skipping all waiting.

The books are in memory and forgotten; nothing is called, and nothing of the real store is touched.
"""

import asyncio
import random
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

from msgspec.structs import replace

from polyroute.cli.drill.clock import RehearsalLoop
from polyroute.cli.drill.traffic import Asked
from polyroute.config.load import Loaded
from polyroute.errors import PolyrouteError
from polyroute.gateway import RequestPath
from polyroute.journey import Entry, Parts
from polyroute.stages.route import Route
from polyroute.stages.selection.strategies import Fixed
from polyroute.state.health.health import Health
from polyroute.stores.memory import MemoryLedger
from polyroute.types.receipt import Receipt
from polyroute.types.request import Request
from polyroute.types.routing import DEFAULT_THRESHOLDS, Classification, Thresholds
from polyroute.wiring.build import open_gateway

_NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
_AT = "drill"


class Recorded:
    """Says of each request what was said of it when it came."""

    def __init__(self, traffic: list[Asked]) -> None:
        self._traffic = traffic

    def classify(
        self,
        request: Request,
        *,
        task: str | None = None,
        wants_task: bool = False,
        thresholds: Thresholds = DEFAULT_THRESHOLDS,
    ) -> Classification:
        return self._traffic[int(str(request.metadata[_AT]))].classification


def perform(
    rehearsed: Callable[[Path], Loaded], traffic: list[Asked], *, with_fallback: bool, on_answer: Callable[[], None]
) -> list[Receipt | None]:
    """Each request's receipt; None where it was refused before anything was tried."""
    with tempfile.TemporaryDirectory(prefix="drill-") as folder:
        loaded = rehearsed(Path(folder))
        with asyncio.Runner(loop_factory=RehearsalLoop) as runner:
            return runner.run(_perform(loaded, traffic, with_fallback, on_answer))


async def _perform(
    loaded: Loaded, traffic: list[Asked], with_fallback: bool, on_answer: Callable[[], None]
) -> list[Receipt | None]:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, RehearsalLoop)
    told: dict[str, Receipt] = {}
    async with open_gateway(loaded, {}) as built:
        loop.skip()
        began_s, draws, numbers = loop.time(), random.Random(0), count()

        def rehearsing(parts: Parts) -> Parts:
            around = replace(
                parts.around, monotonic=loop.time, sleep=asyncio.sleep, jitter=draws.random, health=Health(began_s)
            )
            return replace(
                parts,
                around=around,
                ledger=MemoryLedger(),
                classifier=Recorded(traffic),
                observe=lambda receipt: told.update({receipt.request_id: receipt}),
                utc_now=lambda: _NOON + timedelta(seconds=loop.time() - began_s),
                new_request_id=lambda: f"drill-{next(numbers)}",
                draw=draws.random,
            )

        path, unhurt = built.path.over(rehearsing), built.path.over(rehearsing)
        ids = await asyncio.gather(
            *(
                _ask(path, None if with_fallback else unhurt, asked, str(number), began_s, on_answer)
                for number, asked in enumerate(traffic)
            )
        )
    return [told.get(request_id) for request_id in ids]


async def _ask(
    path: RequestPath,
    chooser: RequestPath | None,
    asked: Asked,
    number: str,
    began_s: float,
    on_answer: Callable[[], None],
) -> str:
    """`chooser` knows of no failure: whom it would ask first is the only one who is asked."""
    loop = asyncio.get_running_loop()
    await asyncio.sleep(began_s + asked.at_s - loop.time())
    request = replace(asked.request(), metadata={_AT: number})
    entry = Entry(request_id=f"drill-request-{number}", arrived_s=loop.time(), door="python")
    try:
        if chooser is not None:
            prepared = chooser.prepare(request, asked.caller, entry)
            if prepared.plan.steps:
                entry = replace(entry, route=_alone(prepared.route, prepared.plan.steps[0].candidate.deployment.id))
        await path.answer(request, asked.caller, entry)
    except PolyrouteError:
        pass  # its receipt says it
    on_answer()
    return entry.request_id


def _alone(route: Route, deployment_id: str) -> Route:
    (only,) = (d for d in route.deployments if d.id == deployment_id)
    return replace(route, strategy=Fixed(models=(only.model,)), deployments=(only,), fallback=(), on_too_long="refuse")
