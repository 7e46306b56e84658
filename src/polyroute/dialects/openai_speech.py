"""OpenAI's speech: a text spoken. The sound is passed on as it arrives, in the form its provider gives it.

Its end is the end of the body: the last piece is held back until the books are written. Where the caller asked for
events in place of bytes, those are passed on.
"""

import base64
from collections.abc import Mapping
from typing import Any

import orjson

from polyroute.dialects.fields import missing, number, one_of, text
from polyroute.dialects.openai_events import EventTap, WireUsage
from polyroute.dialects.openai_operation import (
    OpenAIOperation,
    fail,
    further,
    given_text,
    model_of,
    said_by_user,
    tokens_of,
)
from polyroute.errors import MalformedReply
from polyroute.ports import StreamReader, StreamWriter, WireRequest
from polyroute.types.cards import Deployment
from polyroute.types.content import Audio, text_of
from polyroute.types.request import Operation, Request, Wire
from polyroute.types.response import (
    Choice,
    Chunk,
    Ended,
    PartAdded,
    Reply,
    Response,
    StopReason,
    Units,
    Usage,
    WireBytes,
)

NAME = "openai_speech"
_MAX_INPUT = 100_000  # characters; OpenAI's own limit is 4,096, others take more
_KNOWN = frozenset({"model", "input"})
_DEFAULT_VOICE = "alloy"


class OpenAISpeech(OpenAIOperation):
    name = NAME
    operation: Operation = "speech"
    path = "/audio/speech"
    stream_type = ""  # whatever the provider calls it

    def parse_request(self, body: dict[str, object], headers: Mapping[str, str]) -> Request:
        model, said = model_of(body), body.get("input")
        if said is None:
            missing("input", "the text to be spoken")
        spoken = given_text(said, "input", _MAX_INPUT)
        extensions = further(body, _KNOWN)
        if "speed" in extensions:
            number(extensions["speed"], "speed", 0.25, 4)
        if "stream_format" in extensions:
            one_of(extensions["stream_format"], "stream_format", ("sse", "audio"))
        for name in ("response_format", "instructions"):
            if name in extensions:
                text(extensions[name], name)
        return Request(
            model=model,
            operation="speech",
            messages=said_by_user(spoken),
            units=Units(characters=len(spoken)),
            stream=True,
            extensions=extensions,
            wire=Wire(dialect=NAME, body=body),
        )

    def render_request(self, request: Request, target: Deployment, *, max_output_tokens: int | None) -> WireRequest:
        wire = request.wire
        body = dict(wire.body) if wire is not None and wire.dialect == NAME else self.write_body(request)
        body["model"] = target.upstream_model
        return WireRequest(path=self.path, body=orjson.dumps(body), headers={}, media_type="application/json")

    def write_body(self, request: Request) -> dict[str, Any]:
        return {"input": text_of(request.messages[-1].parts), "voice": _DEFAULT_VOICE}

    def parse_response(self, body: bytes) -> Response:
        _check(body)
        sound = Audio(data=base64.b64encode(body).decode(), format="mp3")
        return Response(id="", model="", choices=(Choice(parts=(sound,), stop=StopReason.END),), usage=None)

    def skim_response(self, body: bytes) -> Reply:
        _check(body)
        return Reply(usage=None, model="", stop=StopReason.END, wire=body)

    def render_response(self, response: Response, request: Request) -> bytes:
        parts = (part for choice in response.choices for part in choice.parts)
        return b"".join(base64.b64decode(part.data) for part in parts if isinstance(part, Audio))

    def open_reader(self, *, same_dialect: bool) -> StreamReader:
        return _Sound(EventTap(lambda body: [], self.usage_of))

    def open_writer(self, request: Request) -> StreamWriter:
        return _Passer(super().open_writer(request))

    def usage_of(self, usage: WireUsage) -> Usage | None:
        return tokens_of(inputs=usage.input_tokens, outputs=usage.output_tokens, total=usage.total_tokens)


def _check(body: bytes) -> None:
    """Raises where the whole answer is empty, or an error."""
    if not body:
        raise MalformedReply("the provider's answer holds no sound")
    if body.startswith((b'{"error"', b'{ "error"', b'{"object":"error"', b"<!", b"<html")):
        fail(body, "it is no sound")


class _Sound:
    """Fulfils the port `StreamReader`: bytes as they come, or events where the stream turns out to be one."""

    def __init__(self, events: EventTap) -> None:
        self._tap = events
        self._is_events: bool | None = None  # None: nothing came yet
        self._held = b""
        self._is_begun = False

    def feed(self, data: bytes) -> list[Chunk]:
        if self._is_events is None and data:
            self._is_events = data.startswith((b"data:", b"event:"))
        if self._is_events:
            return self._tap.feed(data)
        held, self._held = self._held, data
        self._is_begun = self._is_begun or bool(held)
        return [WireBytes(data=held)] if held else []

    def close(self) -> list[Chunk]:
        if self._is_events:
            return self._tap.close()
        if not self._is_begun:
            _check(self._held)
        return [Ended(usage=None, wire=self._held)]


class _Passer:
    """Fulfils the port `StreamWriter`. Sound has no room for a report or an error: a broken one is cut off."""

    def __init__(self, events: StreamWriter) -> None:
        self._events = events
        self._begins: bytes | None = None

    def write(self, chunk: Chunk) -> bytes:
        match chunk:
            case WireBytes():
                if self._begins is None:
                    self._begins = chunk.data[:6]
                return chunk.data
            case PartAdded(content=Audio() as sound):
                return base64.b64decode(sound.data)
            case _:
                return b""

    def end(self, ended: Ended, report: Mapping[str, object]) -> bytes:
        wire = ended.wire or b""
        begins = wire[:6] if self._begins is None else self._begins
        return self._events.end(ended, report) if begins.startswith((b"data:", b"event:")) else wire

    def error(self, kind: str, message: str, code: str | None) -> bytes:
        return b""
