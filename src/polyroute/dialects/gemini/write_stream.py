"""An answer's chunks to Gemini's events: its own bytes as they came, others written anew.

Gemini calls a function in one piece: a call's arguments are gathered until its choice has ended. The finish, the usage
and the report leave with `end` only: until then an answer may still prove cut.
"""

from collections.abc import Mapping

import orjson

from polyroute.dialects.gemini.answers import signed_parts
from polyroute.dialects.gemini.citations import write_grounding
from polyroute.dialects.gemini.failures import error_object
from polyroute.dialects.gemini.logprobs import write_logprobs
from polyroute.dialects.gemini.names import Block
from polyroute.dialects.gemini.stops import write_stop
from polyroute.dialects.gemini.usage import write_usage
from polyroute.dialects.gemini.write_content import write_part
from polyroute.dialects.sse import EventSplitter, comment, parse_event
from polyroute.types.content import Part, Text, ToolCall
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
    ToolCallDelta,
    ToolCallStarted,
    WireBytes,
)


class EventWriter:
    """One per answer."""

    __slots__ = ("_calls", "_endings", "_head", "_texts")

    def __init__(self) -> None:
        self._head: Block = {}
        self._calls: dict[int, dict[int, _Call]] = {}  # by choice and part
        self._texts: dict[int, list[Part]] = {}  # by choice: where citations stand
        self._endings: list[ChoiceEnded] = []

    def write(self, chunk: Chunk) -> bytes:
        match chunk:
            case WireBytes():
                return chunk.data
            case Started():
                self._head = {"modelVersion": chunk.model, **({"responseId": chunk.id} if chunk.id else {})}
                return b""
            case TextDelta():
                self._texts.setdefault(chunk.choice, []).append(Text(text=chunk.text))
                more: Block = {}
                if chunk.logprobs is not None:
                    more["logprobsResult"] = write_logprobs(chunk.logprobs)
                return self._event(chunk.choice, [{"text": chunk.text}], more) if chunk.text or more else b""
            case RefusalDelta():
                return self._event(chunk.choice, [{"text": chunk.text}]) if chunk.text else b""
            case ThinkingDelta():
                return self._event(chunk.choice, [{"text": chunk.text, "thought": True}]) if chunk.text else b""
            case ToolCallStarted():
                begun = _Call(chunk.id, chunk.name, chunk.thought_signature)
                self._calls.setdefault(chunk.choice, {})[chunk.part] = begun
                return b""
            case ToolCallDelta():
                self._calls[chunk.choice][chunk.part].arguments.append(chunk.arguments)
                return b""
            case PartAdded():
                return self._add(chunk.choice, chunk.part, chunk.content)
            case ChoiceEnded():
                self._endings.append(chunk)
                calls = [write_part(call.whole(), []) for call in self._calls.pop(chunk.choice, {}).values()]
                return self._event(chunk.choice, signed_parts([call for call in calls if call])) if calls else b""
            case Resumed():
                self._head["modelVersion"] = chunk.model
                return comment(f"polyroute: {chunk.name} goes on")
            case Ended():
                return b""  # `end` writes it

    def end(self, ended: Ended, report: Mapping[str, object]) -> bytes:
        if ended.wire is not None:
            return _with_report(ended.wire, report)
        endings = self._endings or [ChoiceEnded(stop=StopReason.UNKNOWN)]
        body: Block = {"candidates": [_finished(ending) for ending in endings]}
        if ended.usage is not None:
            body["usageMetadata"] = write_usage(ended.usage)
        body |= self._head or {"modelVersion": ended.model}
        if report:
            body["polyroute"] = report
        return _event(body)

    def error(self, kind: str, message: str, code: str | None) -> bytes:
        return _event(error_object(kind, message, field=None, code=code))

    def _event(self, choice: int, parts: list[Block], more: Block | None = None) -> bytes:
        candidate: Block = {"content": {"parts": parts, "role": "model"}, "index": choice, **(more or {})}
        return _event({"candidates": [candidate], **self._head})

    def _add(self, choice: int, number: int, part: Part) -> bytes:
        if isinstance(part, ToolCall):
            call = _Call(part.id, part.name, part.thought_signature)
            call.arguments.append(part.arguments)
            self._calls.setdefault(choice, {})[number] = call
            return b""
        more: Block = {}
        if isinstance(part, Text):
            texts = self._texts.setdefault(choice, [])
            texts.append(part)
            if part.citations and (grounding := write_grounding([*_bare(texts[:-1]), part])) is not None:
                more["groundingMetadata"] = grounding
        block = write_part(part, [])
        if block is None and not more:
            return b""
        return self._event(choice, [] if block is None else [block], more)


class ArrayWriter:
    """The same events as the elements of one JSON array, which is how Gemini streams without `alt=sse`."""

    __slots__ = ("_begun", "_events")

    def __init__(self) -> None:
        self._events = EventWriter()
        self._begun = False

    def write(self, chunk: Chunk) -> bytes:
        return self._elements(self._events.write(chunk))

    def end(self, ended: Ended, report: Mapping[str, object]) -> bytes:
        return self._elements(self._events.end(ended, report)) + (b"]" if self._begun else b"[]")

    def error(self, kind: str, message: str, code: str | None) -> bytes:
        return self._elements(self._events.error(kind, message, code)) + b"]"

    def _elements(self, events: bytes) -> bytes:
        written = b""
        for event in _events_of(events):
            if data := parse_event(event)[1].strip():
                written += (b",\r\n" if self._begun else b"[") + data
                self._begun = True
        return written


class _Call:
    """A function call whose arguments are still coming."""

    __slots__ = ("_id", "_name", "_signature", "arguments")

    def __init__(self, call_id: str, name: str, signature: str | None) -> None:
        self._id = call_id
        self._name = name
        self._signature = signature
        self.arguments: list[str] = []

    def whole(self) -> ToolCall:
        return ToolCall(
            id=self._id, name=self._name, arguments="".join(self.arguments), thought_signature=self._signature
        )


def _bare(texts: list[Part]) -> list[Part]:
    """Texts that count for the place of what follows; their own citations were told."""
    return [Text(text=part.text) for part in texts if isinstance(part, Text)]


def _finished(ending: ChoiceEnded) -> Block:
    content: Block = {"parts": [{"text": ""}], "role": "model"}
    return {"content": content, "finishReason": write_stop(ending.stop, ending.raw_stop), "index": ending.choice}


def _event(value: Block) -> bytes:
    return b"data: %b\r\n\r\n" % orjson.dumps(value)


def _events_of(data: bytes) -> list[bytes]:
    splitter = EventSplitter()
    events = splitter.feed(data)
    rest = splitter.rest()
    return [*events, rest] if rest else events


def _with_report(tail: bytes, report: Mapping[str, object]) -> bytes:
    """`tail` with the report as the last field of its last event; every other byte as it came."""
    if not report:
        return tail
    events = _events_of(tail)
    for number in range(len(events) - 1, -1, -1):
        end = events[number].rfind(b"}")
        if end >= 0 and parse_event(events[number])[1].strip()[:1] == b"{":
            events[number] = b'%b,"polyroute":%b%b' % (events[number][:end], orjson.dumps(report), events[number][end:])
            break
    return b"".join(events)
