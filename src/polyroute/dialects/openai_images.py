"""OpenAI's image generations: images made of a text, whole or as a stream of partial ones.

Older models are priced by image, by quality and size; newer ones count tokens and report them.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
import orjson
from msgspec import Struct
from msgspec.structs import replace

from polyroute.dialects.fields import boolean, integer, missing, text
from polyroute.dialects.openai_events import Told, WireUsage
from polyroute.dialects.openai_operation import (
    OpenAIOperation,
    decode,
    fail,
    further,
    given_text,
    model_of,
    said_by_user,
    tokens_of,
)
from polyroute.types.content import Image, Inline, Link, Text, text_of
from polyroute.types.request import Operation, Request, Wire
from polyroute.types.response import Choice, PartAdded, Response, StopReason, Units, Usage

NAME = "openai_images"
DEFAULT_MODEL = "dall-e-2"  # API reference, `model`
_DEFAULT_KIND = "standard/1024x1024"
MAX_PROMPT = 128_000  # characters; the models' own limits are 1,000 to 32,000
MAX_IMAGES = 10  # API reference, `n`
_KNOWN = frozenset({"model", "prompt", "n", "stream", "user"})


class _Datum(Struct):
    b64_json: str | None = None
    url: str | None = None
    revised_prompt: str | None = None


class _Answer(Struct):
    data: list[_Datum]
    created: int | None = None
    output_format: str | None = None
    usage: WireUsage | None = None
    model: str | None = None


_ANSWER = msgspec.json.Decoder(_Answer)


class OpenAIImages(OpenAIOperation):
    name = NAME
    operation: Operation = "image"
    path = "/images/generations"
    event = "image_generation"  # how a stream's events are called

    def parse_request(self, body: dict[str, object], headers: Mapping[str, str]) -> Request:
        prompt, n, stream, user = (body.get(name) for name in ("prompt", "n", "stream", "user"))
        if prompt is None:
            missing("prompt", "the text that describes the image")
        count = 1 if n is None else integer(n, "n", 1, MAX_IMAGES)
        extensions = further(body, _KNOWN)
        for name in ("size", "quality", "response_format", "output_format", "background", "style", "moderation"):
            if name in extensions:
                text(extensions[name], name)
        return Request(
            model=model_of(body, DEFAULT_MODEL),
            operation="image",
            messages=said_by_user(given_text(prompt, "prompt", MAX_PROMPT)),
            n=count,
            units=Units(images=count, image_kind=image_kind(extensions)),
            stream=stream is not None and boolean(stream, "stream"),
            end_user=None if user is None else text(user, "user"),
            extensions=extensions,
            wire=Wire(dialect=NAME, body=body),
        )

    def write_body(self, request: Request) -> dict[str, Any]:
        body: dict[str, Any] = {"prompt": text_of(request.messages[-1].parts), "n": request.n}
        return {**body, "stream": True} if request.stream else body

    def parse_response(self, body: bytes) -> Response:
        answer = decode(_ANSWER, body)
        if not answer.data:
            fail(body, "it holds no images")
        media_type = f"image/{answer.output_format or 'png'}"
        choices = tuple(_choice(at, datum, media_type) for at, datum in enumerate(answer.data))
        usage = self.usage_of(answer.usage) if answer.usage is not None else None
        made = Units(images=len(choices))
        # Where no tokens are reported, those of the prompt are estimated; what was made is known.
        return Response(
            id="",
            model=answer.model or "",
            choices=choices,
            usage=None if usage is None else replace(usage, units=made),
            created_s=answer.created,
        )

    def render_response(self, response: Response, request: Request) -> bytes:
        data = [_datum(choice) for choice in response.choices]
        body: dict[str, object] = {"created": response.created_s or 0, "data": data}
        if response.usage is not None:
            body["usage"] = _write_usage(response.usage)
        return orjson.dumps(body)

    def usage_of(self, usage: WireUsage) -> Usage | None:
        return tokens_of(inputs=usage.input_tokens, outputs=usage.output_tokens)

    def told(self, chunk: object) -> Told | None:
        if isinstance(chunk, PartAdded) and isinstance(chunk.content, Image):
            return {"type": f"{self.event}.completed", **_written(chunk.content)}
        return None

    def events_of(self, response: Response) -> list[Told]:
        images = [part for choice in response.choices for part in choice.parts if isinstance(part, Image)]
        events: list[Told] = [{"type": f"{self.event}.completed", **_written(image)} for image in images]
        if response.usage is not None:
            events[-1]["usage"] = _write_usage(response.usage)
        return events


def image_kind(extensions: Mapping[str, object]) -> str:
    """ "hd/1024x1024": DALL-E's defaults where nothing is said; `auto` is whatever the model makes of it."""
    quality, size = extensions.get("quality", "standard"), extensions.get("size", "1024x1024")
    return f"{quality}/{size}"


def _choice(at: int, datum: _Datum, media_type: str) -> Choice:
    media = Link(url=datum.url or "") if datum.b64_json is None else Inline(media_type=media_type, data=datum.b64_json)
    said = () if datum.revised_prompt is None else (Text(text=datum.revised_prompt),)
    return Choice(index=at, parts=(Image(media=media), *said), stop=StopReason.END)


def _datum(choice: Choice) -> dict[str, object]:
    written: dict[str, object] = {}
    for part in choice.parts:
        if isinstance(part, Image):
            written.update(_written(part))
        elif isinstance(part, Text):
            written["revised_prompt"] = part.text
    return written


def _written(image: Image) -> dict[str, object]:
    match image.media:
        case Inline(data=data):
            return {"b64_json": data}
        case Link(url=url):
            return {"url": url}
        case _:
            return {}


def _write_usage(usage: Usage) -> dict[str, object]:
    inputs, outputs = usage.total_input_tokens, usage.total_output_tokens
    return {
        "input_tokens": inputs,
        "output_tokens": outputs,
        "total_tokens": inputs + outputs,
        "input_tokens_details": {"text_tokens": inputs, "image_tokens": 0},
    }
