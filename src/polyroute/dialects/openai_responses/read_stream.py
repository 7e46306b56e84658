"""A stream as canonical chunks, for callers of another dialect.

Text, refusals, reasoning and calls go out by the piece; items that only this dialect knows, whole at their end. What
a server never sent by the piece is taken from the item's end, or from the answer in the last event.
"""

import orjson
from msgspec import Raw

from polyroute.dialects.openai_responses.events import FINISHED, Event, read_event
from polyroute.dialects.openai_responses.read_response import logprobs_in, objects, parts_of, string
from polyroute.dialects.openai_responses.shape import Item, created_in
from polyroute.dialects.openai_responses.stops import check_status, read_stop
from polyroute.dialects.openai_responses.usage import read_usage
from polyroute.dialects.sse import EventSplitter
from polyroute.errors import MalformedReply, StreamInterrupted
from polyroute.types.content import Text
from polyroute.types.response import (
    ChoiceEnded,
    Chunk,
    Ended,
    PartAdded,
    RefusalDelta,
    Started,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    ToolCallStarted,
)

_Place = tuple[int, str, int]  # output_index, the field of the item, the index in it


class ChunkReader:
    def __init__(self) -> None:
        self._events = EventSplitter()
        self._started = False
        self._ended = False
        self._parts: dict[_Place, int] = {}
        self._begun: set[int] = set()  # parts whose words came by the piece
        self._cited: dict[int, int] = {}  # citations told so far, by part
        self._done: set[int] = set()  # items
        self._kinds: set[str] = set()
        self._refuses = False

    def feed(self, data: bytes) -> list[Chunk]:
        chunks: list[Chunk] = []
        for event in self._events.feed(data):
            if not self._ended and (value := read_event(event)) is not None:
                self._take(value, chunks)
        return chunks

    def close(self) -> list[Chunk]:
        chunks: list[Chunk] = []
        rest = self._events.rest()
        if rest.strip() and not self._ended:
            try:
                value = read_event(rest)
            except MalformedReply as exc:
                raise StreamInterrupted("the provider's stream was cut in the middle of an event") from exc
            if value is not None:
                self._take(value, chunks)
        if not self._ended:
            raise StreamInterrupted("the provider's stream stopped before the answer was finished")
        return chunks

    def _take(self, event: Event, chunks: list[Chunk]) -> None:
        match event["type"]:
            case "response.output_text.delta":
                part = self._part(event, "content")
                chunks.append(TextDelta(text=string(event, "delta"), part=part, logprobs=logprobs_in(event) or None))
            case "response.reasoning_summary_text.delta":
                chunks.append(ThinkingDelta(text=string(event, "delta"), part=self._part(event, "summary")))
            case "response.reasoning_text.delta":
                chunks.append(ThinkingDelta(text=string(event, "delta"), part=self._part(event, "content")))
            case "response.refusal.delta":
                self._refuses = True
                chunks.append(RefusalDelta(text=string(event, "delta"), part=self._part(event, "content")))
            case "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta":
                if (part := self._parts.get((_index(event, "output_index"), "call", 0), -1)) >= 0:
                    self._begun.add(part)
                    chunks.append(ToolCallDelta(arguments=string(event, "delta"), part=part))
            case "response.output_text.annotation.added":
                part = self._part(event, "content")
                self._cited[part] = self._cited.get(part, 0) + 1
                chunks.append(PartAdded(content=Text(text="", citations=(_object(event, "annotation"),)), part=part))
            case "response.output_item.added":
                item = _object(event, "item")
                if _is_call(item):
                    self._start_call(_index(event, "output_index"), item, chunks)
            case "response.output_item.done":
                self._finish_item(_index(event, "output_index"), _object(event, "item"), chunks)
            case "response.created" | "response.queued" | "response.in_progress":
                self._start(_object(event, "response"), chunks)
            case kind if kind in FINISHED:
                self._end(_object(event, "response"), chunks)
            case _:
                pass  # progress of items that come whole, and what is yet to come

    def _start(self, response: Item, chunks: list[Chunk]) -> None:
        if not self._started:
            self._started = True
            created = created_in(response.get("created_at"))
            chunks.append(Started(id=string(response, "id"), model=string(response, "model"), created_s=created))

    def _end(self, response: Item, chunks: list[Chunk]) -> None:
        status, details = string(response, "status") or None, response.get("incomplete_details")
        check_status(status, response.get("error"))
        self._start(response, chunks)
        for index, item in enumerate(objects(response, "output")):
            if index not in self._done:
                self._finish_item(index, item, chunks)
        reason = string(details, "reason") if isinstance(details, dict) else None
        stop = read_stop(status, reason, self._kinds, refuses=self._refuses)
        usage = read_usage(Raw(orjson.dumps(response.get("usage"))))
        chunks.append(ChoiceEnded(stop=stop, raw_stop=reason or status))
        chunks.append(Ended(usage=usage, model=string(response, "model")))
        self._ended = True

    def _part(self, event: Event, field: str) -> int:
        """The part that a piece belongs to; a new one where it is the first."""
        inner = event.get("summary_index" if field == "summary" else "content_index")
        part = self._number((_index(event, "output_index"), field, inner if isinstance(inner, int) else 0))
        self._begun.add(part)
        return part

    def _number(self, place: _Place) -> int:
        return self._parts.setdefault(place, len(self._parts))

    def _start_call(self, index: int, item: Item, chunks: list[Chunk]) -> int:
        known = self._parts.get((index, "call", 0))
        if known is not None:
            return known
        part = self._number((index, "call", 0))
        call_id = string(item, "call_id") or string(item, "id")
        is_free = item["type"] == "custom_tool_call"
        chunks.append(ToolCallStarted(id=call_id, name=string(item, "name"), part=part, is_free=is_free))
        return part

    def _finish_item(self, index: int, item: Item, chunks: list[Chunk]) -> None:
        self._done.add(index)
        kind = string(item, "type")
        self._kinds.add(kind)
        if _is_call(item):
            part = self._start_call(index, item, chunks)
            if part not in self._begun and (arguments := string(item, "arguments") or string(item, "input")):
                chunks.append(ToolCallDelta(arguments=arguments, part=part))
        elif kind == "message":
            for inner, raw in enumerate(objects(item, "content")):
                self._finish_content(self._number((index, "content", inner)), raw, chunks)
        elif kind == "reasoning":
            for field in ("summary", "content"):
                for inner, raw in enumerate(objects(item, field)):
                    part = self._number((index, field, inner))
                    if part not in self._begun and (text := string(raw, "text")):
                        chunks.append(ThinkingDelta(text=text, part=part))
        else:
            part = self._number((index, "item", 0))
            chunks += [PartAdded(content=content, part=part) for content in parts_of(item)]

    def _finish_content(self, part: int, raw: Item, chunks: list[Chunk]) -> None:
        if raw.get("type") == "refusal":
            self._refuses = True
            if part not in self._begun:
                chunks.append(RefusalDelta(text=string(raw, "refusal"), part=part))
            return
        if part not in self._begun and (text := string(raw, "text")):
            chunks.append(TextDelta(text=text, part=part, logprobs=logprobs_in(raw) or None))
        if untold := objects(raw, "annotations")[self._cited.get(part, 0) :]:
            chunks.append(PartAdded(content=Text(text="", citations=tuple(untold)), part=part))


def _is_call(item: Item) -> bool:
    """A tool's call that other dialects can say; one in a namespace none but this one can."""
    return item.get("type") in ("function_call", "custom_tool_call") and not item.get("namespace")


def _index(event: Event, name: str) -> int:
    index = event.get(name)
    if type(index) is not int:
        raise MalformedReply(f"the provider sent an event without `{name}`")
    return index


def _object(event: Event, name: str) -> Item:
    value = event.get(name)
    if not isinstance(value, dict):
        raise MalformedReply(f"the provider sent an event whose `{name}` is no object")
    return value
