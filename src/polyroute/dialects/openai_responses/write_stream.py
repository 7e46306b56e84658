"""Chunks as events for callers of this door: a stream of our own dialect as it came, any other written anew.

Items follow one another, as OpenAI sends them; calls made at once stay open together, since their arguments may come
in turns. The last event, with the whole answer and its usage, leaves with `end` only: until then it may prove cut.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from polyroute.dialects.openai_responses.names import made_id
from polyroute.dialects.openai_responses.output import (
    Item,
    annotation,
    call_item,
    image_item,
    message_item,
    reasoning_item,
    write_logprobs,
)
from polyroute.dialects.openai_responses.places import ADDED, CALLED, DONE, EMPTY, Place, at, inner
from polyroute.dialects.openai_responses.report import with_report
from polyroute.dialects.openai_responses.stops import incomplete_reason
from polyroute.dialects.openai_responses.usage import write_usage
from polyroute.dialects.openai_responses.write_response import echo, ending, head, opaque_raw
from polyroute.dialects.sse import comment
from polyroute.types.content import Image, Part, Refusal, Text, Thinking, ToolCall
from polyroute.types.request import Request
from polyroute.types.response import (
    ChoiceEnded,
    Chunk,
    Ended,
    PartAdded,
    RefusalDelta,
    Resumed,
    Started,
    StopReason,
    TextDelta,
    ThinkingDelta,
    TokenLogprob,
    ToolCallDelta,
    ToolCallStarted,
    WireBytes,
)


class EventWriter:
    def __init__(self, request: Request) -> None:
        self._echo = echo(request)
        self._head: Item = {}
        self._answer_id = ""  # the provider's
        self._sequence = 0
        self._items: list[Item] = []
        self._open: Item | None = None  # the message or the reasoning that is being written
        self._place: Place | None = None  # its last part
        self._part = ("", -1)  # what that is: kind and canonical number
        self._texts: dict[int, Place] = {}  # by canonical number: citations come late
        self._calls: dict[int, Place] = {}
        self._open_calls: list[int] = []
        self._refuses = False
        self._is_told = False  # sealed reasoning came whole: the words after it are its own
        self._stop = StopReason.UNKNOWN

    def write(self, chunk: Chunk) -> bytes:
        match chunk:
            case WireBytes():
                return chunk.data
            case Started():
                return self._start(chunk.id, chunk.model, chunk.created_s or 0)
            case TextDelta(choice=0):
                return self._text(chunk.part, chunk.text, chunk.logprobs) if chunk.text or chunk.logprobs else b""
            case RefusalDelta(choice=0):
                return self._refusal(chunk.part, chunk.text)
            case ThinkingDelta(choice=0):
                return self._thinking(chunk.part, chunk.text)
            case ToolCallStarted(choice=0):
                begun = ToolCall(id=chunk.id, name=chunk.name, arguments="", is_free=chunk.is_free)
                return self._start_call(chunk.part, begun)
            case ToolCallDelta(choice=0):
                return self._call_goes_on(chunk.part, chunk.arguments)
            case PartAdded(choice=0):
                return self._add(chunk.content, chunk.part)
            case Resumed():
                self._head["model"] = chunk.model
                return comment(f"polyroute: {chunk.name} goes on")
            case ChoiceEnded(choice=0):
                self._stop = chunk.stop
                return self._close_all(is_last=True)
            case _:
                return b""  # `end` writes the end; this dialect gives one choice

    def end(self, ended: Ended, report: Mapping[str, object]) -> bytes:
        if ended.wire is not None:
            return with_report(ended.wire, report)
        begun = b"" if self._head else self._start("", ended.model, 0)
        closing = begun + self._close_all(is_last=True)
        reason = incomplete_reason(self._stop, refusal_shown=self._refuses)
        answer = {
            **self._head,
            **self._echo,
            **ending(reason),
            "output": self._items,
            "usage": write_usage(ended.usage),
        }
        if report:
            answer["polyroute"] = dict(report)
        return closing + self._event("response.incomplete" if reason else "response.completed", response=answer)

    def error(self, kind: str, message: str, code: str | None) -> bytes:
        # OpenAI documents the flat form and sends the nested one, by which SDKs know that they must raise.
        told = {"type": kind, "code": code, "message": message, "param": None}
        return self._event("error", code=code, message=message, param=None, error=told)

    # ── items ─────────────────────────────────────────────────────────────────────────────────────────

    def _start(self, answer_id: str, model: str, created_s: int) -> bytes:
        self._answer_id, self._head = answer_id, head(answer_id, model, created_s)
        answer = {**self._head, **self._echo, "status": "in_progress", "incomplete_details": None}
        answer |= {"output": [], "usage": None}
        return self._event("response.created", response=answer) + self._event("response.in_progress", response=answer)

    def _text(self, part: int, text: str, logprobs: tuple[TokenLogprob, ...] | None) -> bytes:
        opened, place = self._turn_to("text", part)
        told = write_logprobs(logprobs or ())
        place.content["logprobs"] += told
        return opened + self._delta("response.output_text.delta", place, text, content_index=place.index, logprobs=told)

    def _refusal(self, part: int, text: str) -> bytes:
        self._refuses = True
        opened, place = self._turn_to("refusal", part)
        return opened + self._delta("response.refusal.delta", place, text, content_index=place.index)

    def _thinking(self, part: int, text: str) -> bytes:
        if self._is_told or not text:
            return b""  # another provider's signature means nothing to callers of this door
        opened, place = self._turn_to("summary", part)
        return opened + self._delta("response.reasoning_summary_text.delta", place, text, summary_index=place.index)

    def _start_call(self, part: int, call: ToolCall) -> bytes:
        closed = self._close_item()
        item = call_item(self._id("ctc" if call.is_free else "fc"), call, "in_progress")
        opened = self._add_item(item)
        self._calls[part] = Place(item, len(self._items) - 1, item, 0)
        self._open_calls.append(part)
        return closed + opened

    def _call_goes_on(self, part: int, arguments: str) -> bytes:
        place = self._calls[part]
        told = CALLED[place.item["type"]]
        if part not in self._open_calls:
            place.item[told.field] += arguments  # late: its item was told already, the answer's end has all
        return self._delta(told.delta, place, arguments) if arguments else b""

    def _add(self, part: Part, number: int) -> bytes:
        match part:
            case Text():
                return self._cited_text(part, number)
            case Thinking():
                return self._thinking(number, part.text)
            case Refusal():
                return self._refusal(number, part.text)
            case ToolCall():
                begun = ToolCall(id=part.id, name=part.name, arguments="", is_free=part.is_free)
                return self._start_call(number, begun) + self._call_goes_on(number, part.arguments)
            case Image():
                return self._whole(image_item(self._id("ig"), part))
            case _ if (raw := opaque_raw(part)) is not None:
                written = self._whole(raw)
                self._is_told = raw.get("type") == "reasoning"
                return written
            case _:
                return b""  # another provider's own parts have no form here; the request was refused them

    def _cited_text(self, part: Text, number: int) -> bytes:
        written = self._text(number, part.text, None) if part.text or number not in self._texts else b""
        place = self._texts[number]
        length = len(place.content["text"]) or sum(map(len, place.pieces))
        for citation in part.citations:
            noted = annotation(citation, length - len(part.text) if part.text else 0, length)
            told = {"annotation_index": len(place.content["annotations"]), "annotation": noted}
            place.content["annotations"].append(noted)
            written += self._event(
                "response.output_text.annotation.added", **at(place), content_index=place.index, **told
            )
        return written

    def _whole(self, item: Item) -> bytes:
        closed = self._close_all(is_last=False) + self._add_item(item)
        return closed + self._event("response.output_item.done", output_index=len(self._items) - 1, item=item)

    def _turn_to(self, kind: str, part: int) -> tuple[bytes, Place]:
        """The place of the open part of `kind`, and the events that opened it where it was not open yet."""
        if self._part == (kind, part) and self._place is not None:
            return b"", self._place
        wanted = "reasoning" if kind == "summary" else "message"
        opened = self._close_calls("completed") + self._close_part()
        if self._open is None or self._open["type"] != wanted:
            opened += self._close_item()
            self._open = (
                reasoning_item(self._id("rs"), [])
                if wanted == "reasoning"
                else message_item(self._id("msg"), [], "in_progress")
            )
            opened += self._add_item(self._open)
        held: list[Item] = self._open["summary" if wanted == "reasoning" else "content"]
        content = EMPTY[kind]()
        held.append(content)
        place = self._place = Place(self._open, len(self._items) - 1, content, len(held) - 1)
        self._part = (kind, part)
        if kind == "text":
            self._texts[part] = place
        return opened + self._event(ADDED[kind], **at(place), **inner(kind, place), part=content), place

    # ── ends ──────────────────────────────────────────────────────────────────────────────────────────

    def _close_part(self) -> bytes:
        place, kind = self._place, self._part[0]
        if place is None:
            return b""
        self._place, self._part = None, ("", -1)
        field = "refusal" if kind == "refusal" else "text"
        place.content[field] = "".join(place.pieces)
        where = {**at(place), **inner(kind, place)}
        told: Item = {field: place.content[field]}
        if kind == "text":
            told["logprobs"] = place.content["logprobs"]
        return self._event(DONE[kind], **where, **told) + self._event(
            ADDED[kind].replace(".added", ".done"), **where, part=place.content
        )

    def _close_item(self, status: str = "completed") -> bytes:
        closed, item = self._close_part(), self._open
        if item is None:
            return closed
        self._open = None
        if "status" in item:
            item["status"] = status
        return closed + self._event("response.output_item.done", output_index=len(self._items) - 1, item=item)

    def _close_calls(self, status: str) -> bytes:
        closed = b""
        for part in self._open_calls:
            place = self._calls[part]
            item, told = place.item, CALLED[place.item["type"]]
            item |= {told.field: item[told.field] + "".join(place.pieces) or told.empty, "status": status}
            said = {name: item[name] for name in told.shown}
            closed += self._event(told.done, **at(place), **said)
            closed += self._event("response.output_item.done", output_index=place.number, item=item)
        self._open_calls.clear()
        return closed

    def _close_all(self, *, is_last: bool) -> bytes:
        is_cut = is_last and incomplete_reason(self._stop, refusal_shown=self._refuses) is not None
        status = "incomplete" if is_cut else "completed"
        return self._close_item(status) + self._close_calls(status)

    # ── events ────────────────────────────────────────────────────────────────────────────────────────

    def _add_item(self, item: Item) -> bytes:
        self._items.append(item)
        self._is_told = False
        return self._event("response.output_item.added", output_index=len(self._items) - 1, item=item)

    def _delta(self, kind: str, place: Place, delta: str, **more: Any) -> bytes:
        place.pieces.append(delta)
        return self._event(kind, **at(place), **more, delta=delta)

    def _event(self, kind: str, **fields: Any) -> bytes:
        data = orjson.dumps({"type": kind, **fields, "sequence_number": self._sequence})
        self._sequence += 1
        return b"event: %b\ndata: %b\n\n" % (kind.encode(), data)

    def _id(self, kind: str) -> str:
        return made_id(kind, self._answer_id, len(self._items))
