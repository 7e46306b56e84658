"""Rate limits over a sliding window: at most `limit` in any `window_s` seconds, exactly. The caller passes the time.

What was admitted is remembered with its time until it leaves the window (a sliding log). Entries within a
thousandth of the window share the later one's time, so memory is bounded whatever the limit, and the limit errs
towards refusing by that thousandth. Times are monotonic seconds and never run back.
"""

from collections import deque
from collections.abc import Iterable, Iterator

from msgspec import Struct

WINDOW_S = 60.0
_GRAIN = 1000  # entries per window at most


class Standing(Struct, frozen=True, kw_only=True):
    """Where one limit stands, as `x-ratelimit-*` headers tell it."""

    limit: int
    remaining: int  # never negative
    reset_s: float  # until `remaining` is `limit` again if nothing more is admitted


class Entry(Struct):
    """An amount that counts until it leaves the window. Owned by its window; kept by who may correct it."""

    since: float
    at: float  # the latest of its times: it counts until then plus the window
    amount: int
    is_counted: bool = True


class SlidingWindow:
    """What one subject was admitted within the window."""

    __slots__ = ("_entries", "_grain_s", "_total", "window_s")

    def __init__(self, window_s: float = WINDOW_S) -> None:
        self.window_s = window_s
        self._grain_s = window_s / _GRAIN
        self._entries: deque[Entry] = deque()
        self._total = 0

    def wait_s(self, amount: int, limit: int, now: float) -> float:
        """Seconds until `amount` more fits under `limit`: 0 where it fits now, infinity where it never can."""
        self._forget(now)
        if self._total + amount <= limit:
            return 0.0
        if amount > limit:
            return float("inf")
        excess = self._total + amount - limit
        for entry in self._entries:
            excess -= entry.amount
            if excess <= 0:
                return self.window_s - (now - entry.at)
        return self.window_s

    def add(self, amount: int, now: float) -> Entry:
        """Count `amount` from now on. Ask `wait_s` first."""
        self._total += amount
        last = self._entries[-1] if self._entries else None
        if last is not None and now - last.since < self._grain_s:
            last.amount += amount
            last.at = now
            return last
        entry = Entry(now, now, amount)
        self._entries.append(entry)
        return entry

    def correct(self, entry: Entry, difference: int) -> None:
        """An estimate turned out `difference` too low (or too high, where negative)."""
        entry.amount += difference
        if entry.is_counted:
            self._total += difference

    def entries(self, now: float) -> Iterable[Entry]:
        self._forget(now)
        return self._entries

    def standing(self, limit: int, now: float) -> Standing:
        self._forget(now)
        reset_s = self.window_s - (now - self._entries[-1].at) if self._entries else 0.0
        return Standing(limit=limit, remaining=max(limit - self._total, 0), reset_s=reset_s)

    def _forget(self, now: float) -> None:
        entries = self._entries
        while entries and now - entries[0].at >= self.window_s:
            gone = entries.popleft()
            gone.is_counted = False
            self._total -= gone.amount


class Windows:
    """The sliding windows of many subjects; those idle for two windows are dropped."""

    def __init__(self, window_s: float = WINDOW_S) -> None:
        self.window_s = window_s
        self._recent: dict[tuple[str, ...], SlidingWindow] = {}
        self._older: dict[tuple[str, ...], SlidingWindow] = {}
        self._turned_at: float | None = None

    def __len__(self) -> int:
        return len(self._recent) + len(self._older)

    def counted(self, now: float) -> Iterator[tuple[tuple[str, ...], Entry]]:
        """Everything that counts still."""
        for windows in (self._recent, self._older):
            for subject, window in windows.items():
                for entry in window.entries(now):
                    yield subject, entry

    def of(self, subject: tuple[str, ...], now: float) -> SlidingWindow:
        if self._turned_at is None or now - self._turned_at >= self.window_s:
            # What nobody asked for during a whole window counts nothing any more.
            self._older, self._recent, self._turned_at = self._recent, {}, now
        window = self._recent.get(subject)
        if window is None:
            window = self._older.pop(subject, None) or SlidingWindow(self.window_s)
            self._recent[subject] = window
        return window
