"""Watches a tier's targets: an answer slower or dearer than its tier promises is counted; many of them raise an alert.

A target is about the typical answer, so one breach is no alarm: half of the tier's last answers is. The alert is a
warning on the logger `polyroute.alerts`, once a minute at most for each target.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal

from msgspec import Struct

from polyroute.ports import Monotonic
from polyroute.types.money import format_usd
from polyroute.types.receipt import Receipt

_log = logging.getLogger("polyroute.alerts")
_WINDOW = 50  # answers of a tier that are looked at together
_ENOUGH = 10
_ALARM_SHARE = 0.5
_QUIET_S = 60.0


class TierTarget(Struct, frozen=True, kw_only=True):
    latency_ms: float | None = None  # to the first token; to the whole answer where it was not streamed
    usd_per_million: Decimal | None = None  # over all tokens of the answer


class Breach(Struct, frozen=True, kw_only=True):
    """One answer beyond one target."""

    route: str
    tier: str
    kind: str  # "latency" | "price"


class TierWatch:
    def __init__(
        self,
        targets: Mapping[tuple[str, str], TierTarget],
        monotonic: Monotonic,
        alarm: Callable[["Breach", float], None] = lambda breach, share: None,
        *,
        is_silent: bool = False,
    ) -> None:
        """`targets` by route and tier. `alarm` is told what the log is told: which share of the last answers missed.
        Where it `is_silent`, breaches are found and nobody is told.
        """
        self._targets = targets
        self._monotonic = monotonic
        self._alarm = alarm
        self._is_silent = is_silent
        self._recent: dict[Breach, deque[bool]] = {}
        self._told_s: dict[Breach, float] = {}

    def note(self, receipt: Receipt) -> tuple[Breach, ...]:
        """The targets that this answer missed."""
        seen = receipt.classification
        target = self._targets.get((receipt.route, seen.label)) if seen else None
        if target is None or seen is None or receipt.state != "settled":
            return ()
        missed = []
        for kind, is_missed, promise in _checks(receipt, target):
            breach = Breach(route=receipt.route, tier=seen.label, kind=kind)
            recent = self._recent.setdefault(breach, deque(maxlen=_WINDOW))
            recent.append(is_missed)
            if is_missed:
                missed.append(breach)
            if is_missed and not self._is_silent:
                self._maybe_alert(breach, sum(recent) / len(recent), len(recent), promise)
        return tuple(missed)

    def _maybe_alert(self, breach: Breach, share: float, count: int, promise: str) -> None:
        now_s = self._monotonic()
        is_quiet = now_s - self._told_s.get(breach, float("-inf")) < _QUIET_S
        if count >= _ENOUGH and share >= _ALARM_SHARE and not is_quiet:
            self._told_s[breach] = now_s
            self._alarm(breach, share)
            _log.warning(
                "route `%s`, tier %s: %.0f%% of the last %d answers miss the target of %s",
                breach.route,
                breach.tier,
                share * 100,
                count,
                promise,
            )


def _checks(receipt: Receipt, target: TierTarget) -> Iterator[tuple[str, bool, str]]:
    """Each target's kind, whether the answer missed it, and what was promised."""
    if target.latency_ms is not None:
        answer = next(attempt for attempt in reversed(receipt.attempts) if attempt.purpose is None)
        took_ms = answer.first_token_ms or answer.duration_ms
        yield "latency", took_ms > target.latency_ms, f"{target.latency_ms:g} ms"
    tokens = receipt.usage.total_tokens if receipt.usage else 0
    if target.usd_per_million is not None and tokens:
        price = receipt.cost_usd * 1_000_000 / tokens
        yield "price", price > target.usd_per_million, f"${format_usd(target.usd_per_million)} per million tokens"
