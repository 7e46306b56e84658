"""An answer's chunks to Converse's events: its own bytes as they came, others written anew.

Blocks follow one another: a part's beginning ends the one before. A late delta of an earlier part still goes out under
its own index. A whole stream of Bedrock's is passed on untouched, for the checksum of its metadata is Bedrock's word;
one written anew has the report in its metadata, which AWS's SDKs pass over.
"""

from collections.abc import Mapping

import orjson

from polyroute.dialects.bedrock_converse.answers import NO_METRICS, model_trace
from polyroute.dialects.bedrock_converse.citations import write_citation
from polyroute.dialects.bedrock_converse.events import Payload, write_event, write_exception
from polyroute.dialects.bedrock_converse.failures import stream_exception
from polyroute.dialects.bedrock_converse.read_content import NAME
from polyroute.dialects.bedrock_converse.stops import write_stop
from polyroute.dialects.bedrock_converse.usage import write_usage
from polyroute.dialects.bedrock_converse.write_content import call_id, image_format
from polyroute.types.content import Image, Inline, Opaque, Part, Refusal, Text, Thinking, ToolCall
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

    __slots__ = ("_ended", "_indexes", "_model", "_next", "_open", "_started")

    def __init__(self) -> None:
        self._started = False
        self._model = ""
        self._indexes: dict[int, int] = {}  # block index by part
        self._next = 0
        self._open: int | None = None  # the part whose block is open
        self._ended = ChoiceEnded(stop=StopReason.UNKNOWN)

    def write(self, chunk: Chunk) -> bytes:
        if isinstance(chunk, WireBytes):
            return chunk.data
        match chunk:
            case Started():
                self._model = chunk.model
                return self._start()
            case TextDelta() | RefusalDelta() if chunk.choice == 0:
                return self._delta(chunk.part, {"text": chunk.text}) if chunk.text else b""
            case ThinkingDelta() if chunk.choice == 0:
                return self._thinking(chunk)
            case ToolCallStarted() if chunk.choice == 0:
                return self._begin(chunk.part, {"toolUse": {"toolUseId": call_id(chunk.id), "name": chunk.name}})
            case ToolCallDelta() if chunk.choice == 0:
                return self._delta(chunk.part, {"toolUse": {"input": chunk.arguments}})
            case PartAdded() if chunk.choice == 0:
                return self._add(chunk.part, chunk.content)
            case Resumed():
                self._model = chunk.model
                return b""  # this stream has no comments: its metadata says who went on
            case ChoiceEnded() if chunk.choice == 0:
                self._ended = chunk
                return self._stop_open()
            case _:
                return b""

    def end(self, ended: Ended, report: Mapping[str, object]) -> bytes:
        if ended.wire is not None:
            return ended.wire
        stop: Payload = {"stopReason": write_stop(self._ended.stop, self._ended.raw_stop)}
        if self._ended.stop_sequence is not None:
            stop["additionalModelResponseFields"] = {"stop_sequence": self._ended.stop_sequence}
        metadata: Payload = {"usage": write_usage(ended.usage), "metrics": NO_METRICS}
        if model := ended.model or self._model:
            metadata["trace"] = model_trace(model)
        if report:
            metadata["polyroute"] = report
        begun = b"" if self._started else self._start()
        return begun + self._stop_open() + write_event("messageStop", stop) + write_event("metadata", metadata)

    def error(self, kind: str, message: str, code: str | None) -> bytes:
        return write_exception(stream_exception(kind, code), message)

    def _start(self) -> bytes:
        self._started = True
        return write_event("messageStart", {"role": "assistant"})

    def _thinking(self, chunk: ThinkingDelta) -> bytes:
        if chunk.redacted is not None:
            return self._delta(chunk.part, {"reasoningContent": {"redactedContent": chunk.redacted}})
        written = b""
        if chunk.text:
            written += self._delta(chunk.part, {"reasoningContent": {"text": chunk.text}})
        if chunk.signature:
            written += self._delta(chunk.part, {"reasoningContent": {"signature": chunk.signature}})
        return written

    def _add(self, part: int, content: Part) -> bytes:
        """A whole part: citations join the text they belong to."""
        match content:
            case Text():
                written = self._delta(part, {"text": content.text}) if content.text else b""
                for citation in content.citations:
                    written += self._delta(part, {"citation": write_citation(citation)})
                return written
            case Refusal():
                return self._delta(part, {"text": content.text}) if content.text else b""
            case Thinking():
                return self._thinking(
                    ThinkingDelta(text=content.text, signature=content.signature, redacted=content.redacted, part=part)
                )
            case ToolCall():
                start: Payload = {"toolUse": {"toolUseId": call_id(content.id), "name": content.name}}
                return self._begin(part, start) + self._delta(part, {"toolUse": {"input": content.arguments}})
            case Image(media=Inline() as media):
                begun = self._begin(part, {"image": {"format": image_format(media.media_type)}})
                return begun + self._delta(part, {"image": {"source": {"bytes": media.data}}})
            case Opaque() if content.dialect == NAME:
                return self._own(part, content.raw)
            case _:
                return b""

    def _own(self, part: int, raw: Payload) -> bytes:
        """What a tool of Bedrock's own said, which came whole."""
        if isinstance(call := raw.get("toolUse"), dict):
            start = {name: value for name, value in call.items() if name != "input"}
            return self._begin(part, {"toolUse": start}) + self._delta(part, {"toolUse": {"input": _input(call)}})
        if isinstance(result := raw.get("toolResult"), dict):
            start = {name: value for name, value in result.items() if name != "content"}
            return self._begin(part, {"toolResult": start}) + self._delta(part, {"toolResult": result.get("content")})
        return b""

    def _delta(self, part: int, delta: Payload) -> bytes:
        """A delta of a block, which its first one begins: only tools' blocks have a beginning of their own."""
        if part in self._indexes:
            return write_event("contentBlockDelta", {"contentBlockIndex": self._indexes[part], "delta": delta})
        stopped = self._follow(part)
        return stopped + write_event("contentBlockDelta", {"contentBlockIndex": self._indexes[part], "delta": delta})

    def _begin(self, part: int, start: Payload) -> bytes:
        stopped = self._follow(part)
        return stopped + write_event("contentBlockStart", {"contentBlockIndex": self._indexes[part], "start": start})

    def _follow(self, part: int) -> bytes:
        """`part` becomes the open block."""
        stopped = self._stop_open()
        self._indexes[part] = self._next
        self._next += 1
        self._open = part
        return stopped

    def _stop_open(self) -> bytes:
        if self._open is None:
            return b""
        index = self._indexes[self._open]
        self._open = None
        return write_event("contentBlockStop", {"contentBlockIndex": index})


def _input(call: Payload) -> str:
    return orjson.dumps(call.get("input", {})).decode()
