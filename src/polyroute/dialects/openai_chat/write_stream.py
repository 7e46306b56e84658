"""Chunks as server-sent events for callers of this door.

A stream of our own dialect passes as it came, but for usage that the caller did not ask for; any other is written
anew. The finish, the usage and the end mark leave with `end` only: until then an answer may still prove cut.
"""

from collections.abc import Mapping
from typing import Any, assert_never

import orjson

from polyroute.dialects.openai_chat.errors import render_error
from polyroute.dialects.openai_chat.events import DONE
from polyroute.dialects.openai_chat.names import NAME
from polyroute.dialects.openai_chat.stops import write_stop
from polyroute.dialects.openai_chat.usage import write_usage
from polyroute.dialects.openai_chat.write_response import (
    asks_legacy_functions,
    write_citation,
    write_image,
    write_logprobs,
    write_reasoning_details,
)
from polyroute.dialects.sse import EventSplitter, comment, parse_event
from polyroute.types.content import Image, Opaque, Part, Refusal, Text, Thinking, ToolCall
from polyroute.types.request import Request
from polyroute.types.response import (
    ChoiceEnded,
    Chunk,
    Ended,
    PartAdded,
    RefusalDelta,
    Resumed,
    Started,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    ToolCallStarted,
    WireBytes,
)

_DONE_EVENT = b"data: " + DONE + b"\n\n"
_NULL_USAGE = b',"usage":null'


class EventWriter:
    def __init__(self, request: Request) -> None:
        self._shows_usage = request.stream_usage
        self._legacy = asks_legacy_functions(request)
        self._head: dict[str, Any] = {"id": "", "object": "chat.completion.chunk", "created": 0, "model": ""}
        self._choices: dict[int, _Choice] = {}
        self._finishes: list[bytes] = []
        self._resumed = False  # two models have answered: that is told in any case

    def write(self, chunk: Chunk) -> bytes:
        match chunk:
            case WireBytes():
                return chunk.data if self._shows_usage else _without_usage(chunk.data)
            case Started():
                self._head.update(id=chunk.id, created=chunk.created_s or 0, model=chunk.model)
                return b""
            case TextDelta():
                delta: dict[str, Any] = {"content": chunk.text}
                choice = self._choice(chunk.choice)
                choice.starts.setdefault(chunk.part, choice.length)
                choice.length += len(chunk.text)
                logprobs = None
                if chunk.logprobs is not None:
                    logprobs = {"content": write_logprobs(chunk.logprobs), "refusal": None}
                return self._event(chunk.choice, delta, logprobs=logprobs)
            case ThinkingDelta():
                return self._thinking(chunk)
            case RefusalDelta():
                self._choice(chunk.choice).refuses = True
                return self._event(chunk.choice, {"refusal": chunk.text})
            case ToolCallStarted():
                begun = ToolCall(id=chunk.id, name=chunk.name, arguments="", is_free=chunk.is_free)
                return self._call_started(chunk.choice, chunk.part, begun)
            case ToolCallDelta():
                return self._call_goes_on(chunk)
            case PartAdded():
                return self._part(chunk.content, chunk.part, chunk.choice)
            case ChoiceEnded():
                choice = self._choice(chunk.choice)
                finish = write_stop(chunk.stop, refusal_shown=choice.refuses, legacy_calls=self._legacy)
                empty = [
                    ToolCallDelta(arguments="{}", part=part, choice=chunk.choice) for part in sorted(choice.empty_calls)
                ]
                self._finishes += [*map(self._call_goes_on, empty), self._event(chunk.choice, {}, finish=finish)]
                return b""
            case Resumed():
                self._resumed = True
                self._head["model"] = chunk.model
                return comment(f"polyroute: {chunk.name} goes on")
            case Ended():
                return b""  # `end` writes it
            case _:
                assert_never(chunk)

    def end(self, ended: Ended, report: Mapping[str, object]) -> bytes:
        if ended.wire is not None:
            return (
                _closed(ended.wire, ended, dict(report)) if self._shows_usage else _finished(_without_usage(ended.wire))
            )
        if self._resumed and self._finishes and not self._shows_usage:
            self._finishes[-1] = with_report(self._finishes[-1], report)
        closing = b"".join(self._finishes)
        if self._shows_usage:
            closing += _usage_event(self._head, ended, dict(report))
        return closing + _DONE_EVENT

    def error(self, kind: str, message: str, code: str | None) -> bytes:
        return b"data: " + render_error(kind, message, field=None, code=code) + b"\n\n"

    def _choice(self, index: int) -> "_Choice":
        return self._choices.setdefault(index, _Choice())

    def _event(
        self, index: int, delta: dict[str, Any], *, finish: str | None = None, logprobs: dict[str, Any] | None = None
    ) -> bytes:
        choice = self._choice(index)
        if not choice.begun:
            choice.begun = True
            delta = {"role": "assistant", "content": None if "tool_calls" in delta else "", **delta}
        said = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        body = {**self._head, "choices": [said]}
        if self._shows_usage:
            body["usage"] = None
        return b"data: " + orjson.dumps(body) + b"\n\n"

    def _thinking(self, chunk: ThinkingDelta) -> bytes:
        delta: dict[str, Any] = {"reasoning_content": chunk.text} if chunk.text else {}
        details = write_reasoning_details(
            Thinking(text=chunk.text, signature=chunk.signature, redacted=chunk.redacted), chunk.part
        )
        if details:
            delta["reasoning_details"] = details
        return self._event(chunk.choice, delta) if delta else b""

    def _call_started(self, choice: int, part: int, begun: ToolCall) -> bytes:
        state = self._choice(choice)
        position = state.calls[part] = len(state.calls)
        if begun.is_free:
            state.free_calls.add(part)
            custom = {"name": begun.name, "input": begun.arguments}
            call = {"index": position, "id": begun.id, "type": "custom", "custom": custom}
            return self._event(choice, {"tool_calls": [call]})
        if not begun.arguments:
            state.empty_calls.add(part)
        function = {"name": begun.name, "arguments": begun.arguments}
        if self._legacy:
            return self._event(choice, {"function_call": function}) if position == 0 else b""
        call = {"index": position, "id": begun.id, "type": "function", "function": function}
        return self._event(choice, {"tool_calls": [call]})

    def _call_goes_on(self, chunk: ToolCallDelta) -> bytes:
        choice = self._choice(chunk.choice)
        position = choice.calls[chunk.part]
        if chunk.part in choice.free_calls:
            custom = {"input": chunk.arguments}
            return self._event(chunk.choice, {"tool_calls": [{"index": position, "custom": custom}]})
        if chunk.arguments:
            choice.empty_calls.discard(chunk.part)
        function = {"arguments": chunk.arguments}
        if self._legacy:
            return self._event(chunk.choice, {"function_call": function}) if position == 0 else b""
        return self._event(chunk.choice, {"tool_calls": [{"index": position, "function": function}]})

    def _part(self, part: Part, number: int, choice: int) -> bytes:
        match part:
            case Text():
                state = self._choice(choice)
                start = state.starts.setdefault(number, state.length)
                state.length += len(part.text)
                delta: dict[str, Any] = {"content": part.text} if part.text else {}
                if part.citations:
                    delta["annotations"] = [write_citation(item, start, state.length) for item in part.citations]
                return self._event(choice, delta) if delta else b""
            case Thinking():
                return self._thinking(
                    ThinkingDelta(
                        text=part.text, signature=part.signature, redacted=part.redacted, part=number, choice=choice
                    )
                )
            case Refusal():
                self._choice(choice).refuses = True
                return self._event(choice, {"refusal": part.text})
            case ToolCall():
                return self._call_started(choice, number, part)
            case Image():
                return self._event(choice, {"images": [write_image(part)]})
            case Opaque() if part.dialect == NAME and part.kind == "audio":
                return self._event(choice, {"audio": part.raw})
            case _:
                return b""  # another provider's own parts have no form here; the request was refused them


class _Choice:
    def __init__(self) -> None:
        self.begun = False
        self.refuses = False
        self.length = 0  # characters of text so far
        self.starts: dict[int, int] = {}  # how many there were before each part
        self.calls: dict[int, int] = {}  # our part numbers to positions among the tool calls
        self.free_calls: set[int] = set()  # parts whose input is text
        self.empty_calls: set[int] = set()  # parts without arguments yet: callers parse them, and "" is not JSON


def with_report(event: bytes, report: Mapping[str, object]) -> bytes:
    """`event`, one of ours, with the report as its last field."""
    return event[:-3] + b',"polyroute":' + orjson.dumps(report) + event[-3:]


def _usage_event(head: Mapping[str, object], ended: Ended, report: dict[str, object]) -> bytes:
    usage = None if ended.usage is None else write_usage(ended.usage)
    body = {**head, "choices": [], "usage": usage, "polyroute": report}
    return b"data: " + orjson.dumps(body) + b"\n\n"


# ── the wire's own bytes ──────────────────────────────────────────────────────────────────────────────


def _without_usage(data: bytes) -> bytes:
    """`data` without what the caller did not ask for: its null in every chunk, and the chunk that is only usage."""
    if b'"usage"' not in data:
        return data
    data = data.replace(_NULL_USAGE, b"")
    if b'"usage"' not in data:
        return data
    return b"".join(map(_event_without_usage, _events_of(data)))


def _event_without_usage(event: bytes) -> bytes:
    body = _body_of(event)
    if "usage" not in body:
        return event
    if body["usage"] is not None and not body.get("choices"):
        return b""
    del body["usage"]
    return b"data: " + orjson.dumps(body) + b"\n\n"


def _closed(tail: bytes, ended: Ended, report: dict[str, object]) -> bytes:
    """`tail` with `report` in its usage chunk, or in one of its own where the provider gave none."""
    events = _events_of(tail)
    head: dict[str, object] = {}
    for position in range(len(events) - 1, -1, -1):
        body = _body_of(events[position])
        if isinstance(body.get("usage"), dict):
            end = events[position].rindex(b"}")
            spliced = b',"polyroute":' + orjson.dumps(report)
            events[position] = events[position][:end] + spliced + events[position][end:]
            return _finished(b"".join(events))
        head = head or {name: body[name] for name in ("id", "object", "created", "model") if name in body}
    usage = _usage_event(head, ended, report)
    done = next((position for position, event in enumerate(events) if _is_done(event)), len(events))
    return _finished(b"".join([*events[:done], usage, *events[done:]]))


def _finished(tail: bytes) -> bytes:
    """`tail` with the end mark, which some providers leave out and many clients wait for."""
    events = _events_of(tail)
    return b"".join(events if any(map(_is_done, events)) else [*events, _DONE_EVENT])


def _events_of(data: bytes) -> list[bytes]:
    splitter = EventSplitter()
    events = splitter.feed(data)
    rest = splitter.rest()
    if not rest:
        return events
    return [*events, rest + b"\n\n" if rest.strip() else rest]  # the last event may lack its blank line


def _is_done(event: bytes) -> bool:
    return parse_event(event)[1].strip() == DONE


def _body_of(event: bytes) -> dict[str, Any]:
    """The JSON object in an event; empty where it has none."""
    data = parse_event(event)[1]
    if not data.startswith(b"{"):
        return {}
    try:
        body = orjson.loads(data)
    except orjson.JSONDecodeError:  # plain chunks are not parsed on their way
        return {}
    return body if isinstance(body, dict) else {}
