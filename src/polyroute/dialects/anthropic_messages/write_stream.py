"""An answer's chunks to Anthropic's events: its own bytes as they came, others written anew.

Blocks follow one another, as Anthropic sends them: a part's beginning ends the one before. A late delta of an
earlier part still goes out under its own index, which is how clients join them.
"""

from collections.abc import Mapping

import orjson

from polyroute.dialects.anthropic_messages.failures import error_object
from polyroute.dialects.anthropic_messages.read_content import Block
from polyroute.dialects.anthropic_messages.stops import write_stop
from polyroute.dialects.anthropic_messages.usage import write_usage
from polyroute.dialects.anthropic_messages.write_content import call_id, write_citation, write_parts
from polyroute.dialects.sse import EventSplitter, comment
from polyroute.types.content import Part, Text, Thinking, ToolCall
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

_EMPTY_TEXT: Block = {"type": "text", "text": ""}
_NAMED_WITHIN = 64  # bytes into an event
_EMPTY_THINKING: Block = {"type": "thinking", "thinking": "", "signature": ""}


class EventWriter:
    """One per answer."""

    __slots__ = ("_ended", "_indexes", "_next", "_open", "_started")

    def __init__(self) -> None:
        self._started = False
        self._indexes: dict[int, int] = {}  # block index by part
        self._next = 0
        self._open: int | None = None  # the part whose block is open
        self._ended = ChoiceEnded(stop=StopReason.UNKNOWN)

    def write(self, chunk: Chunk) -> bytes:
        if isinstance(chunk, WireBytes):
            return chunk.data
        match chunk:
            case Started():
                return self._start(chunk.id, chunk.model)
            case TextDelta() | RefusalDelta() if chunk.choice == 0:
                if not chunk.text:
                    return b""
                return self._delta(chunk.part, _EMPTY_TEXT, {"type": "text_delta", "text": chunk.text})
            case ThinkingDelta() if chunk.choice == 0:
                return self._thinking(chunk)
            case ToolCallStarted() if chunk.choice == 0:
                return self._begin(
                    chunk.part, {"type": "tool_use", "id": call_id(chunk.id), "name": chunk.name, "input": {}}
                )
            case ToolCallDelta() if chunk.choice == 0:
                return self._send(chunk.part, {"type": "input_json_delta", "partial_json": chunk.arguments})
            case PartAdded() if chunk.choice == 0:
                return self._add(chunk.part, chunk.content)
            case Resumed():
                return comment(f"polyroute: {chunk.name} goes on")
            case ChoiceEnded() if chunk.choice == 0:
                self._ended = chunk
                return self._stop_open()
            case _:
                return b""

    def end(self, ended: Ended, report: Mapping[str, object]) -> bytes:
        if ended.wire is not None:
            return _with_report(ended.wire, report)
        closing: Block = {
            "type": "message_delta",
            "delta": {
                "stop_reason": write_stop(self._ended.stop, self._ended.raw_stop),
                "stop_sequence": self._ended.stop_sequence,
            },
            "usage": write_usage(ended.usage),
        }
        if report:
            closing["polyroute"] = report
        begun = b"" if self._started else self._start("", ended.model)
        return begun + self._stop_open() + _event(closing) + _event({"type": "message_stop"})

    def error(self, kind: str, message: str, code: str | None) -> bytes:
        return _event(error_object(kind, message, field=None, code=code))

    def _start(self, answer_id: str, model: str) -> bytes:
        self._started = True
        message: Block = {
            "id": answer_id,
            "type": "message",
            "role": "assistant",
            "model": model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": 0, "output_tokens": 0},  # known at the end: message_delta is cumulative
        }
        return _event({"type": "message_start", "message": message})

    def _thinking(self, chunk: ThinkingDelta) -> bytes:
        if chunk.redacted is not None:
            return self._begin(chunk.part, {"type": "redacted_thinking", "data": chunk.redacted})
        written = b""
        if chunk.text:
            written += self._delta(chunk.part, _EMPTY_THINKING, {"type": "thinking_delta", "thinking": chunk.text})
        if chunk.signature:
            written += self._delta(
                chunk.part, _EMPTY_THINKING, {"type": "signature_delta", "signature": chunk.signature}
            )
        return written

    def _add(self, part: int, content: Part) -> bytes:
        """A whole part: citations join the text they belong to, what Anthropic's text may not interrupt comes after."""
        match content:
            case Text():
                written = b"" if part in self._indexes else self._begin(part, _EMPTY_TEXT)
                if content.text:
                    written += self._send(part, {"type": "text_delta", "text": content.text})
                for citation in content.citations:
                    written += self._send(part, {"type": "citations_delta", "citation": write_citation(citation)})
                return written
            case Thinking():
                return self._thinking(
                    ThinkingDelta(text=content.text, signature=content.signature, redacted=content.redacted, part=part)
                )
            case ToolCall():
                return self._begin(
                    part, {"type": "tool_use", "id": call_id(content.id), "name": content.name, "input": {}}
                ) + self._send(part, {"type": "input_json_delta", "partial_json": content.arguments})
            case _:
                return b"".join([self._begin(part, block) for block in write_parts((content,))])

    def _delta(self, part: int, empty: Block, delta: Block) -> bytes:
        """A delta of a block that its first one begins."""
        if part == self._open:
            return _delta_event(self._indexes[part], delta)
        begun = b"" if part in self._indexes else self._begin(part, empty)
        return begun + self._send(part, delta)

    def _begin(self, part: int, block: Block) -> bytes:
        stopped = self._stop_open()
        self._indexes[part] = self._next
        self._next += 1
        self._open = part
        return stopped + _event({"type": "content_block_start", "index": self._indexes[part], "content_block": block})

    def _send(self, part: int, delta: Block) -> bytes:
        return _delta_event(self._indexes[part], delta)

    def _stop_open(self) -> bytes:
        if self._open is None:
            return b""
        index = self._indexes[self._open]
        self._open = None
        return _event({"type": "content_block_stop", "index": index})


def _delta_event(index: int, delta: Block) -> bytes:
    return _event({"type": "content_block_delta", "index": index, "delta": delta})


def _event(value: Block) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (str(value["type"]).encode(), orjson.dumps(value))


def _with_report(tail: bytes, report: Mapping[str, object]) -> bytes:
    """`tail` with the report as the last field of its message_delta; every other byte as it came."""
    if not report:
        return tail
    splitter = EventSplitter()
    events = splitter.feed(tail)
    for number, event in enumerate(events):
        if b"message_delta" in event[:_NAMED_WITHIN]:
            end = event.rfind(b"}")
            events[number] = b'%b,"polyroute":%b%b' % (event[:end], orjson.dumps(report), event[end:])
            break
    return b"".join(events) + splitter.rest()
