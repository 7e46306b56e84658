"""Everybody who watches a gateway: figures, log, tiers, alerts and a collector, told of each settled receipt.

The document in force says who they are; what outlives it (figures, what an alert has told) goes on.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, datetime
from decimal import Decimal

from polyroute import __version__
from polyroute.config.document import Cascade, Document, Telemetry
from polyroute.ports import Transport
from polyroute.state.accounts.accounts import Accounts
from polyroute.state.accounts.applied import own_caps
from polyroute.state.escalations import Band, Escalations
from polyroute.state.health.health import Health
from polyroute.telemetry import semantics
from polyroute.telemetry.cascades import CascadeMetrics, warn
from polyroute.telemetry.log import RequestLog
from polyroute.telemetry.metrics import Busy, Metrics
from polyroute.telemetry.otlp.content import Spoken
from polyroute.telemetry.otlp.exporter import Collector, Exporter
from polyroute.telemetry.otlp.values import resource, scope
from polyroute.types.money import from_nanos
from polyroute.types.receipt import Receipt
from polyroute.types.request import Request
from polyroute.types.response import Response
from polyroute.types.trace import Trace
from polyroute.wiring.alarms import Alarms
from polyroute.wiring.privacy import detector

_LOOK_S = 1.0
_TOLD_BUDGETS = ("provider", "model", "deployment", "team", "tenant")  # figures name no user and no key


def _bands(document: Document) -> dict[str, Band]:
    """By route, where its cascade says which share is expected to escalate."""
    cascades = {name: route.strategy for name, route in document.routes.items() if isinstance(route.strategy, Cascade)}
    return {
        name: Band(low=band.min, high=band.max)
        for name, cascade in cascades.items()
        if (band := cascade.escalation_band) is not None
    }


class Watch:
    """One per gateway. `follow` puts a document in force."""

    def __init__(
        self,
        metrics: Metrics,
        accounts: Accounts,
        transport: Transport,
        *,
        alarms: Alarms | None = None,
        name: str = "",
    ) -> None:
        """`name`: of this worker among others of its gateway."""
        self._metrics = metrics
        self._accounts = accounts
        self._transport = transport
        self._name = name
        self._log = RequestLog(time.monotonic)
        self.alarms = alarms or Alarms(metrics, accounts, transport)
        self._telemetry = Telemetry()
        self._exporter: Exporter | None = None
        self._sender: asyncio.Task[None] | None = None
        self._under_way: set[asyncio.Task[object]] = set()
        metrics.budgets = self._left
        self.escalations = Escalations(time.monotonic, warn)
        metrics.cascades = CascadeMetrics(self.escalations).figures

    def follow(self, document: Document) -> None:
        """Alerts and collector go on as they are where the document says the same of them."""
        self.alarms.follow(document)
        self.escalations.bands = _bands(document)
        if document.telemetry != self._telemetry:
            before, sender = self._exporter, self._sender
            self._telemetry, self._exporter, self._sender = document.telemetry, None, None
            if document.telemetry.otlp is not None:
                self._exporter = self._collector(document, document.telemetry.otlp)
                self._sender = asyncio.get_running_loop().create_task(self._exporter.run(), name="polyroute-otlp")
            if before is not None and sender is not None:
                self._keep(_end(before, sender))

    def begin_trace(self, request_id: str) -> Trace | None:
        """For a request that came without a trace; None where nobody would see it."""
        return Trace.begin(request_id, self._telemetry.sampled) if self._exporter is not None else None

    def observe(self, receipt: Receipt) -> None:
        """On the request's path, after its books are closed."""
        self._metrics.answered(receipt)
        self._log.tell(receipt)
        self.escalations.note(receipt)
        self.alarms.note(receipt)
        if self._exporter is not None:
            self._exporter.tell(receipt)

    def overhear(self, receipt: Receipt, request: Request, answer: Callable[[], Response] | None) -> None:
        """What was said, of the request that was observed last. Only where the document tells it."""
        if self._exporter is not None and self._telemetry.content:
            self._exporter.tell_content(receipt, Spoken(request, answer))

    def turned(self, deployment: str, before: str, after: str) -> None:
        """A breaker is in another state."""
        self._metrics.turned(deployment, before, after)
        self.alarms.turned(deployment, after)

    async def run(self) -> None:
        """Looks at figures until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_S)
            self._log.look()
            self.alarms.look()
            self._metrics.publish()

    async def aclose(self) -> None:
        if self._exporter is not None and self._sender is not None:
            await _end(self._exporter, self._sender)
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
        await self.alarms.aclose()

    def _left(self) -> Iterator[tuple[str, Decimal]]:
        now = _utc_now()
        for cap in own_caps(self._accounts.allowances):
            if cap.account[0] in _TOLD_BUDGETS:
                yield cap.name, from_nanos(max(0, cap.limit_nanos - sum(self._accounts.tallied(cap, now))))

    def _collector(self, document: Document, url: str) -> Exporter:
        telemetry = document.telemetry
        instance = f"{document.server.host}:{document.server.port}{self._name}"
        collector = Collector(
            url=url.rstrip("/").removesuffix("/v1/traces"),
            headers={name: value.reveal() for name, value in telemetry.headers.items()},
            is_json=telemetry.encoding == "json",
            resource=resource(telemetry.service, __version__, instance),
            scope=scope(__version__),
            providers={
                name: semantics.FAMILIES.get(provider.dialect, provider.dialect)
                for name, provider in document.providers.items()
            },
            detector=detector(document),
        )
        return Exporter(
            collector,
            self._transport,
            self._metrics.figures,
            self._metrics.dropped,
            unix_ns=time.time_ns,
            monotonic=time.monotonic,
        )

    def _keep(self, work: Coroutine[object, object, object]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._under_way.add(task)  # a loop keeps no task alive by itself
        task.add_done_callback(self._under_way.discard)


async def _end(exporter: Exporter, sender: asyncio.Task[None]) -> None:
    sender.cancel()
    await asyncio.gather(sender, return_exceptions=True)
    await exporter.aclose()


def busy(health: Health, now_s: float) -> Iterator[Busy]:
    """What each deployment that was ever called is doing."""
    for deployment, load in health.loads.items():
        requests, tokens = load.remaining(now_s)
        yield Busy(deployment=deployment, in_flight=load.in_flight, requests_left=requests, tokens_left=tokens)


def _utc_now() -> datetime:
    return datetime.now(UTC)
