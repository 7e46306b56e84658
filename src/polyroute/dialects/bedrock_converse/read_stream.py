"""An upstream's stream to canonical chunks, for a door of another dialect.

A part is a content block; what a provider's own tool says (its call, its result, an image) is gathered and given whole.
"""

import orjson

from polyroute.dialects.bedrock_converse.citations import read_citation
from polyroute.dialects.bedrock_converse.events import Payload, need_no_rest, read_event
from polyroute.dialects.bedrock_converse.read_content import NAME, SERVER_TOOL
from polyroute.dialects.bedrock_converse.stops import read_stop
from polyroute.dialects.bedrock_converse.tap import invoked_model
from polyroute.dialects.bedrock_converse.usage import read_usage
from polyroute.dialects.event_stream import FrameSplitter
from polyroute.errors import MalformedReply, StreamInterrupted
from polyroute.types.content import Image, Inline, Opaque, Text
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
    """One per attempt."""

    __slots__ = ("_calls", "_ended", "_gathered", "_images", "_model", "_splitter", "_started", "_stop", "_usage")

    def __init__(self) -> None:
        self._splitter = FrameSplitter()
        self._started = False
        self._ended = False
        self._model = ""
        self._usage: object = None
        self._stop: Payload | None = None  # of messageStop
        self._calls: set[int] = set()  # parts that are tool calls
        self._gathered: dict[int, tuple[str, Payload, list[str]]] = {}  # a server tool's blocks: kind, start, input
        self._images: dict[int, tuple[str, list[str]]] = {}  # format and base64 by pieces

    def feed(self, data: bytes) -> list[Chunk]:
        chunks: list[Chunk] = []
        for frame in self._splitter.feed(data):
            kind, payload = read_event(frame)
            if not self._ended:
                self._take(kind, payload, chunks)
        return chunks

    def close(self) -> list[Chunk]:
        chunks: list[Chunk] = []
        if not self._ended:
            need_no_rest(self._splitter.rest())
            if self._stop is None:
                raise StreamInterrupted("the stream stopped before the answer's end")
            self._end(chunks)  # all was said; only the usage is missing
        return chunks

    def _take(self, kind: str, payload: Payload, chunks: list[Chunk]) -> None:
        match kind:
            case "contentBlockDelta":
                self._take_delta(_part(payload), _object(payload, "delta"), chunks)
            case "contentBlockStart":
                self._open(_part(payload), _object(payload, "start"), chunks)
            case "contentBlockStop":
                self._close_part(_part(payload), chunks)
            case "messageStart":
                self._start(chunks)
            case "messageStop":
                if payload.get("stopReason") is not None:
                    self._stop = payload
            case "metadata":
                self._usage = payload.get("usage")
                self._model = invoked_model(payload)
            case _:  # initial-response, and what is yet to come
                pass
        if self._stop is not None and self._usage is not None:
            self._end(chunks)

    def _start(self, chunks: list[Chunk]) -> None:
        if not self._started:
            self._started = True
            chunks.append(Started(id="", model=""))

    def _open(self, part: int, start: Payload, chunks: list[Chunk]) -> None:
        if isinstance(call := start.get("toolUse"), dict):
            if call.get("type") == SERVER_TOOL:
                self._gathered[part] = ("toolUse", call, [])
                return
            self._calls.add(part)
            chunks.append(ToolCallStarted(id=_text(call, "toolUseId"), name=_text(call, "name"), part=part))
        elif isinstance(result := start.get("toolResult"), dict):
            self._gathered[part] = ("toolResult", {**result, "content": []}, [])
        elif isinstance(image := start.get("image"), dict):
            self._images[part] = (_text(image, "format"), [])

    def _take_delta(self, part: int, delta: Payload, chunks: list[Chunk]) -> None:
        if type(text := delta.get("text")) is str:
            chunks.append(TextDelta(text=text, part=part))
        elif isinstance(call := delta.get("toolUse"), dict):
            self._take_input(part, _text(call, "input"), chunks)
        elif isinstance(thought := delta.get("reasoningContent"), dict):
            self._take_thought(part, thought, chunks)
        elif isinstance(citation := delta.get("citation"), dict):
            cited = Text(text="", citations=(read_citation(citation),))
            chunks.append(PartAdded(content=cited, part=part))
        elif isinstance(results := delta.get("toolResult"), list):
            if part in self._gathered:
                content = self._gathered[part][1]["content"]
                assert isinstance(content, list)
                content += results
        elif isinstance(image := delta.get("image"), dict) and part in self._images:
            source = image.get("source")
            self._images[part][1].append(_text(source, "bytes") if isinstance(source, dict) else "")

    def _take_input(self, part: int, text: str, chunks: list[Chunk]) -> None:
        if part in self._gathered:
            self._gathered[part][2].append(text)
        elif part not in self._calls:
            raise MalformedReply("the provider sent the input of a tool call that never began")
        elif text:
            chunks.append(ToolCallDelta(arguments=text, part=part))

    def _take_thought(self, part: int, thought: Payload, chunks: list[Chunk]) -> None:
        text, signature = _text(thought, "text"), _text(thought, "signature")
        redacted = thought.get("redactedContent")
        if isinstance(redacted, str):
            chunks.append(ThinkingDelta(redacted=redacted, part=part))
        elif text or signature:
            chunks.append(ThinkingDelta(text=text, signature=signature or None, part=part))

    def _close_part(self, part: int, chunks: list[Chunk]) -> None:
        if part in self._images:
            word, pieces = self._images.pop(part)
            media = Inline(media_type=f"image/{word}", data="".join(pieces))
            chunks.append(PartAdded(content=Image(media=media), part=part))
        if part not in self._gathered:
            return
        kind, block, pieces = self._gathered.pop(part)
        if kind == "toolUse":
            try:
                block = {**block, "input": orjson.loads("".join(pieces) or "{}")}
            except orjson.JSONDecodeError as exc:
                raise MalformedReply("the provider sent a tool's input that is no JSON") from exc
        named = SERVER_TOOL if kind == "toolUse" else "server_tool_result"
        chunks.append(PartAdded(content=Opaque(dialect=NAME, kind=named, raw={kind: block}), part=part))

    def _end(self, chunks: list[Chunk]) -> None:
        assert self._stop is not None
        self._start(chunks)
        stop, more = self._stop.get("stopReason"), self._stop.get("additionalModelResponseFields")
        chunks.append(
            ChoiceEnded(
                stop=read_stop(stop),
                stop_sequence=_text(more, "stop_sequence") or None if isinstance(more, dict) else None,
                raw_stop=stop if isinstance(stop, str) else None,
            )
        )
        chunks.append(Ended(usage=read_usage(self._usage), model=self._model))
        self._ended = True


def _part(payload: Payload) -> int:
    index = payload.get("contentBlockIndex")
    if type(index) is not int:
        raise MalformedReply("the provider sent a content block without an index")
    return index


def _object(holder: Payload, name: str) -> Payload:
    value = holder.get(name)
    if not isinstance(value, dict):
        raise MalformedReply(f"the provider sent an event whose `{name}` is no object")
    return value


def _text(holder: Payload, name: str) -> str:
    """A field's text; empty where it has none."""
    value = holder.get(name)
    return value if isinstance(value, str) else ""
