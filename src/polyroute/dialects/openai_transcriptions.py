"""OpenAI's audio transcriptions and translations: an uploaded recording, and its words.

The upload goes on with the bytes it came with, but for the model's name. The answer is JSON, plain text or subtitles,
as the caller asked, or a stream of events. Some servers take a JSON body with the sound inside, or the address of a
recording (OpenRouter, Mistral): that is passed on as well.
"""

import base64
from binascii import Error as NotBase64
from collections.abc import Mapping
from typing import Any

import msgspec
import orjson
from msgspec import Struct

from polyroute.dialects.audio_length import length_of
from polyroute.dialects.fields import mapping, missing, one_of, text, wrong
from polyroute.dialects.forbidden import media_at
from polyroute.dialects.multipart import FORM, Form, Part, flag
from polyroute.dialects.openai_events import Told, WireUsage
from polyroute.dialects.openai_operation import (
    OpenAIOperation,
    decode,
    fail,
    further,
    model_of,
    said_by_user,
    tokens_of,
)
from polyroute.errors import InvalidRequest
from polyroute.ports import WireRequest
from polyroute.types.cards import Deployment
from polyroute.types.content import Text
from polyroute.types.request import Operation, Request, Wire
from polyroute.types.response import Choice, Ended, Reply, Response, StopReason, TextDelta, Units, Usage

FORMATS = ("json", "text", "srt", "verbose_json", "vtt", "diarized_json")
_JSON = "application/json"
_UNSEEN = Units(audio_ms=4 * 3_600_000, likely_audio_ms=600_000, estimated=True)  # a recording we do not get to see
_KNOWN = frozenset({FORM, "model", "file", "stream", "prompt", "temperature"})


class _Answer(Struct):
    text: str
    usage: WireUsage | None = None
    duration: float | str | None = None  # verbose_json
    model: str | None = None


_ANSWER = msgspec.json.Decoder(_Answer)


class OpenAITranscriptions(OpenAIOperation):
    """`name` and `path`: translations differ from transcriptions in nothing else."""

    operation: Operation = "transcription"

    def __init__(self, name: str = "openai_transcriptions", path: str = "/audio/transcriptions") -> None:
        self.name = name
        self.path = path

    def parse_request(self, body: dict[str, object], headers: Mapping[str, str]) -> Request:
        """`body` holds an upload's plain fields, and the upload itself under FORM; or it is a JSON body."""
        form = body.get(FORM)
        model, stream, prompt = model_of(body), body.get("stream"), body.get("prompt")
        extensions = further(body, _KNOWN)
        if "response_format" in extensions:
            one_of(extensions["response_format"], "response_format", FORMATS)
        _check_temperature(body.get("temperature"))
        return Request(
            model=model,
            operation="transcription",
            messages=said_by_user("" if prompt is None else text(prompt, "prompt")),
            units=_uploaded(form) if isinstance(form, Form) else _given(body),
            stream=stream is not None and flag(stream, "stream"),
            extensions=extensions,
            wire=Wire(dialect=self.name, body=body),
        )

    def obstacles(self, request: Request) -> tuple[str, ...]:
        is_own = request.wire is not None and request.wire.dialect == self.name
        return () if is_own else (f"a recording can be sent on only as it came, to {self.path}",)

    def render_request(self, request: Request, target: Deployment, *, max_output_tokens: int | None) -> WireRequest:
        assert request.wire is not None  # nothing else is no obstacle
        body = request.wire.body
        form = body.get(FORM)
        if not isinstance(form, Form):
            given = orjson.dumps({**body, "model": target.upstream_model})
            return WireRequest(path=self.path, body=given, headers={}, media_type=_JSON)
        parts = [_named(part, target.upstream_model) for part in form.parts if part.filename or part.name in body]
        if request.stream and "stream" not in {part.name for part in parts}:
            parts.append(Part(name="stream", head=b'Content-Disposition: form-data; name="stream"', content=b"true"))
        return WireRequest(path=self.path, body=form.encode(parts), headers={}, media_type=form.media_type)

    def parse_response(self, body: bytes) -> Response:
        """JSON, or the words themselves."""
        begins = body.lstrip()[:1]
        if begins == b"<":
            fail(body, "it is a page")
        if begins != b"{":
            return _response(body.decode("utf-8", "replace"), None, "")
        answer = decode(_ANSWER, body)
        usage = self.usage_of(answer.usage) if answer.usage is not None else None
        if usage is None and answer.duration is not None:
            usage = _heard(_seconds(answer.duration))
        return _response(answer.text, usage, answer.model or "")

    def skim_response(self, body: bytes) -> Reply:
        response = self.parse_response(body)
        return Reply(usage=response.usage, model=response.model, stop=StopReason.END, wire=body)

    def render_response(self, response: Response, request: Request) -> bytes:
        form = request.extensions.get("response_format", "json")
        lasted_s = 0 if request.units is None else request.units.audio_ms / 1000
        if form in ("text", "srt", "vtt"):
            return _subtitled(response.text, str(form), lasted_s)
        body: dict[str, object] = {"text": response.text}
        if form != "json":
            body = {"task": "transcribe", "language": "en", "duration": lasted_s, **body, "segments": []}
        if response.usage is not None:
            body["usage"] = _write_usage(response.usage)
        return orjson.dumps(body)

    def usage_of(self, usage: WireUsage) -> Usage | None:
        if usage.prompt_audio_seconds is not None or usage.seconds is not None:
            heard = _heard(_seconds(usage.prompt_audio_seconds or usage.seconds or 0))
            tokens = tokens_of(inputs=usage.prompt_tokens, outputs=usage.completion_tokens)
            return heard if tokens is None or heard is None else msgspec.structs.replace(tokens, units=heard.units)
        details = usage.input_token_details
        audio = 0 if details is None else details.audio_tokens or 0
        return tokens_of(inputs=usage.input_tokens, outputs=usage.output_tokens, total=usage.total_tokens, audio=audio)

    def told(self, chunk: object) -> Told | None:
        return {"type": "transcript.text.delta", "delta": chunk.text} if isinstance(chunk, TextDelta) else None

    def closing(self, ended: Ended) -> Told | None:
        return _done("", ended.usage)

    def events_of(self, response: Response) -> list[Told]:
        """OpenAI's whisper-1 answers whole where a stream was asked for."""
        return [{"type": "transcript.text.delta", "delta": response.text}, _done(response.text, response.usage)]


def _uploaded(form: Form) -> Units:
    files = [part for part in form.parts if part.filename is not None]
    file = next((part for part in files if part.name == "file"), None)
    if file is None:
        address = next((part for part in form.parts if part.name == "file_url"), None)
        if address is not None:
            media_at(address.content.decode("utf-8", "replace"), "file_url")
        if address is not None or any(part.name == "file_id" for part in form.parts):
            return _UNSEEN
        missing("file", "the recording, as a file of the upload")
    if len(files) > 1:
        raise InvalidRequest("an upload holds one file, `file`", field=next(p.name for p in files if p is not file))
    if not file.content:
        wrong("file", "a recording that is not empty", "0 bytes", code="invalid_value")
    return length_of(file.content)


def _given(body: Mapping[str, object]) -> Units:
    """A JSON body: the sound in base64, or where it lies."""
    if body.get("input_audio") is not None:
        at = "input_audio.data"
        data = text(mapping(body["input_audio"], "input_audio").get("data"), at)
        try:
            return length_of(base64.b64decode(data, validate=True))
        except NotBase64:
            wrong(at, "sound in base64", data, code="invalid_value")
    if body.get("file_url") is None:
        missing("file", "the recording, as a file of a multipart/form-data upload")
    media_at(text(body["file_url"], "file_url"), "file_url")
    return _UNSEEN


def _check_temperature(value: object) -> None:
    """A number, also as a form writes it."""
    if value is None:
        return
    try:
        if type(value) in (int, float, str) and 0 <= float(str(value)) <= 2:
            return
    except ValueError:
        pass
    wrong("temperature", "a number from 0 to 2", value, code="out_of_range")


def _named(part: Part, model: str) -> Part:
    return msgspec.structs.replace(part, content=model.encode()) if part.name == "model" else part


def _response(said: str, usage: Usage | None, model: str) -> Response:
    choice = Choice(parts=(Text(text=said),), stop=StopReason.END)
    return Response(id="", model=model, choices=(choice,), usage=usage)


def _seconds(value: float | str) -> float:
    try:
        return float(value)
    except ValueError:
        return 0.0


def _heard(seconds: float) -> Usage | None:
    return Usage(units=Units(audio_ms=round(seconds * 1000))) if 0 < seconds < 1e7 else None


def _done(said: str, usage: Usage | None) -> Told:
    told: Told = {"type": "transcript.text.done", "text": said}
    return told if usage is None else {**told, "usage": _write_usage(usage)}


def _write_usage(usage: Usage) -> dict[str, Any]:
    inputs, outputs = usage.total_input_tokens, usage.total_output_tokens
    if not inputs + outputs and usage.units is not None:
        return {"type": "duration", "seconds": -(-usage.units.audio_ms // 1000)}
    details = {"text_tokens": usage.input_tokens, "audio_tokens": usage.input_audio_tokens}
    return {
        "type": "tokens",
        "input_tokens": inputs,
        "input_token_details": details,
        "output_tokens": outputs,
        "total_tokens": inputs + outputs,
    }


def _subtitled(said: str, form: str, lasted_s: float) -> bytes:
    if form == "text":
        return f"{said}\n".encode()
    minutes, seconds = divmod(lasted_s, 60)
    hours, minutes = divmod(int(minutes), 60)
    until = f"{hours:02d}:{minutes:02d}:{seconds:06.3f}"
    if form == "vtt":
        return f"WEBVTT\n\n00:00:00.000 --> {until}\n{said}\n".encode()
    return f"1\n00:00:00,000 --> {until.replace('.', ',')}\n{said}\n".encode()
