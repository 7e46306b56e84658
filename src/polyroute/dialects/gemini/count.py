"""Counting a request's input tokens without answering it, as a door and as an upstream.

AI Studio's counter takes the turns alone, or a whole request under `generateContentRequest`; Vertex's takes a request's
own fields. Source: ai.google.dev, API reference "countTokens"; cloud.google.com, "CountTokens".
"""

import orjson
from msgspec.structs import replace

from polyroute.dialects.fields import mapping
from polyroute.dialects.gemini.failures import classify_event
from polyroute.dialects.gemini.names import NAME, Block, camel, spelling
from polyroute.dialects.gemini.read_request import parse_request
from polyroute.dialects.gemini.write_request import model_path, own_body, translated
from polyroute.errors import MalformedReply
from polyroute.ports import WireRequest
from polyroute.types.cards import Deployment
from polyroute.types.request import Request, Wire

_WHOLE = "generateContentRequest"
_INPUT = ("contents", "systemInstruction", "tools", "generationConfig")  # what Vertex counts


def parse_count_request(body: Block) -> Request:
    """The request whose input is counted; its own form is kept for an upstream of this dialect."""
    inner = camel(body).get(_WHOLE)
    asked = body if inner is None else {**mapping(inner, _WHOLE), "model": body.get("model")}
    request = parse_request(asked)
    return request if inner is None else replace(request, wire=Wire(dialect=NAME, body=body))


def render_count_request(request: Request, target: Deployment, *, is_vertex: bool) -> WireRequest:
    """The question how long `request` is for `target`'s model."""
    wire = request.wire
    dropped: list[str] = []
    path = model_path(target)
    if wire is not None and wire.dialect == NAME:
        body = own_body(wire)
        at = spelling(body, _WHOLE)
        inner = body.get(at)
        if isinstance(inner, dict):
            body[at] = {**inner, "model": path}
    else:
        body = translated(request, target, None, dropped)
        if is_vertex:
            body = {name: value for name, value in body.items() if name in _INPUT}
        else:
            body = {_WHOLE: {"model": path, **body}}
    return WireRequest(path=f"/{path}:countTokens", body=orjson.dumps(body), headers={}, dropped=tuple(dropped))


def parse_count(body: bytes) -> int:
    """The tokens counted. Raises a ProviderError where there is no such number."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        raise MalformedReply(f"the provider's count is no JSON: {exc}") from exc
    if isinstance(answer, dict):
        if answer.get("error") is not None:
            raise classify_event(answer)
        tokens = answer.get("totalTokens", 0 if "totalBillableCharacters" in answer else None)
        if type(tokens) is int and tokens >= 0:
            return tokens
    raise MalformedReply("the provider's count has no `totalTokens`")


def render_count(input_tokens: int) -> bytes:
    return orjson.dumps({"totalTokens": input_tokens})
