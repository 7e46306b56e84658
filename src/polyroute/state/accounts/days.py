"""Whether a new day came by itself, or somebody set the clock. Pure: both times are passed in.

A process knows what was spent in the windows it has lived through and in those it asked the books about when it began.
A clock that is set to another day may bring back a window of which it knows nothing. So may the next midnight, where
the clock had been beyond it in the life of another process: then the books know of a day that is still to come.
"""

from datetime import UTC, datetime

_DRIFT_S = 60.0  # what time servers correct in one step is far below


class Days:
    def __init__(self) -> None:
        self._at: tuple[datetime, float] | None = None
        self._knows_later = False

    def note(self, now: datetime, monotonic_s: float, *, knows_later: bool = False) -> None:
        """What was spent is known as of `now`. `knows_later`: the books have something of a later day too."""
        self._at, self._knows_later = (now, monotonic_s), knows_later

    def was_set(self, now: datetime, monotonic_s: float) -> bool:
        """Asked again and again; True where the day is another one, and time alone does not account for it."""
        last, self._at = self._at, (now, monotonic_s)
        if last is None or last[0].astimezone(UTC).date() == now.astimezone(UTC).date():
            return False
        return self._knows_later or abs((now - last[0]).total_seconds() - (monotonic_s - last[1])) > _DRIFT_S
