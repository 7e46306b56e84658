"""The requests of the last minutes, one route's or all: shares, percentiles, money. Pure: the time is passed in.

Memory is bounded: of a busy route the newest requests stand for the window.
"""

import math
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from msgspec import Struct

from polyroute.types.receipt import Attempt, Receipt

_MOST = 10_000
_HOUR_S = 3600.0
_MINUTE_S = 60.0
_AMPLE = 1.25  # above the busiest minute: room for as much growth again before the next fall
_LIMITED = 429


class Seen(Struct, frozen=True):
    """One settled request, as far as figures need it."""

    at_s: float
    route: str
    is_failed: bool
    primary: str | None  # the deployment that should have answered
    cause: str | None  # why the primary did not: provider_limit, own_limit, timeout, late, rejected, error
    calls: int
    rejected: int
    total_ms: float
    first_token_ms: float | None
    overhead_ms: float
    cost_usd: float


def see(receipt: Receipt, now_s: float) -> Seen:
    attempts = receipt.attempts
    if receipt.passed_over is not None:
        primary, _, standing = receipt.passed_over.rpartition(": ")
        passed_for = "error" if standing == "failing" else "provider_limit"
    else:
        primary, passed_for = receipt.plan[0] if receipt.plan else "", "own_limit"
    return Seen(
        now_s,
        receipt.route,
        receipt.state == "failed",
        primary or None,
        _cause(receipt, primary, passed_for),
        len(attempts),
        sum(attempt.status == "rejected" for attempt in attempts),
        receipt.total_ms,
        attempts[-1].first_token_ms if attempts else None,
        receipt.overhead_ms,
        float(receipt.cost_usd),
    )


def _cause(receipt: Receipt, primary: str, passed_for: str) -> str | None:
    """`passed_for`: why the primary was not asked first, where it was not."""
    attempts = receipt.attempts
    if receipt.state == "failed" or not attempts or attempts[-1].deployment == primary:
        return None
    if attempts[0].deployment != primary:
        return passed_for
    return _why([attempt for attempt in attempts if attempt.deployment == primary][-1])


def _why(failed: Attempt) -> str:
    if failed.status == "rejected":
        return "rejected"
    if failed.http_status == _LIMITED:
        return "provider_limit"
    if failed.remedy == "hedge":
        return "late"
    return "timeout" if failed.error == "ProviderTimeout" else "error"


class Recent:
    """`figure` is None where too few requests say nothing."""

    def __init__(self, window_s: float, at_least: int) -> None:
        self._window_s = window_s
        self._at_least = at_least
        self._seen: deque[Seen] = deque(maxlen=_MOST)

    def add(self, seen: Seen) -> None:
        self._seen.append(seen)

    def forget(self, now_s: float) -> None:
        while self._seen and self._seen[0].at_s <= now_s - self._window_s:
            self._seen.popleft()

    def __len__(self) -> int:
        return len(self._seen)

    def figure(self, name: str) -> float | None:
        if len(self._seen) < self._at_least and name not in _OF_ANY_COUNT:
            return None
        return _FIGURES[name](self._seen, self._window_s)

    def falls(self) -> "Falls":
        """What lies behind the share of fallbacks."""
        causes = Counter(seen.cause for seen in self._seen if seen.cause is not None)
        limited = Counter(
            seen.primary for seen in self._seen if seen.cause in ("provider_limit", "own_limit") and seen.primary
        )
        worst = limited.most_common(1)[0][0] if limited else None
        return Falls(
            causes=dict(causes.most_common()),
            limited=worst,
            propose_per_minute=math.ceil(self._busiest_minute(worst) * _AMPLE) if worst else None,
        )

    def _busiest_minute(self, primary: str) -> int:
        """The most requests in any 60 seconds that were meant for `primary`."""
        inside: deque[float] = deque()
        most = 0
        for seen in self._seen:
            if seen.primary == primary:
                inside.append(seen.at_s)
                while inside[0] <= seen.at_s - _MINUTE_S:
                    inside.popleft()
                most = max(most, len(inside))
        return most


class Falls(Struct, frozen=True, kw_only=True):
    causes: Mapping[str, int]  # answers by why the primary did not give them, most first
    limited: str | None  # the deployment whose limits were in the way most often
    propose_per_minute: int | None  # requests that its limit should allow

    @property
    def hint(self) -> str | None:
        """What to do where limits are behind half of the falls or more."""
        limits = self.causes.get("provider_limit", 0) + self.causes.get("own_limit", 0)
        if self.limited is None or limits * 2 < sum(self.causes.values()):
            return None
        whose = "the provider's" if self.causes.get("provider_limit", 0) * 2 >= limits else "this document's"
        return (
            f"the limits of `{self.limited}` are too low, not its health: {whose} requests per minute should be"
            f" {self.propose_per_minute} or more (its busiest minute and a quarter)"
        )


def _share(chosen: Callable[[Seen], int], of: Callable[[Seen], int]) -> Callable[[Sequence[Seen], float], float | None]:
    def share(seen: Iterable[Seen], window_s: float) -> float | None:
        part, whole = 0, 0
        for one in seen:
            part += chosen(one)
            whole += of(one)
        return part / whole if whole else None

    return share


def _percentile(of: Callable[[Seen], float | None], share: float) -> Callable[[Sequence[Seen], float], float | None]:
    def percentile(seen: Iterable[Seen], window_s: float) -> float | None:
        values = sorted(value for one in seen if (value := of(one)) is not None)
        return values[math.ceil(share * len(values)) - 1] if values else None  # nearest rank

    return percentile


def _costs(seen: Iterable[Seen]) -> Iterator[float]:
    return (one.cost_usd for one in seen)


_OF_ANY_COUNT = frozenset({"cost_per_hour_usd", "requests_per_minute"})
_FIGURES: Mapping[str, Callable[[Sequence[Seen], float], float | None]] = {
    "fallback_share": _share(lambda one: one.cause is not None, lambda one: not one.is_failed),
    "error_share": _share(lambda one: one.is_failed, lambda one: 1),
    "rejected_share": _share(lambda one: one.rejected, lambda one: one.calls),
    "p50_ms": _percentile(lambda one: one.total_ms, 0.5),
    "p95_ms": _percentile(lambda one: one.total_ms, 0.95),
    "p99_ms": _percentile(lambda one: one.total_ms, 0.99),
    "first_token_p95_ms": _percentile(lambda one: one.first_token_ms, 0.95),
    "overhead_p95_ms": _percentile(lambda one: one.overhead_ms, 0.95),
    "cost_per_hour_usd": lambda seen, window_s: sum(_costs(seen)) * _HOUR_S / window_s,
    "cost_per_request_usd": lambda seen, window_s: sum(_costs(seen)) / len(seen) if seen else None,
    "requests_per_minute": lambda seen, window_s: len(seen) * _MINUTE_S / window_s,
}
