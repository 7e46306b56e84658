"""An upstream's stream passed on as it comes, for a door of the same dialect; only its ends are read.

The opening events wait for the first content, so that an error before it may still be answered by another
deployment. The closing ones, messageStop and metadata, wait in `Ended`, for the books. Between them frames are verified
and nothing is parsed.
"""

from polyroute.dialects.bedrock_converse.events import need_no_rest, read_event
from polyroute.dialects.bedrock_converse.usage import read_usage
from polyroute.dialects.event_stream import PRELUDE_BYTES, FrameSplitter
from polyroute.errors import StreamInterrupted
from polyroute.types.response import Chunk, Ended, WireBytes

_DELTA = b"\x0b:event-type\x07\x00\x11contentBlockDelta"  # how the header of a delta begins, as Bedrock writes it


class Tap:
    __slots__ = ("_ended", "_held", "_model", "_opened", "_splitter", "_stopped", "_tail", "_usage")

    def __init__(self) -> None:
        self._splitter = FrameSplitter()
        self._held: list[bytes] = []  # opening frames
        self._tail: list[bytes] = []  # from messageStop on
        self._opened = False  # content came
        self._stopped = False  # a stop reason came
        self._ended = False
        self._model = ""
        self._usage: object = None

    def feed(self, data: bytes) -> list[Chunk]:
        passed: list[bytes] = []
        chunks: list[Chunk] = []
        for frame in self._splitter.feed(data):
            if self._opened and not self._tail and frame.startswith(_DELTA, PRELUDE_BYTES):
                passed.append(frame)
            elif not self._ended:
                self._take(frame, passed, chunks)
        if passed:
            chunks.insert(0, WireBytes(data=passed[0] if len(passed) == 1 else b"".join(passed)))
        return chunks

    def close(self) -> list[Chunk]:
        chunks: list[Chunk] = []
        if not self._ended:
            need_no_rest(self._splitter.rest())
            if not self._stopped:
                raise StreamInterrupted("the stream stopped before the answer's end")
            self._end(chunks)  # all was said; only the usage is missing
        return chunks

    def _take(self, frame: bytes, passed: list[bytes], chunks: list[Chunk]) -> None:
        """Every frame that is not a delta after the first."""
        kind, payload = read_event(frame)
        if kind == "messageStop":
            self._stopped = payload.get("stopReason") is not None
            self._release(passed)
            self._tail.append(frame)
        elif kind == "metadata":
            self._usage = payload.get("usage")
            self._model = invoked_model(payload) or self._model
            self._hold(frame, passed)
        else:
            self._hold(frame, passed)
            if kind in ("contentBlockDelta", "contentBlockStart"):
                self._release(passed)
        if self._stopped and self._usage is not None:
            self._end(chunks)

    def _hold(self, frame: bytes, passed: list[bytes]) -> None:
        if self._tail:
            self._tail.append(frame)
        elif self._opened:
            passed.append(frame)
        else:
            self._held.append(frame)

    def _release(self, passed: list[bytes]) -> None:
        self._opened = True
        passed += self._held
        self._held = []

    def _end(self, chunks: list[Chunk]) -> None:
        self._ended = True
        chunks.append(Ended(usage=read_usage(self._usage), model=self._model, wire=b"".join(self._tail)))


def invoked_model(payload: dict[str, object]) -> str:
    """The model that a prompt router chose; empty where none says so."""
    trace = payload.get("trace")
    router = trace.get("promptRouter") if isinstance(trace, dict) else None
    model = router.get("invokedModelId") if isinstance(router, dict) else None
    return model if isinstance(model, str) else ""
