"""A stream passed on as it came, for callers of the same dialect: whole events, joined per feed.

An event is looked at only as far as its type. Held back are the opening events, until one says something (an early
error can then still be answered by another deployment), and the last one, which becomes `Ended.wire`: it holds the
usage, and a stream without it never ends properly. What follows it says nothing.
"""

from msgspec.structs import replace

from polyroute.dialects.openai_responses.events import FINISHED, Event, kind_of, read_event
from polyroute.dialects.openai_responses.kept import kept_of, kept_opening
from polyroute.dialects.openai_responses.read_response import raise_failure
from polyroute.dialects.openai_responses.shape import LAST_EVENT, SKIMMED, UNREADABLE
from polyroute.dialects.openai_responses.stops import check_status
from polyroute.dialects.openai_responses.usage import read_usage
from polyroute.dialects.sse import MAX_EVENT_BYTES, EventSplitter, parse_event
from polyroute.errors import MalformedReply, StreamInterrupted
from polyroute.types.response import Chunk, Ended, WireBytes

_CREATED = "response.created"
_ITEM = "response.output_item.added"
_OPENINGS = frozenset({
    "response.created", "response.queued", "response.in_progress", "response.content_part.added",
    "response.reasoning_summary_part.added",
})  # fmt: skip
_LAST = frozenset({*FINISHED, "response.failed", "response.cancelled"})
_EMPTY_ITEMS = ("message", "reasoning")  # they say something with their first delta only


class Tap:
    __slots__ = ("_ended", "_events", "_held", "_held_bytes", "_kept", "_opened")

    def __init__(self) -> None:
        self._events = EventSplitter()
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._kept: tuple[str, ...] = ()  # said with the first that is passed on
        self._opened = False
        self._ended = False

    def feed(self, data: bytes) -> list[Chunk]:
        if self._ended:
            return []
        passed: list[bytes] = []
        ended = None
        for event in self._events.feed(data):
            kind = kind_of(event)
            if kind and self._opened and kind not in _LAST:
                passed.append(event)
                continue
            ended = self._weigh(event, passed)
            if ended is not None:
                break
        chunks: list[Chunk] = [WireBytes(data=passed[0] if len(passed) == 1 else b"".join(passed))] if passed else []
        if self._kept and passed:
            chunks, self._kept = [replace(chunks[0], kept=self._kept)], ()
        return chunks if ended is None else [*chunks, ended]

    def close(self) -> list[Chunk]:
        if self._ended:
            return []
        rest = self._events.rest()
        passed: list[bytes] = []
        try:
            ended = self._weigh(rest, passed) if rest.strip() else None
        except MalformedReply as exc:
            raise StreamInterrupted("the provider's stream was cut in the middle of an event") from exc
        if ended is None:
            raise StreamInterrupted("the provider's stream stopped before the answer was finished")
        return [ended]

    def _weigh(self, event: bytes, passed: list[bytes]) -> Ended | None:
        value = read_event(event)
        if value is not None and value["type"] in FINISHED:
            self._ended = True
            return _ended(event, b"".join(self._held))
        if self._opened:
            passed.append(event)
        elif value is None or _is_opening(value):
            self._hold(event)
            if value is not None and value["type"] == _CREATED:
                self._kept = kept_opening(value)
        else:
            self._opened = True
            passed += [*self._held, event]
            self._held.clear()
        return None

    def _hold(self, event: bytes) -> None:
        self._held.append(event)
        self._held_bytes += len(event)
        if self._held_bytes > MAX_EVENT_BYTES:
            raise MalformedReply(f"the provider sent {MAX_EVENT_BYTES} bytes of events without content")


def _is_opening(value: Event) -> bool:
    if value["type"] == _ITEM:
        item = value.get("item")
        return isinstance(item, dict) and item.get("type") in _EMPTY_ITEMS
    return value["type"] in _OPENINGS or not str(value["type"]).startswith("response.")


def _ended(event: bytes, held: bytes) -> Ended:
    data = parse_event(event)[1]
    try:
        answer = SKIMMED.decode(LAST_EVENT.decode(data).response)
    except UNREADABLE as exc:
        raise_failure(data, exc)
    check_status(answer.status, answer.error)
    return Ended(usage=read_usage(answer.usage), model=answer.model or "", wire=held + event, kept=kept_of(answer))
