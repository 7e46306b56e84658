"""How cascades did lately: which share of each model's answers passed, how many requests escalated, what that took.

Of this process, and fading: an observation counts half after an hour, so that a level that was left out for failing
too often is tried again, and what was true yesterday does not decide today. `remembered` and `recall` carry the shares
over a restart.
"""

from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime

import msgspec
from msgspec import Struct

from polyroute.types.receipt import Receipt

HALF_LIFE_S = 3600.0
LEAST = 30.0  # observations, before a rate is told
_RECENT = 500  # answers, for the percentile


class Band(Struct, frozen=True, kw_only=True):
    """The share of requests that is expected to escalate."""

    low: float = 0.0
    high: float = 1.0


class Standing(Struct, frozen=True, kw_only=True):
    """One route's cascade, as it stands."""

    route: str
    escalated: Mapping[str, int]  # by model: its answers that were rejected, ever
    straight: int  # requests that went straight to a stronger model, ever
    rate: float | None  # of requests that escalated, lately; None while there are too few
    is_outside: bool  # of the band
    p95_s: float | None  # of requests that the first level answered
    escalated_p95_s: float | None


class Remembered(Struct, frozen=True, kw_only=True):
    """What outlives the process: hits and totals, as they stood then."""

    at: datetime  # aware UTC
    passed: dict[str, dict[str, tuple[float, float]]]  # by route and model
    escalated: dict[str, tuple[float, float]]  # by route


class _Tally:
    """Two fading counts."""

    __slots__ = ("_at_s", "hits", "total")

    def __init__(self, hits: float = 0.0, total: float = 0.0, at_s: float = 0.0) -> None:
        self.hits, self.total, self._at_s = hits, total, at_s

    def note(self, is_hit: bool, now_s: float) -> None:
        self.fade(now_s)
        self.hits += is_hit
        self.total += 1

    def fade(self, now_s: float) -> None:
        left = 0.5 ** ((now_s - self._at_s) / HALF_LIFE_S)
        self.hits, self.total, self._at_s = self.hits * left, self.total * left, now_s

    def standing(self, now_s: float) -> tuple[float, float]:
        self.fade(now_s)
        return self.hits, self.total


class _Route:
    def __init__(self) -> None:
        self.passed: dict[str, _Tally] = {}
        self.escalations = _Tally()
        self.escalated: dict[str, int] = {}
        self.straight = 0
        self.took_s: dict[bool, deque[float]] = {False: deque(maxlen=_RECENT), True: deque(maxlen=_RECENT)}
        self.is_outside = False


class Escalations:
    """`alarm` is told when a route leaves its band, and when it is back: route, rate, whether it is outside."""

    def __init__(
        self, monotonic: Callable[[], float], alarm: Callable[[str, float, bool], None] = lambda *_: None
    ) -> None:
        self._monotonic = monotonic
        self._alarm = alarm
        self._routes: dict[str, _Route] = {}
        self.bands: Mapping[str, Band] = {}

    def pass_rates(self, route: str) -> dict[str, float]:
        """By model, where enough is known: (passed + 1) / (judged + 2), the mean under a Beta(1, 1) prior."""
        seen, rates = self._routes.get(route), dict[str, float]()
        for model, tally in seen.passed.items() if seen is not None else ():
            tally.fade(self._monotonic())
            if tally.total >= LEAST:
                rates[model] = (tally.hits + 1) / (tally.total + 2)
        return rates

    def note(self, receipt: Receipt) -> None:
        if receipt.strategy != "cascade" or receipt.state != "settled":
            return
        seen, now_s = self._routes.setdefault(receipt.route, _Route()), self._monotonic()
        judged = [a for a in receipt.attempts if a.purpose is None and a.status in ("succeeded", "rejected")]
        for attempt in judged:
            if attempt.verdicts:
                tally = seen.passed.setdefault(attempt.model, _Tally())
                tally.note(attempt.status == "succeeded", now_s)
            if attempt.status == "rejected":
                seen.escalated[attempt.model] = seen.escalated.get(attempt.model, 0) + 1
        if not judged:
            return
        has_escalated = any(attempt.status == "rejected" for attempt in judged)
        seen.escalations.note(has_escalated, now_s)
        seen.straight += "is left out: " in receipt.plan_reason
        seen.took_s[has_escalated].append(receipt.total_ms / 1000)
        self._watch(receipt.route, seen)

    def remembered(self, now: datetime) -> bytes:
        """For `recall`, by another process."""
        now_s = self._monotonic()
        return msgspec.json.encode(
            Remembered(
                at=now,
                passed={
                    route: {model: tally.standing(now_s) for model, tally in seen.passed.items()}
                    for route, seen in self._routes.items()
                },
                escalated={route: seen.escalations.standing(now_s) for route, seen in self._routes.items()},
            )
        )

    def recall(self, told: bytes, now: datetime) -> None:
        """Before the first request. What was told in another form, or of the future, is forgotten."""
        try:
            before = msgspec.json.decode(told, type=Remembered)
            aged_s = (now - before.at).total_seconds()
        except (msgspec.DecodeError, TypeError):
            return
        if aged_s < 0:
            return
        since_s = self._monotonic() - aged_s
        for route, models in before.passed.items():
            seen = self._routes.setdefault(route, _Route())
            seen.passed = {model: _Tally(hits, total, since_s) for model, (hits, total) in models.items()}
            seen.escalations = _Tally(*before.escalated.get(route, (0.0, 0.0)), since_s)

    def standings(self) -> list[Standing]:
        return [
            Standing(
                route=name,
                escalated=dict(seen.escalated),
                straight=seen.straight,
                rate=_rate(seen),
                is_outside=seen.is_outside,
                p95_s=_p95(seen.took_s[False]),
                escalated_p95_s=_p95(seen.took_s[True]),
            )
            for name, seen in self._routes.items()
        ]

    def _watch(self, route: str, seen: _Route) -> None:
        band, rate = self.bands.get(route), _rate(seen)
        is_outside = band is not None and rate is not None and not band.low <= rate <= band.high
        if is_outside != seen.is_outside and rate is not None:
            seen.is_outside = is_outside
            self._alarm(route, rate, is_outside)


def _rate(seen: _Route) -> float | None:
    tally = seen.escalations
    return tally.hits / tally.total if tally.total >= LEAST else None


def _p95(took_s: deque[float]) -> float | None:
    """Nearest rank."""
    return sorted(took_s)[-(-len(took_s) * 95 // 100) - 1] if took_s else None
