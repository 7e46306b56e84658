"""Server-sent events: bytes into whole events, an event into its name and data.

Source: WHATWG HTML, section 9.2 "Server-sent events". Line ends may be LF, CRLF or CR.
"""

from polyroute.errors import MalformedReply

MEDIA_TYPE = "text/event-stream; charset=utf-8"
MAX_EVENT_BYTES = 16 * 1024 * 1024
_BLANK_LINES = (b"\r\n\r\n", b"\n\n", b"\r\r")


class EventSplitter:
    """Cuts a byte stream after each blank line. The events joined are the exact bytes fed."""

    __slots__ = ("_tail",)

    def __init__(self) -> None:
        self._tail = bytearray()  # the event that is not whole yet

    def feed(self, data: bytes) -> list[bytes]:
        """Events completed by `data`, each with its own line ends. Raises MalformedReply over MAX_EVENT_BYTES."""
        if self._tail:
            seen = max(0, len(self._tail) - 3)  # a blank line is at most four bytes, and none was found before
            self._tail += data
            if len(self._tail) > MAX_EVENT_BYTES or not _may_end(self._tail, seen):
                self._check_size()
                return []
            data = bytes(self._tail)
            self._tail.clear()
        if data.find(b"\n") == len(data) - 2 and data.endswith(b"\n"):
            return [data]  # by far the commonest form: one whole event of one line
        blank = b"\n\n" if b"\r" not in data else None
        events: list[bytes] = []
        start = 0
        while True:
            end = data.find(blank, start) + 2 if blank else _after_blank_line(data, start)
            if end < 2:
                break
            events.append(data[start:end])
            start = end
        if start < len(data):
            self._tail += data[start:] if start else data
            self._check_size()
        return events

    def rest(self) -> bytes:
        """What was fed after the last whole event."""
        return bytes(self._tail)

    def _check_size(self) -> None:
        if len(self._tail) > MAX_EVENT_BYTES:
            raise MalformedReply(f"the provider sent an event longer than {MAX_EVENT_BYTES} bytes")


def _may_end(data: bytearray, start: int) -> bool:
    return any(data.find(mark, start) >= 0 for mark in _BLANK_LINES)


def _after_blank_line(data: bytes, start: int) -> int:
    """Index just after the first blank line from `start`; below 2 where there is none yet."""
    ends = [found + len(mark) for mark in _BLANK_LINES if (found := data.find(mark, start)) >= 0]
    return min(ends, default=0)


def parse_event(event: bytes) -> tuple[str, bytes]:
    """The event's name ("" where it has none) and its data; comments and other fields are passed over."""
    if event.startswith(b"data: ") and event.find(b"\n") == len(event) - 2:
        return "", event[6:-2]  # by far the commonest form: one data line and LF ends
    name, lines = "", []
    for line in event.splitlines():
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            lines.append(value)
        elif field == b"event":
            name = value.decode("utf-8", "replace")
    return name, b"\n".join(lines)
