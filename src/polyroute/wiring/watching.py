"""Everybody who watches a gateway: figures, log, tiers, alerts and a collector, told of each settled receipt.

The document in force says who they are; what outlives it (figures, what an alert has told) goes on.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, datetime
from decimal import Decimal

from msgspec import Struct

from polyroute import __version__
from polyroute.config.alerts import watched
from polyroute.config.document import Alert, Cascade, Document, Telemetry
from polyroute.ports import Transport
from polyroute.state.accounts.accounts import Accounts
from polyroute.state.accounts.applied import own_caps
from polyroute.state.escalations import Band, Escalations
from polyroute.state.health.health import Health
from polyroute.telemetry import semantics
from polyroute.telemetry.alerts import Alerts, Notice
from polyroute.telemetry.cascades import CascadeMetrics, warn
from polyroute.telemetry.log import RequestLog
from polyroute.telemetry.metrics import Busy, Metrics
from polyroute.telemetry.notices import Channel
from polyroute.telemetry.otlp.content import Spoken
from polyroute.telemetry.otlp.exporter import Collector, Exporter
from polyroute.telemetry.otlp.values import resource, scope
from polyroute.telemetry.tiers import Breach, TierWatch
from polyroute.telemetry.webhook import Webhook
from polyroute.types.money import from_nanos
from polyroute.types.receipt import Receipt, Spent
from polyroute.types.request import Request
from polyroute.types.response import Response
from polyroute.types.trace import Trace
from polyroute.wiring.privacy import detector
from polyroute.wiring.routes import tier_targets

_LOOK_S = 1.0
_TOLD_BUDGETS = ("provider", "model", "deployment", "team", "tenant")  # figures name no user and no key

_WINDOW_S = 300.0  # of alerts that say none


class _Told(Struct, frozen=True):
    """One alert of the document, and where it goes."""

    alerts: Alerts
    channel: Channel


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

    def __init__(self, metrics: Metrics, accounts: Accounts, transport: Transport) -> None:
        self._metrics = metrics
        self._accounts = accounts
        self._transport = transport
        self._log = RequestLog(time.monotonic)
        self._tiers = TierWatch({}, time.monotonic)
        self._settings: tuple[Alert, ...] = ()
        self._told: tuple[_Told, ...] = ()
        self._telemetry = Telemetry()
        self._exporter: Exporter | None = None
        self._sender: asyncio.Task[None] | None = None
        self._under_way: set[asyncio.Task[object]] = set()
        metrics.budgets = self._left
        self.escalations = Escalations(time.monotonic, warn)
        metrics.also(CascadeMetrics(self.escalations))

    def follow(self, document: Document) -> None:
        """Alerts and collector go on as they are where the document says the same of them."""
        self._tiers = TierWatch(tier_targets(document), time.monotonic, self._missed)
        self.escalations.bands = _bands(document)
        if document.alerts != self._settings:
            self._settings = document.alerts
            self._told = tuple(self._open(alert) for alert in document.alerts)
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
        for breach in self._tiers.note(receipt):
            self._metrics.breached(breach)
        if self._exporter is not None:
            self._exporter.tell(receipt)
        if self._told:
            now_s = time.monotonic()
            for told in self._told:
                self._tell(told, told.alerts.note(receipt, now_s), now_s)
                if told.alerts.watches_budgets:
                    self._spent(told, receipt, now_s)

    def overhear(self, receipt: Receipt, request: Request, answer: Callable[[], Response] | None) -> None:
        """What was said, of the request that was observed last. Only where the document tells it."""
        if self._exporter is not None and self._telemetry.content:
            self._exporter.tell_content(receipt, Spoken(request, answer))

    def turned(self, deployment: str, before: str, after: str) -> None:
        """A breaker is in another state."""
        self._metrics.turned(deployment, before, after)
        now_s = time.monotonic()
        for told in self._told:
            self._tell(told, told.alerts.turned(deployment, after, now_s), now_s)

    async def run(self) -> None:
        """Looks at figures until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_S)
            now_s = time.monotonic()
            self._log.look()
            for told in self._told:
                self._tell(told, told.alerts.look(now_s), now_s)

    async def aclose(self) -> None:
        if self._exporter is not None and self._sender is not None:
            await _end(self._exporter, self._sender)
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    def _missed(self, breach: Breach, share: float) -> None:
        now_s = time.monotonic()
        for told in self._told:
            self._tell(told, told.alerts.missed(breach, share, now_s), now_s)

    def _spent(self, told: _Told, receipt: Receipt, now_s: float) -> None:
        """Of each budget that this request counted towards."""
        accounts, caller, now = self._accounts, receipt.caller, _utc_now()
        for attempt in receipt.attempts:
            line = Spent(
                tenant=caller.tenant,
                team=caller.team,
                user=caller.user,
                key_id=caller.key_id,
                model=attempt.model,
                deployment=attempt.deployment,
                provider=attempt.provider,
                cost_usd=Decimal(0),
            )
            for cap in accounts.caps_of_line(line):
                settled, _ = accounts.tallied(cap, now)
                name = f"{cap.name} of {cap.account[0]} `{cap.account[-1]}`"
                share = settled / cap.limit_nanos if cap.limit_nanos else 1.0
                self._tell(told, told.alerts.spent(name, share, now_s), now_s)

    def _tell(self, told: _Told, notices: Iterator[Notice], now_s: float) -> None:
        for notice in notices:
            self._metrics.alerted(notice.condition, notice.event)
            told.channel.tell(notice, now_s)

    def _left(self) -> Iterator[tuple[str, Decimal]]:
        now = _utc_now()
        for cap in own_caps(self._accounts.allowances):
            if cap.account[0] in _TOLD_BUDGETS:
                yield cap.name, from_nanos(max(0, cap.limit_nanos - sum(self._accounts.tallied(cap, now))))

    def _open(self, alert: Alert) -> _Told:
        send: Callable[[dict[str, object]], None] | None = None
        if alert.url is not None:
            secret = alert.secret.reveal() if alert.secret is not None else None
            webhook = Webhook(alert.url.reveal(), secret, self._transport, unix_s=time.time)

            def send_by_webhook(message: dict[str, object]) -> None:
                self._keep(webhook.send(message))

            send = send_by_webhook
        alerts = Alerts(
            watched(alert), routes=alert.routes, window_s=float(alert.window or _WINDOW_S), at_least=alert.at_least
        )
        return _Told(alerts, Channel(alert.use, send, _utc_now))

    def _collector(self, document: Document, url: str) -> Exporter:
        telemetry = document.telemetry
        instance = f"{document.server.host}:{document.server.port}"
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
