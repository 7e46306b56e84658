"""When a call counts as late, and whether a second one may be sent beside it. Pure: the caller passes the times.

Late is what 95 of 100 of a deployment's last calls do not take, and never more than twice their median: where more
than one call in twenty is slow, the 95th is a slow one itself. Second calls are paid from a bucket that the route's
requests fill, empty at first; the emptier it is, the later a call is called late, so that what is left goes to the
slowest. Where many of a deployment's calls are late, the deployment is slow and not the call: then nothing is sent
beside them. Source: Dean and Barroso, "The Tail at Scale", CACM 56 (2), 2013.
"""

from collections import deque
from decimal import Decimal

from msgspec import Struct

_LAST = 512  # calls of a deployment that are looked at
_ENOUGH = 20
_LATE_RANK = 0.95
_OF_MEDIAN = 2.0
_LATER = 0.4  # times as long again, where the bucket is half empty or more
_MOST = 30.0  # second calls that may be sent at once
_WEIGHT = 1 / 16  # of the newest call, in the share of late ones
_SLOW_SHARE = 0.3  # 5 % late calls come to so many five standard deviations away


class Hedge(Struct, frozen=True, kw_only=True):
    """A route's rule."""

    max_share: float = 0.03  # second calls, of its requests
    max_cost_share: Decimal = Decimal(1)  # the second's worst case, of the first's
    after_s: float | None = None  # None: as observed


class Pace:
    """How long one deployment's calls took lately, and how many of them were late."""

    __slots__ = ("_late_s", "_late_share", "_took_s", "_unread")

    def __init__(self) -> None:
        self._took_s: deque[float] = deque(maxlen=_LAST)
        self._late_s: float | None = None
        self._unread = 0
        self._late_share = 0.0

    @property
    def is_slow(self) -> bool:
        return self._late_share > _SLOW_SHARE

    def late_after_s(self) -> float | None:
        """None where too little was seen."""
        seen = self._took_s
        if len(seen) < _ENOUGH:
            return None
        if self._late_s is None or self._unread >= _LAST // 8:
            ranked, self._unread = sorted(seen), 0
            self._late_s = min(ranked[int(len(ranked) * _LATE_RANK)], _OF_MEDIAN * ranked[len(ranked) // 2])
        return self._late_s

    def took(self, seconds: float) -> None:
        """Of calls that brought an answer: one that was cut says only that it was late."""
        self._took_s.append(seconds)
        self._unread += 1

    def was(self, *, late: bool) -> None:
        self._late_share += _WEIGHT * (late - self._late_share)


class Hedges:
    """For all routes. First tokens and whole answers are different paces."""

    def __init__(self) -> None:
        self._paces: dict[tuple[str, bool], Pace] = {}
        self._left: dict[str, float] = {}  # second calls, by route

    def came(self, route: str, hedge: Hedge) -> None:
        """A request that may be answered so."""
        self._left[route] = min(_MOST, self._left.get(route, 0.0) + hedge.max_share)

    def pace(self, deployment: str, *, streamed: bool) -> Pace:
        found = self._paces.get((deployment, streamed))
        if found is None:
            found = self._paces[deployment, streamed] = Pace()
        return found

    def late_after_s(self, route: str, hedge: Hedge, pace: Pace) -> float | None:
        """How long a call is waited for alone. None: nothing is known yet."""
        if hedge.after_s is not None:
            return hedge.after_s
        late_s = pace.late_after_s()
        if late_s is None:
            return None
        return late_s * (1 + _LATER * min(1.0, 2 - 2 * self._left.get(route, 0.0) / _MOST))

    def spend(self, route: str) -> bool:
        """Whether one more second call is in the bucket; then it is spent."""
        left = self._left.get(route, 0.0)
        if left < 1:
            return False
        self._left[route] = left - 1
        return True

    def give_back(self, route: str) -> None:
        """It was not sent after all."""
        self._left[route] = min(_MOST, self._left.get(route, 0.0) + 1)
