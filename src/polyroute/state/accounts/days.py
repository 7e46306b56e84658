"""Whether a new day came by itself, or somebody set the clock. Pure: both times are passed in.

A process knows what was spent in the windows it has lived through and in those it asked the books about when it began.
A clock that is set to another day may bring back a window of which it knows nothing.
"""

from datetime import UTC, datetime

_DRIFT_S = 60.0  # what time servers correct in one step is far below


class Days:
    def __init__(self) -> None:
        self._at: tuple[datetime, float] | None = None

    def note(self, now: datetime, monotonic_s: float) -> None:
        """What was spent is known as of `now`."""
        self._at = now, monotonic_s

    def was_set(self, now: datetime, monotonic_s: float) -> bool:
        """Asked again and again; True once where the day is another one and time alone does not account for it."""
        last, self._at = self._at, (now, monotonic_s)
        if last is None or last[0].astimezone(UTC).date() == now.astimezone(UTC).date():
            return False
        return abs((now - last[0]).total_seconds() - (monotonic_s - last[1])) > _DRIFT_S
