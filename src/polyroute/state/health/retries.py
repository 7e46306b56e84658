"""What further attempts may add when many requests fail at once. Pure: time is passed in.

Each request earns a little, each second a little more; a further attempt where failure is likely spends one. In an
outage of everything attempts stay below 1.1 per request whatever the chain of fallbacks; an attempt at a deployment
that is well costs nothing, so one provider's outage is carried in full by another.
Sources: Google SRE book, "Addressing cascading failures" (10 %); Finagle's RetryBudget (a share and a rate).
"""

_EARNED, _EARNED_PER_S = 0.08, 1.0
_MOST = 10.0


class RetryBudget:
    __slots__ = ("_at", "_left")

    def __init__(self, now: float) -> None:
        self._left = _MOST
        self._at = now

    def earn(self, now: float) -> None:
        """A request has come."""
        self._left = min(_MOST, self._left + _EARNED + max(0.0, now - self._at) * _EARNED_PER_S)
        self._at = now

    def spend(self) -> bool:
        """Whether one more attempt is in it; then it is spent."""
        if self._left < 1:
            return False
        self._left -= 1
        return True
