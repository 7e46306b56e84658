"""OpenAI's embeddings: texts, or texts as token numbers, and a vector for each.

Token numbers mean something to servers of this shape alone. Where the caller wants base64 and the upstream gives
numbers, or the other way round, the door turns one into the other: little-endian 32-bit floats, as OpenAI packs them.
"""

import base64
import struct
import sys
from array import array
from binascii import Error as NotBase64
from collections.abc import Mapping
from typing import Any

import msgspec
import orjson
from msgspec import Raw, Struct

from polyroute.dialects.fields import array as items_of
from polyroute.dialects.fields import integer, missing, one_of, text, wrong
from polyroute.dialects.forbidden import refuse_private
from polyroute.dialects.openai_operation import (
    OpenAIOperation,
    decode,
    fail,
    further,
    model_of,
    said_by_user,
    tokens_of,
)
from polyroute.types.content import Message, Opaque, Text, text_of
from polyroute.types.request import Operation, Request, Wire
from polyroute.types.response import Choice, Reply, Response, StopReason, Usage

NAME = "openai_embeddings"
MAX_INPUTS = 2048  # API reference, `input`
_MAX_DIMENSIONS = 65_536
_MAX_TOKEN = 2**31 - 1
_KNOWN = frozenset({"model", "input", "dimensions", "user"})


class _WireUsage(Struct):
    prompt_tokens: int | None = None
    total_tokens: int | None = None


class _Vector(Struct):
    embedding: list[float] | str
    index: int | None = None


class _Answer(Struct):
    data: list[_Vector]
    model: str | None = None
    usage: _WireUsage | None = None


class _Skimmed(Struct):
    data: list[Raw]
    model: str | None = None
    usage: _WireUsage | None = None


_ANSWER = msgspec.json.Decoder(_Answer)
_SKIM = msgspec.json.Decoder(_Skimmed)


class OpenAIEmbeddings(OpenAIOperation):
    name = NAME
    operation: Operation = "embeddings"
    path = "/embeddings"

    def parse_request(self, body: dict[str, object], headers: Mapping[str, str]) -> Request:
        model = model_of(body)
        dimensions, user = body.get("dimensions"), body.get("user")
        extensions = further(body, _KNOWN)
        if "encoding_format" in extensions:
            one_of(extensions["encoding_format"], "encoding_format", ("float", "base64"))
        return Request(
            model=model,
            operation="embeddings",
            messages=_read_input(body.get("input")),
            dimensions=None if dimensions is None else integer(dimensions, "dimensions", 1, _MAX_DIMENSIONS),
            end_user=None if user is None else text(user, "user"),
            extensions=extensions,
            wire=Wire(dialect=NAME, body=body),
        )

    def write_body(self, request: Request) -> dict[str, Any]:
        body: dict[str, Any] = {"input": [text_of(message.parts) for message in request.messages]}
        if request.dimensions is not None:
            body["dimensions"] = request.dimensions
        return body

    def skim_response(self, body: bytes) -> Reply:
        skimmed = decode(_SKIM, body)
        if not skimmed.data:
            fail(body, "it holds no vectors")
        return Reply(usage=_usage(skimmed.usage), model=skimmed.model or "", stop=StopReason.END, wire=body)

    def parse_response(self, body: bytes) -> Response:
        answer = decode(_ANSWER, body)
        if not answer.data:
            fail(body, "it holds no vectors")
        try:
            choices = tuple(
                Choice(
                    index=place if item.index is None else item.index,
                    parts=(),
                    vector=_unpacked(item.embedding),
                    stop=StopReason.END,
                )
                for place, item in enumerate(answer.data)
            )
        except (NotBase64, struct.error) as exc:
            fail(body, exc)
        return Response(id="", model=answer.model or "", choices=choices, usage=_usage(answer.usage))

    def render_response(self, response: Response, request: Request) -> bytes:
        packs = request.extensions.get("encoding_format") == "base64"
        data = [
            {
                "object": "embedding",
                "index": choice.index,
                "embedding": _packed(choice.vector or ()) if packs else choice.vector or (),
            }
            for choice in response.choices
        ]
        counted = 0 if response.usage is None else response.usage.total_input_tokens
        usage = {"prompt_tokens": counted, "total_tokens": counted}
        return orjson.dumps({"object": "list", "data": data, "model": response.model, "usage": usage})


def _read_input(value: object) -> tuple[Message, ...]:
    if value is None:
        missing("input", "a text, an array of texts, or token numbers")
    if type(value) is str:
        return said_by_user(text(value, "input"))
    items = items_of(value, "input")
    if not items:
        wrong("input", "a text or a non-empty array", value, code="invalid_value")
    if type(items[0]) is int:
        return (_tokens(items, "input"),)
    if len(items) > MAX_INPUTS:
        wrong("input", f"an array of at most {MAX_INPUTS} inputs", f"{len(items)} inputs", code="out_of_range")
    if type(items[0]) is list:
        return tuple(_tokens(items_of(item, f"input[{at}]"), f"input[{at}]") for at, item in enumerate(items))
    return tuple(_said(item, f"input[{at}]") for at, item in enumerate(items))


def _said(item: object, at: str) -> Message:
    """A text; or an object of text or pictures, which some servers take: Jina, Voyage, OpenRouter."""
    if type(item) is not dict:
        return Message(role="user", parts=(Text(text=text(item, at)),))
    refuse_private(item, at)
    if item.keys() == {"text"}:
        return Message(role="user", parts=(Text(text=text(item["text"], f"{at}.text")),))
    return Message(role="user", parts=(Opaque(dialect=NAME, kind="object", raw=item),))


def _tokens(numbers: list[object], at: str) -> Message:
    """One input as its tokens, each of which counts as one."""
    if not numbers:
        wrong(at, "an array of token numbers that is not empty", numbers, code="invalid_value")
    for place, number in enumerate(numbers):
        if type(number) is not int or not 0 <= number <= _MAX_TOKEN:
            integer(number, f"{at}[{place}]", 0, _MAX_TOKEN)
    return Message(role="user", parts=(Opaque(dialect=NAME, kind="token numbers", raw={"tokens": numbers}),))


def _usage(usage: _WireUsage | None) -> Usage | None:
    return None if usage is None else tokens_of(inputs=usage.prompt_tokens, total=usage.total_tokens)


def _unpacked(embedding: list[float] | str) -> tuple[float, ...]:
    if not isinstance(embedding, str):
        return tuple(embedding)
    packed = base64.b64decode(embedding, validate=True)
    return struct.unpack(f"<{len(packed) // 4}f", packed)


def _packed(vector: tuple[float, ...]) -> str:
    values = array("f", vector)
    if sys.byteorder == "big":
        values.byteswap()
    return base64.b64encode(values).decode()
