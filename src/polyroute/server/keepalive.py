"""Tells a streaming caller that its answer is still to come, when its provider has long said nothing.

Proxies and clients close connections that look dead. What is told says nothing: a comment (WHATWG HTML, 9.2.7), or the
dialect's own event for it. A timer per stream looks whether anything was written since it looked last; a chunk costs
one assignment. The clock is the caller's.
"""

from collections.abc import Callable
from typing import Protocol

from polyroute.dialects import sse
from polyroute.ports import Dialect

_COMMENT = b": keep-alive\n\n"
# Anthropic's stream has an event that says nothing (platform.claude.com, "Streaming messages", ping events).
_EVENTS = {"anthropic_messages": b'event: ping\ndata: {"type": "ping"}\n\n'}


class Timer(Protocol):
    def cancel(self) -> None: ...


CallLater = Callable[[float, Callable[[], None]], Timer]


def mark_of(dialect: Dialect) -> bytes:
    """What may stand anywhere between two events; empty where the dialect's stream has no such thing."""
    if dialect.stream_type != sse.MEDIA_TYPE:
        return b""
    return _EVENTS.get(dialect.name, _COMMENT)


class KeepAlive:
    """One per stream. Whoever writes an event sets `is_quiet` to False."""

    __slots__ = ("_call_later", "_every_s", "_mark", "_timer", "_write", "is_quiet")

    def __init__(self, mark: bytes, silence_s: float, write: Callable[[bytes], bool], call_later: CallLater) -> None:
        """`write` sends at once what fits between two events, or refuses. The mark comes within `silence_s`."""
        self.is_quiet = False
        self._mark = mark
        self._every_s = silence_s / 2
        self._write = write
        self._call_later = call_later
        self._timer = call_later(self._every_s, self._look) if mark else None

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        if self.is_quiet:
            self._write(self._mark)
        self.is_quiet = True
        self._timer = self._call_later(self._every_s, self._look)
