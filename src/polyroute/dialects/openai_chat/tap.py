"""A stream passed on as it came, for callers of the same dialect: whole events, joined per feed.

An event is looked at only as far as it takes to know that it is plain content. Held back are the opening events,
until one says something (an early error can then still be answered by another deployment), and the tail from the
first `finish_reason` on, which becomes `Ended.wire`: a stream without one never ends properly.
"""

from polyroute.dialects.openai_chat.events import DONE, answer_of, data_of
from polyroute.dialects.openai_chat.shape import WireAnswer, says_something, usage_in
from polyroute.dialects.openai_chat.usage import read_usage
from polyroute.dialects.sse import MAX_EVENT_BYTES, EventSplitter
from polyroute.errors import MalformedReply, StreamInterrupted
from polyroute.types.response import Chunk, Ended, WireBytes

_SPACED = b'": '  # JSON with a space after the colon is rare here, and parsed


class Tap:
    __slots__ = (
        "_ended",
        "_events",
        "_fingerprint",
        "_finished",
        "_held",
        "_held_bytes",
        "_model",
        "_opened",
        "_silent_bytes",
        "_unfinished",
        "_usage",
    )

    def __init__(self) -> None:
        self._events = EventSplitter()
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._silent_bytes = 0  # of events passed on that are no content
        self._opened = False
        self._ended = False
        self._finished: set[int] = set()
        self._unfinished: set[int] = set()  # seen to go on after another choice had finished
        self._usage = b""
        self._model = ""
        self._fingerprint: str | None = None

    def feed(self, data: bytes) -> list[Chunk]:
        if self._ended:
            return []
        passed: list[bytes] = []
        ended = None
        for event in self._events.feed(data):
            if self._opened and not self._held and _is_plain(event):
                passed.append(event)
            else:
                ended = self._weigh(event, passed)
                if ended is not None:
                    break
        chunks: list[Chunk] = [WireBytes(data=passed[0] if len(passed) == 1 else b"".join(passed))] if passed else []
        if ended is not None:
            chunks.append(ended)
        return chunks

    def close(self) -> list[Chunk]:
        if self._ended:
            return []
        passed: list[bytes] = []
        rest = self._events.rest()
        ended = None
        if rest.strip():
            try:
                ended = self._weigh(rest, passed) if data_of(rest) else None
            except MalformedReply as exc:
                raise StreamInterrupted("the provider's stream was cut in the middle of an event") from exc
        elif rest:
            self._held.append(rest)
        chunks: list[Chunk] = [WireBytes(data=b"".join(passed))] if passed else []
        return [*chunks, ended or self._end()]

    def _weigh(self, event: bytes, passed: list[bytes]) -> Ended | None:
        data = data_of(event)
        if data == DONE:
            self._hold(event)
            return self._end()
        goes_on = False
        finishes = False
        if data:
            answer = answer_of(data)
            self._note(answer)
            for choice in answer.choices or ():
                index = choice.index or 0
                if choice.finish_reason:
                    finishes = True
                    self._finished.add(index)
                elif index not in self._finished and (
                    choice.text or (choice.delta is not None and says_something(choice.delta))
                ):
                    goes_on = True
                    if self._finished:
                        self._unfinished.add(index)
        if goes_on and not finishes:
            self._opened = True
            passed += self._held
            passed.append(event)
            self._held.clear()
            self._held_bytes = 0
        elif finishes or self._held or not self._opened:
            self._hold(event)
        else:
            self._silent_bytes += len(event)
            _check_silence(self._silent_bytes)
            passed.append(event)
        return None

    def _note(self, answer: WireAnswer) -> None:
        if answer.model:
            self._model = answer.model
        if answer.system_fingerprint:
            self._fingerprint = answer.system_fingerprint
        self._usage = bytes(usage_in(answer)) or self._usage  # some report it with every chunk: the last one counts

    def _hold(self, event: bytes) -> None:
        self._held.append(event)
        self._held_bytes += len(event)
        _check_silence(self._held_bytes)

    def _end(self) -> Ended:
        unfinished = self._unfinished | set(range(max(self._finished, default=0) + 1))
        if unfinished - self._finished:
            raise StreamInterrupted("the provider's stream stopped before the answer was finished")
        self._ended = True
        tail = b"".join(self._held)
        return Ended(usage=read_usage(self._usage), model=self._model, fingerprint=self._fingerprint, wire=tail)


def _check_silence(size: int) -> None:
    if size > MAX_EVENT_BYTES:
        raise MalformedReply(f"the provider sent {MAX_EVENT_BYTES} bytes of events without content")


def _is_plain(event: bytes) -> bool:
    """A chunk of content and nothing else. Quotes inside a JSON string are escaped, so no text can look like a key."""
    if (
        not event.startswith(b'data: {"')
        or not event.endswith(b"}\n\n")
        or b'"finish_reason":"' in event
        or event.find(_SPACED, 8, 40) > 0
    ):
        return False
    # Chunk, choice and delta are objects: with no fourth there is neither a usage nor an error.
    return event.count(b"{") == 3 or (b'"usage":{' not in event and b'"error"' not in event)
