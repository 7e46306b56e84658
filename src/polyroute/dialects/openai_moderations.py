"""OpenAI's moderations: what in texts and images goes against its policies. Its categories are nobody else's."""

from collections.abc import Mapping
from typing import Any

import msgspec
import orjson
from msgspec import Raw, Struct

from polyroute.dialects.fields import array, mapping, missing, one_of, text, wrong
from polyroute.dialects.forbidden import media_at
from polyroute.dialects.openai_operation import OpenAIOperation, decode, fail, further, model_of, tokens_of
from polyroute.types.content import Image, Message, Opaque, Part, Text, text_of
from polyroute.types.request import Operation, Request, Wire
from polyroute.types.response import Choice, Reply, Response, StopReason, Usage

NAME = "openai_moderations"
DEFAULT_MODEL = "omni-moderation-latest"  # API reference, `model`
_MAX_INPUTS = 2048
CATEGORIES = (  # of omni-moderation-latest (API reference, "The moderation object")
    *("harassment", "harassment/threatening", "hate", "hate/threatening", "illicit", "illicit/violent"),
    *("self-harm", "self-harm/intent", "self-harm/instructions", "sexual", "sexual/minors"),
    *("violence", "violence/graphic"),
)
_KNOWN = frozenset({"model", "input"})


class _WireUsage(Struct):
    prompt_tokens: int | None = None  # Mistral counts them
    total_tokens: int | None = None


class _Answer(Struct):
    results: list[dict[str, Any]]
    id: str = ""
    model: str | None = None
    usage: _WireUsage | None = None


class _Skimmed(Struct):
    results: list[Raw]
    model: str | None = None
    usage: _WireUsage | None = None


_ANSWER = msgspec.json.Decoder(_Answer)
_SKIM = msgspec.json.Decoder(_Skimmed)


class OpenAIModerations(OpenAIOperation):
    name = NAME
    operation: Operation = "moderation"
    path = "/moderations"

    def parse_request(self, body: dict[str, object], headers: Mapping[str, str]) -> Request:
        return Request(
            model=model_of(body, DEFAULT_MODEL),
            operation="moderation",
            messages=_read_input(body.get("input")),
            extensions=further(body, _KNOWN),
            wire=Wire(dialect=NAME, body=body),
        )

    def write_body(self, request: Request) -> dict[str, Any]:
        return {"input": [text_of(message.parts) for message in request.messages]}

    def skim_response(self, body: bytes) -> Reply:
        skimmed = decode(_SKIM, body)
        if not skimmed.results:
            fail(body, "it holds no results")
        return Reply(usage=_usage(skimmed.usage), model=skimmed.model or "", stop=StopReason.END, wire=body)

    def parse_response(self, body: bytes) -> Response:
        answer = decode(_ANSWER, body)
        choices = tuple(
            Choice(index=at, parts=(Opaque(dialect=NAME, kind="result", raw=result),), stop=StopReason.END)
            for at, result in enumerate(answer.results)
        )
        return Response(id=answer.id, model=answer.model or "", choices=choices, usage=_usage(answer.usage))

    def render_response(self, response: Response, request: Request) -> bytes:
        results = [part.raw for choice in response.choices for part in choice.parts if isinstance(part, Opaque)]
        return orjson.dumps({"id": response.id, "model": response.model, "results": results})


def _read_input(value: object) -> tuple[Message, ...]:
    if value is None:
        missing("input", "a text, an array of texts, or an array of text and image parts")
    if type(value) is str:
        return (Message(role="user", parts=(Text(text=value),)),)
    items = array(value, "input")
    if not 0 < len(items) <= _MAX_INPUTS:
        wrong("input", f"1 to {_MAX_INPUTS} inputs", f"{len(items)} inputs", code="out_of_range")
    if type(items[0]) is dict:
        parts = tuple(_part(mapping(item, f"input[{at}]"), f"input[{at}]") for at, item in enumerate(items))
        return (Message(role="user", parts=parts),)
    return tuple(Message(role="user", parts=(Text(text=text(item, f"input[{at}]")),)) for at, item in enumerate(items))


def _part(item: dict[str, object], at: str) -> Part:
    if one_of(item.get("type"), f"{at}.type", ("text", "image_url")) == "text":
        return Text(text=text(item.get("text"), f"{at}.text"))
    place = f"{at}.image_url"
    url = mapping(item.get("image_url"), place).get("url")
    return Image(media=media_at(text(url, f"{place}.url"), f"{place}.url"))


def _usage(usage: _WireUsage | None) -> Usage | None:
    return None if usage is None else tokens_of(inputs=usage.prompt_tokens, total=usage.total_tokens)
