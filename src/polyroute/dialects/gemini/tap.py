"""An upstream's stream passed on as it comes, for a door of the same dialect; only its ends are read.

The opening events wait for the first content, so that an error before it may still be answered by another
deployment. An event that finishes waits in `Ended`, for the books, unless content follows it (older models finish
with every event). Gemini has no end mark: a stream whose every candidate finished has ended, any other was cut.
"""

from polyroute.dialects.gemini.answers import is_blocked, objects_in, text_in
from polyroute.dialects.gemini.events import read_event, read_rest
from polyroute.dialects.gemini.names import Block
from polyroute.dialects.gemini.stops import stop_word
from polyroute.dialects.gemini.usage import read_usage
from polyroute.dialects.sse import MAX_EVENT_BYTES, EventSplitter
from polyroute.errors import MalformedReply, ProviderError, StreamInterrupted
from polyroute.types.response import Chunk, Ended, Usage, WireBytes

_ENDS = (b"}\n\n", b"}\r\n\r\n")
_USAGE = b'"usageMetadata"'


class Tap:
    __slots__ = ("_ended", "_finished", "_held", "_held_bytes", "_latest", "_model", "_opened", "_seen", "_splitter")

    def __init__(self) -> None:
        self._splitter = EventSplitter()
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._opened = False  # content came
        self._ended = False
        self._seen: set[object] = set()  # candidates by index
        self._finished: set[object] = set()
        self._latest: bytes = b""  # the newest event with usage: counts are of the whole so far
        self._model = ""

    def feed(self, data: bytes) -> list[Chunk]:
        passed: list[bytes] = []
        for event in self._splitter.feed(data):
            if self._opened and not self._held and _is_plain(event):
                if _USAGE in event:
                    self._latest = event
                passed.append(event)
            else:
                self._weigh(event, passed)
        return _wire(passed)

    def close(self) -> list[Chunk]:
        if self._ended:
            return []
        passed: list[bytes] = []
        rest = self._splitter.rest()
        if rest.strip():
            try:
                is_event = read_rest(rest) is not None
            except MalformedReply as exc:
                raise StreamInterrupted("the provider's stream was cut in the middle of an event") from exc
            if is_event:
                self._weigh(rest + b"\n\n" if rest.startswith(b"data") else rest, passed)
        if not self._finished or self._seen - self._finished:
            raise StreamInterrupted("the provider's stream stopped before the answer was finished")
        self._ended = True
        return [*_wire(passed), Ended(usage=self._usage(), model=self._model, wire=b"".join(self._held))]

    def _weigh(self, event: bytes, passed: list[bytes]) -> None:
        value = read_event(event)
        if value is None:
            if self._held or not self._opened:
                self._hold(event)
            else:
                passed.append(event)
            return
        self._model = self._model or text_in(value, "modelVersion")
        if _USAGE in event:
            self._latest = event
        finishes = is_blocked(value.get("promptFeedback"))
        if finishes:
            self._finished.add(0)
        goes_on = False
        for place, candidate in enumerate(objects_in(value)):
            index = candidate.get("index", place)
            self._seen.add(index if type(index) is int else place)
            if stop_word(candidate.get("finishReason")) is not None:
                self._finished.add(index if type(index) is int else place)
                finishes = True
            elif _says_something(candidate):
                goes_on = True
        if goes_on or (finishes and self._held and any(map(_says_something, objects_in(value)))):
            self._release(passed)
        if goes_on and not finishes:
            self._opened = True
            passed.append(event)
        else:
            self._hold(event)

    def _release(self, passed: list[bytes]) -> None:
        passed += self._held
        self._held = []
        self._held_bytes = 0

    def _hold(self, event: bytes) -> None:
        self._held.append(event)
        self._held_bytes += len(event)
        if self._held_bytes > MAX_EVENT_BYTES:
            raise MalformedReply(f"the provider sent {MAX_EVENT_BYTES} bytes of events without content")

    def _usage(self) -> Usage | None:
        if not self._latest:
            return None
        try:
            value = read_event(self._latest)
        except ProviderError:  # a plain event is not parsed on its way
            return None
        return None if value is None else read_usage(value.get("usageMetadata"))


def _wire(passed: list[bytes]) -> list[Chunk]:
    if not passed:
        return []
    return [WireBytes(data=passed[0] if len(passed) == 1 else b"".join(passed))]


def _is_plain(event: bytes) -> bool:
    """An event of content and nothing else. Quotes inside a JSON string are escaped: no text looks like a key."""
    return (
        event.startswith(b"data: {")
        and event.endswith(_ENDS)
        and b'"finishReason"' not in event
        and b'"error"' not in event
        and b'"promptFeedback"' not in event
    )


def _says_something(candidate: Block) -> bool:
    content = candidate.get("content")
    parts = content.get("parts") if isinstance(content, dict) else None
    return isinstance(parts, list) and any(isinstance(part, dict) and (part.get("text") != "") for part in parts)
