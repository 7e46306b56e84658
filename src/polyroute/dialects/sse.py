"""Server-sent events: bytes into whole events, an event into its name and data.

Source: WHATWG HTML, section 9.2 "Server-sent events". A line ends with LF, CRLF or CR, also mixed in one stream; a
byte order mark before the first event says nothing and is taken off, since few clients expect one.
"""

from polyroute.errors import MalformedReply

MEDIA_TYPE = "text/event-stream; charset=utf-8"
MAX_EVENT_BYTES = 16 * 1024 * 1024
_MAY_END = (b"\n\n", b"\n\r", b"\r\r")  # every blank line holds one of these
_BLANK_LINES = (b"\n", b"\r\n", b"\r")
_MARK = b"\xef\xbb\xbf"
_MOST_SILENT = 20_000  # events without data, one after another: more are no keep-alive


def comment(words: str) -> bytes:
    """What stands between two events and is read by people: clients pass it over."""
    return b": " + "".join(mark if mark.isprintable() else " " for mark in words).encode() + b"\n\n"


class EventSplitter:
    """Cuts a byte stream after each blank line. The events joined are the exact bytes fed, but for a first mark."""

    __slots__ = ("_begun", "_silent", "_tail")

    def __init__(self) -> None:
        self._begun = False  # the first event is out
        self._silent = 0  # events without data since the last one with it
        self._tail = bytearray()  # the event that is not whole yet

    def feed(self, data: bytes) -> list[bytes]:
        """Events completed by `data`, each with its own line ends.

        Raises MalformedReply for one over MAX_EVENT_BYTES, and for a flood of events without data.
        """
        if self._tail:
            seen = max(0, len(self._tail) - 2)  # a mark is two bytes, and the byte after it may have to be waited for
            self._tail += data
            if not _may_end(self._tail, seen):
                self._check_size()
                return []
            data = bytes(self._tail)
            self._tail.clear()
        if b"\r" in data:
            events, start = _cut_at_any_line_end(data)
            self._check_silence(events)
        elif data.find(b"\n") == len(data) - 2 and data.endswith(b"\n"):
            events, start = [data], len(data)  # by far the commonest form: one whole event of one line
        else:
            events, start = _cut_at_line_feeds(data)
            self._check_silence(events)
        if start < len(data):
            self._tail += data[start:] if start else data
            self._check_size()
        if events and not self._begun:
            self._begun = True
            events[0] = events[0].removeprefix(_MARK)
        return events

    def rest(self) -> bytes:
        """What was fed after the last whole event."""
        return bytes(self._tail) if self._begun else bytes(self._tail).removeprefix(_MARK)

    def _check_silence(self, events: list[bytes]) -> None:
        for event in events:
            self._silent = 0 if b"data" in event else self._silent + 1
        if self._silent > _MOST_SILENT:
            raise MalformedReply(f"the provider sent {_MOST_SILENT} events without data")

    def _check_size(self) -> None:
        if len(self._tail) > MAX_EVENT_BYTES:
            raise MalformedReply(f"the provider sent an event longer than {MAX_EVENT_BYTES} bytes")


def _may_end(data: bytearray, start: int) -> bool:
    return any(data.find(mark, start) >= 0 for mark in _MAY_END)


def _cut_at_line_feeds(data: bytes) -> tuple[list[bytes], int]:
    """The events in `data`, and where the next one begins."""
    events: list[bytes] = []
    start = 0
    while (end := data.find(b"\n\n", start) + 2) >= 2:
        events.append(data[start:end])
        start = end
    return events, start


def _cut_at_any_line_end(data: bytes) -> tuple[list[bytes], int]:
    """As `_cut_at_line_feeds`. A last CR may be half of a CRLF: it is waited for where the line before ended so.

    Otherwise it ends its line at once, and an LF that follows it is no more than an empty line before the next event.
    """
    if data.find(b"\r") == len(data) - 4 and data.endswith(b"\r\n\r\n") and data.find(b"\n") == len(data) - 3:
        return [data], len(data)  # one whole event of one line
    events: list[bytes] = []
    start = end = 0
    before = b""
    for line in data.splitlines(keepends=True):
        end += len(line)
        if line in _BLANK_LINES and before:
            if line == b"\r" and end == len(data) and before.endswith(b"\n"):
                break
            events.append(data[start:end])
            start, before = end, b""
        else:
            before = line
    return events, start


def parse_event(event: bytes) -> tuple[str, bytes]:
    """The event's name ("" where it has none) and its data; comments and other fields are passed over."""
    if event.startswith(b"data: ") and event.find(b"\n") == len(event) - 2 and b"\r" not in event:
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
