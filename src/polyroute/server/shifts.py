"""Which worker is started when, and when all of it ends. Pure: the caller passes the time.

At first one worker alone: what is wrong with the document, the address or the store is said once. Then the others; a
worker that dies before all are ready ends the whole. Later a worker that dies has a successor, at once where it had
served for a while, else after a pause that doubles. Where none is left and several in a row never became ready, all
ends: whoever started us should know.
"""

from msgspec import Struct

STEADY_S = 2.0  # a worker that lived so long was sound
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 10.0
_MOST_FAILURES = 5  # in a row, with nobody left


class _Post:
    """One worker's place."""

    __slots__ = ("due_s", "failures", "is_ready", "pid", "since_s")

    def __init__(self) -> None:
        self.pid: int | None = None
        self.is_ready = False
        self.since_s = 0.0  # it was started
        self.due_s: float | None = None  # it is to be started; None: not yet, or it runs
        self.failures = 0  # in a row


class Died(Struct, frozen=True, kw_only=True):
    """What became of it."""

    number: int
    ends_all: bool
    pause_s: float = 0.0  # until its successor


class Shifts:
    def __init__(self, count: int, now: float) -> None:
        self._posts = [_Post() for _ in range(count)]
        self._posts[0].due_s = now
        self.is_open = False  # all were ready once

    def due(self, now: float) -> list[int]:
        """Those to start now."""
        return [at for at, post in enumerate(self._posts) if post.due_s is not None and post.due_s <= now]

    def next_s(self, now: float) -> float | None:
        """Until the next is due; None: none will be."""
        waits = [post.due_s - now for post in self._posts if post.due_s is not None]
        return max(min(waits), 0.0) if waits else None

    @property
    def pids(self) -> list[int]:
        return [post.pid for post in self._posts if post.pid is not None]

    def number_of(self, pid: int) -> int | None:
        return next((at for at, post in enumerate(self._posts) if post.pid == pid), None)

    def started(self, number: int, pid: int, now: float) -> None:
        post = self._posts[number]
        post.pid, post.is_ready, post.since_s, post.due_s = pid, False, now, None

    def ready(self, number: int, now: float) -> bool:
        """Whether all are, for the first time."""
        self._posts[number].is_ready = True
        if self.is_open:
            return False
        for post in self._posts:
            if post.pid is None and post.due_s is None:
                post.due_s = now
        self.is_open = all(post.is_ready for post in self._posts)
        return self.is_open

    def died(self, number: int, now: float) -> Died:
        post = self._posts[number]
        was_sound = post.is_ready and now - post.since_s >= STEADY_S
        post.pid, post.is_ready = None, False
        pause_s = 0.0
        if was_sound:
            post.failures = 0
        else:
            pause_s = min(_FIRST_PAUSE_S * 2.0**post.failures, _LONGEST_PAUSE_S)
            post.failures += 1
        if not self.is_open or (not self._any_ready and self._failures >= _MOST_FAILURES):
            return Died(number=number, ends_all=True)
        post.due_s = now + pause_s
        return Died(number=number, ends_all=False, pause_s=pause_s)

    def stop(self) -> None:
        """None is started any more."""
        for post in self._posts:
            post.due_s = None

    @property
    def _any_ready(self) -> bool:
        return any(post.is_ready for post in self._posts)

    @property
    def _failures(self) -> int:
        return max(post.failures for post in self._posts)
