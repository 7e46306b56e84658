"""An upstream's stream passed on as it comes, for a door of the same dialect; only its ends are read.

The opening events wait for the first content, so that an error before it may still be answered by another
deployment. The closing events wait in `Ended`, for the books. Between them nothing is parsed.
"""

from polyroute.dialects.anthropic_messages.containers import kept_of
from polyroute.dialects.anthropic_messages.events import read_event, read_rest
from polyroute.dialects.anthropic_messages.usage import later_usage, read_usage
from polyroute.dialects.sse import MAX_EVENT_BYTES, EventSplitter
from polyroute.errors import MalformedReply, StreamInterrupted
from polyroute.types.response import Chunk, Ended, WireBytes

_CONTENT = (b"event: content_block_", b"event:content_block_", b"event: ping")
_SILENT_BLOCKS = ("text", "thinking")  # their start says nothing yet
_MOST_HELD = 64 * 1024  # bytes of opening events; a long one is an answer
_STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'


class Tap:
    __slots__ = (
        "_ended", "_held", "_kept", "_model", "_opened", "_silent_bytes", "_splitter", "_stopped", "_tail", "_usage",
    )  # fmt: skip

    def __init__(self) -> None:
        self._splitter = EventSplitter()
        self._held: list[bytes] = []  # opening events
        self._silent_bytes = 0  # of events that are no content, those held among them
        self._tail: list[bytes] = []  # from message_delta on
        self._opened = False  # content came
        self._stopped = False  # a stop reason came
        self._ended = False
        self._model = ""
        self._usage: object = None
        self._kept: tuple[str, ...] = ()

    def feed(self, data: bytes) -> list[Chunk]:
        passed: list[bytes] = []
        chunks: list[Chunk] = []
        for event in self._splitter.feed(data):
            if self._opened and not self._tail and event.startswith(_CONTENT):
                passed.append(event)
            elif not self._ended:
                self._take(event, passed, chunks)
        if passed:
            chunks.insert(0, WireBytes(data=passed[0] if len(passed) == 1 else b"".join(passed)))
        return chunks

    def close(self) -> list[Chunk]:
        chunks: list[Chunk] = []
        rest = self._splitter.rest()
        if not self._ended and read_rest(rest) is not None:
            passed: list[bytes] = []
            self._take(rest + b"\n\n", passed, chunks)
            if passed:
                chunks.insert(0, WireBytes(data=b"".join(passed)))
        if not self._ended:
            if not self._stopped:
                raise StreamInterrupted("the stream stopped before the answer's end")
            self._tail.append(_STOP)  # all was said; the caller still needs the end mark
            self._end(chunks)
        return chunks

    def _take(self, event: bytes, passed: list[bytes], chunks: list[Chunk]) -> None:
        """Every event that is not plain content after the first."""
        value = read_event(event)
        kind = None if value is None else value.get("type")
        if value is not None and kind == "message_start":
            message = value.get("message")
            if isinstance(message, dict):
                model = message.get("model")
                self._model = model if isinstance(model, str) else ""
                self._usage = message.get("usage")
                self._kept = kept_of(message.get("container"))
        if value is not None and kind == "message_delta":
            delta = value.get("delta")
            self._usage = later_usage(self._usage, value.get("usage"))
            self._stopped = self._stopped or (isinstance(delta, dict) and delta.get("stop_reason") is not None)
            self._kept = (kept_of(delta.get("container")) if isinstance(delta, dict) else ()) or self._kept
            self._release(passed)
            self._tail.append(event)
        elif kind == "message_stop":
            if not self._stopped:
                raise StreamInterrupted("the stream ended without a stop reason")
            self._tail.append(event)
            self._end(chunks)
        elif self._tail:
            self._note_silence(event)
            self._tail.append(event)
        else:
            self._note_silence(event)
            self._held.append(event)
            if self._opened or _says_something(value) or self._silent_bytes > _MOST_HELD:
                self._release(passed)

    def _note_silence(self, event: bytes) -> None:
        self._silent_bytes += len(event)
        if self._silent_bytes > MAX_EVENT_BYTES:
            raise MalformedReply(f"the provider sent {MAX_EVENT_BYTES} bytes of events without content")

    def _release(self, passed: list[bytes]) -> None:
        self._opened = True
        passed += self._held
        self._held = []

    def _end(self, chunks: list[Chunk]) -> None:
        self._ended = True
        usage, tail = read_usage(self._usage), b"".join(self._tail)
        chunks.append(Ended(usage=usage, model=self._model, wire=tail, kept=self._kept))


def _says_something(event: dict[str, object] | None) -> bool:
    """Whether an event carries content: a delta, or the start of a block that is more than its deltas."""
    if event is None:
        return False
    kind = event.get("type")
    if kind == "content_block_start":
        block = event.get("content_block")
        return isinstance(block, dict) and (
            block.get("type") not in _SILENT_BLOCKS or bool(block.get("text") or block.get("thinking"))
        )
    return kind == "content_block_delta"
