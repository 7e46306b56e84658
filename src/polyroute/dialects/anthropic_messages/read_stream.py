"""An upstream's stream to canonical chunks, for a door of another dialect."""

import orjson

from polyroute.dialects.anthropic_messages.events import read_event, read_rest
from polyroute.dialects.anthropic_messages.read_content import Block, read_block
from polyroute.dialects.anthropic_messages.stops import read_stop
from polyroute.dialects.anthropic_messages.usage import later_usage, read_usage
from polyroute.dialects.json_text import json_text
from polyroute.dialects.sse import EventSplitter
from polyroute.errors import InvalidRequest, MalformedReply, StreamInterrupted
from polyroute.types.content import Text
from polyroute.types.response import (
    ChoiceEnded,
    Chunk,
    Ended,
    PartAdded,
    Started,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    ToolCallStarted,
)


class ChunkReader:
    """One per attempt. Blocks that only Anthropic knows are gathered and given whole at their end."""

    __slots__ = ("_calls", "_delta", "_ended", "_gathered", "_inputs", "_model", "_splitter", "_started", "_usage")

    def __init__(self) -> None:
        self._splitter = EventSplitter()
        self._started = False
        self._ended = False
        self._model = ""
        self._usage: object = None
        self._delta: Block | None = None  # of message_delta: the stop reason came
        self._calls: set[int] = set()  # parts that are tool calls
        self._gathered: dict[int, Block] = {}  # blocks without a canonical form, by part
        self._inputs: dict[int, str] = {}  # their input so far

    def feed(self, data: bytes) -> list[Chunk]:
        chunks: list[Chunk] = []
        for event in self._splitter.feed(data):
            self._read(event, chunks)
        return chunks

    def close(self) -> list[Chunk]:
        chunks: list[Chunk] = []
        if not self._ended and (value := read_rest(self._splitter.rest())) is not None:
            self._take(value, chunks)
        if not self._ended:
            if self._delta is None:
                raise StreamInterrupted("the stream stopped before the answer's end")
            self._end(chunks)  # all was said; only the end mark is missing
        return chunks

    def _read(self, event: bytes, chunks: list[Chunk]) -> None:
        value = read_event(event)
        if value is not None and not self._ended:
            self._take(value, chunks)

    def _take(self, event: Block, chunks: list[Chunk]) -> None:
        try:
            match event["type"]:
                case "content_block_delta":
                    self._take_delta(_part(event), _object(event, "delta"), chunks)
                case "content_block_start":
                    self._open(_part(event), _object(event, "content_block"), chunks)
                case "content_block_stop":
                    self._close_part(_part(event), chunks)
                case "message_start":
                    message = _object(event, "message")
                    self._usage = message.get("usage")
                    self._model = _text(message, "model")
                    self._started = True
                    chunks.append(Started(id=_text(message, "id"), model=self._model))
                case "message_delta":
                    self._usage = later_usage(self._usage, event.get("usage"))
                    delta = _object(event, "delta")
                    if delta.get("stop_reason") is not None:
                        self._delta = delta
                case "message_stop":
                    if self._delta is None:
                        raise StreamInterrupted("the stream ended without a stop reason")
                    self._end(chunks)
                case _:  # ping, and what is yet to come: "handle unknown event types gracefully"
                    pass
        except InvalidRequest as exc:
            raise MalformedReply(f"the provider's stream: {exc.message}") from exc
        except KeyError as exc:
            raise MalformedReply(f"the provider sent an event without {exc}") from exc

    def _open(self, part: int, block: Block, chunks: list[Chunk]) -> None:
        match block.get("type"):
            case "text":
                citations = block.get("citations")
                if text := _text(block, "text"):
                    chunks.append(TextDelta(text=text, part=part))
                if citations:
                    content = read_block({"type": "text", "text": "", "citations": citations}, "content_block")
                    chunks.append(PartAdded(content=content, part=part))
            case "thinking":
                text, signature = _text(block, "thinking"), _text(block, "signature") or None
                if text or signature:
                    chunks.append(ThinkingDelta(text=text, signature=signature, part=part))
            case "redacted_thinking":
                chunks.append(ThinkingDelta(redacted=_text(block, "data"), part=part))
            case "tool_use":
                self._calls.add(part)
                chunks.append(ToolCallStarted(id=_text(block, "id"), name=_text(block, "name"), part=part))
                if given := block.get("input"):
                    chunks.append(ToolCallDelta(arguments=json_text(given), part=part))
            case _:
                self._gathered[part] = block

    def _take_delta(self, part: int, delta: Block, chunks: list[Chunk]) -> None:
        if part in self._gathered:
            self._gather(part, delta)
            return
        match delta.get("type"):
            case "text_delta":
                chunks.append(TextDelta(text=_text(delta, "text"), part=part))
            case "input_json_delta":
                if part not in self._calls:
                    raise MalformedReply("the provider sent the input of a tool call that never began")
                if arguments := _text(delta, "partial_json"):
                    chunks.append(ToolCallDelta(arguments=arguments, part=part))
            case "thinking_delta":
                chunks.append(ThinkingDelta(text=_text(delta, "thinking"), part=part))
            case "signature_delta":
                chunks.append(ThinkingDelta(signature=_text(delta, "signature"), part=part))
            case "citations_delta":
                citation = Text(text="", citations=(_object(delta, "citation"),))
                chunks.append(PartAdded(content=citation, part=part))
            case _:
                pass

    def _gather(self, part: int, delta: Block) -> None:
        """The input of a server tool comes as JSON text; any other text grows the field it names."""
        block = self._gathered[part]
        for name, value in delta.items():
            if name == "partial_json" and isinstance(value, str):
                self._inputs[part] = self._inputs.get(part, "") + value
            elif name != "type":
                begun = block.get(name)
                block[name] = begun + value if isinstance(begun, str) and isinstance(value, str) else value

    def _close_part(self, part: int, chunks: list[Chunk]) -> None:
        block = self._gathered.pop(part, None)
        if block is None:
            return
        if given := self._inputs.pop(part, ""):
            try:
                block["input"] = orjson.loads(given)
            except orjson.JSONDecodeError as exc:
                raise MalformedReply("the provider sent a tool's input that is no JSON") from exc
        chunks.append(PartAdded(content=read_block(block, "content_block"), part=part))

    def _end(self, chunks: list[Chunk]) -> None:
        assert self._delta is not None
        stop, sequence = self._delta.get("stop_reason"), self._delta.get("stop_sequence")
        chunks.append(
            ChoiceEnded(
                stop=read_stop(stop),
                stop_sequence=sequence if isinstance(sequence, str) else None,
                raw_stop=stop if isinstance(stop, str) else None,
            )
        )
        chunks.append(Ended(usage=read_usage(self._usage), model=self._model))
        self._ended = True


def _part(event: Block) -> int:
    index = event["index"]
    if type(index) is not int:
        raise MalformedReply("the provider sent a content block without an index")
    return index


def _object(holder: Block, name: str) -> Block:
    value = holder[name]
    if not isinstance(value, dict):
        raise MalformedReply(f"the provider sent an event whose `{name}` is no object")
    return value


def _text(holder: Block, name: str) -> str:
    """A field's text; empty where it has none."""
    value = holder.get(name)
    return value if isinstance(value, str) else ""
