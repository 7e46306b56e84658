"""Who is told when something happens: each alert of the document, and the targets of its tiers.

Where several workers are one gateway, one of them tells for all: the others pass on to it what they saw. It looks at
budgets once a second, since it hears of what others spent a moment later.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal

from msgspec import Struct, msgpack

from polyroute.config.alerts import watched
from polyroute.config.document import Alert, Document
from polyroute.ports import Transport
from polyroute.state.accounts.accounts import Accounts
from polyroute.state.accounts.budgets import Cap
from polyroute.telemetry.alerts import Alerts, Notice
from polyroute.telemetry.metrics import Metrics
from polyroute.telemetry.notices import Channel
from polyroute.telemetry.tiers import Breach, TierWatch
from polyroute.telemetry.webhook import Webhook
from polyroute.types.receipt import Receipt, Spent
from polyroute.wiring.routes import tier_targets

PassOn = Callable[[bytes], bool]  # to the worker that tells; False: it was not taken

_WINDOW_S = 300.0  # of alerts that say none
_LOOKS = 3  # at a budget, after a request that counted towards it
_encode = msgpack.Encoder().encode


class _Turned(Struct, frozen=True, array_like=True, tag="turned"):
    deployment: str
    after: str


class _Settled(Struct, frozen=True, array_like=True, tag="settled"):
    receipt: Receipt


class _SentAway(Struct, frozen=True, array_like=True, tag="sent_away"):
    count: int


_Seen = _Turned | _Settled | _SentAway
_decode = msgpack.Decoder(_Seen).decode


class _Told(Struct, frozen=True):
    """One alert of the document, and where it goes."""

    alerts: Alerts
    channel: Channel


class Alarms:
    """One per process. `follow` puts a document in force."""

    def __init__(
        self,
        metrics: Metrics,
        accounts: Accounts,
        transport: Transport,
        *,
        pass_on: PassOn | None = None,
        is_crew: bool = False,
    ) -> None:
        """`pass_on`: another worker tells. `is_crew`: others count towards the same budgets."""
        self._metrics = metrics
        self._accounts = accounts
        self._transport = transport
        self._pass_on = pass_on
        self._is_crew = is_crew
        self._tiers = TierWatch({}, time.monotonic)
        self._settings: tuple[Alert, ...] = ()
        self._told: tuple[_Told, ...] = ()
        self._touched: dict[Cap, int] = {}  # budgets to look at, and how often still
        self._is_passing = False
        self.refused: Callable[[], int] = lambda: 0  # requests so far, since this process was full
        self._refused = 0  # as told
        self._under_way: set[asyncio.Task[object]] = set()

    def follow(self, document: Document) -> None:
        """Alerts go on as they are where the document says the same of them."""
        targets = tier_targets(document)
        self._is_passing = self._pass_on is not None and bool(document.alerts or targets)
        self._tiers = TierWatch(targets, time.monotonic, self._missed, is_silent=self._pass_on is not None)
        if document.alerts != self._settings:
            self._settings = document.alerts
            self._told = () if self._pass_on is not None else tuple(self._open(alert) for alert in document.alerts)

    def note(self, receipt: Receipt) -> None:
        """A request has been settled here."""
        for breach in self._tiers.note(receipt):
            self._metrics.breached(breach)
        if self._told:
            self._judge(receipt, time.monotonic())
        elif self._is_passing:
            self._pass(_Settled(receipt))

    def turned(self, deployment: str, after: str) -> None:
        """A breaker is in another state."""
        if self._is_passing:
            self._pass(_Turned(deployment, after))
        now_s = time.monotonic()
        for told in self._told:
            self._tell(told, told.alerts.turned(deployment, after, now_s), now_s)

    def sent_away(self, count: int) -> None:
        """So many requests were refused since the last look, because a process was full."""
        if self._is_passing:
            self._pass(_SentAway(count))
        now_s = time.monotonic()
        for told in self._told:
            self._tell(told, told.alerts.sent_away(count, now_s), now_s)

    def hear(self, message: bytes) -> None:
        """What another worker saw."""
        seen: _Seen = _decode(message)
        if isinstance(seen, _Turned):
            self.turned(seen.deployment, seen.after)
            return
        if isinstance(seen, _SentAway):
            self.sent_away(seen.count)
            return
        self._tiers.note(seen.receipt)
        if self._told:
            self._judge(seen.receipt, time.monotonic())

    def look(self) -> None:
        """Once a second."""
        refused, self._refused = self.refused() - self._refused, self.refused()
        if refused:
            self.sent_away(refused)
        now_s = time.monotonic()
        for told in self._told:
            self._tell(told, told.alerts.look(now_s), now_s)
            if told.alerts.watches_budgets:
                self._spent(told, self._touched, now_s)
        self._touched = {cap: left - 1 for cap, left in self._touched.items() if left > 1}

    async def aclose(self) -> None:
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    def _pass(self, seen: _Seen) -> None:
        if self._pass_on is not None and not self._pass_on(_encode(seen)):
            self._metrics.dropped("alerts", 1)

    def _judge(self, receipt: Receipt, now_s: float) -> None:
        for told in self._told:
            self._tell(told, told.alerts.note(receipt, now_s), now_s)
            if not told.alerts.watches_budgets:
                continue
            caps = self._caps(receipt)
            if self._is_crew:
                self._touched.update(dict.fromkeys(caps, _LOOKS))
                for cap in caps:
                    self._accounts.tallied(cap, _utc_now())  # asked about from now on
            else:
                self._spent(told, caps, now_s)

    def _missed(self, breach: Breach, share: float) -> None:
        now_s = time.monotonic()
        for told in self._told:
            self._tell(told, told.alerts.missed(breach, share, now_s), now_s)

    def _caps(self, receipt: Receipt) -> set[Cap]:
        """Each budget that a request counted towards."""
        caller = receipt.caller
        lines = (
            Spent(
                tenant=caller.tenant,
                team=caller.team,
                user=caller.user,
                key_id=caller.key_id,
                model=attempt.model,
                deployment=attempt.deployment,
                provider=attempt.provider,
                cost_usd=Decimal(0),
            )
            for attempt in receipt.attempts
        )
        return {cap for line in lines for cap in self._accounts.caps_of_line(line)}

    def _spent(self, told: _Told, caps: Iterable[Cap], now_s: float) -> None:
        now = _utc_now()
        for cap in caps:
            settled, _ = self._accounts.tallied(cap, now)
            name = f"{cap.name} of {cap.account[0]} `{cap.account[-1]}`"
            share = settled / cap.limit_nanos if cap.limit_nanos else 1.0
            self._tell(told, told.alerts.spent(name, share, now_s), now_s)

    def _tell(self, told: _Told, notices: Iterator[Notice], now_s: float) -> None:
        for notice in notices:
            self._metrics.alerted(notice.condition, notice.event)
            told.channel.tell(notice, now_s)

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

    def _keep(self, work: Coroutine[object, object, object]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._under_way.add(task)  # a loop keeps no task alive by itself
        task.add_done_callback(self._under_way.discard)


def _utc_now() -> datetime:
    return datetime.now(UTC)
