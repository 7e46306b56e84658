"""Counting a request's input tokens without answering it, as a door and as an upstream.

Source: platform.claude.com, API reference "Count tokens in a Message".
"""

from collections.abc import Mapping

import orjson

from polyroute.dialects.anthropic_messages.failures import classify_event
from polyroute.dialects.anthropic_messages.read_content import NAME
from polyroute.dialects.anthropic_messages.read_request import parse_request
from polyroute.dialects.anthropic_messages.write_request import forwarded_headers, own_body, write_request
from polyroute.errors import MalformedReply
from polyroute.ports import WireRequest
from polyroute.types.cards import Deployment
from polyroute.types.request import Request

PATH = "/v1/messages/count_tokens"

_ANSWER_ONLY = frozenset({  # fields of a message request that its input's length does not depend on
    "max_tokens", "stream", "temperature", "top_p", "top_k", "stop_sequences", "metadata", "service_tier", "container",
    "inference_geo", "fallbacks", "diagnostics",
})  # fmt: skip


def parse_count_request(body: dict[str, object], headers: Mapping[str, str]) -> Request:
    return parse_request(body, headers, counting=True)


def render_count_request(request: Request, target: Deployment) -> WireRequest:
    """The question how long `request` is for `target`'s model."""
    wire = request.wire
    if wire is not None and wire.dialect == NAME:
        dropped: list[str] = []
        body = own_body(wire, target, dropped)
        headers: Mapping[str, str] = forwarded_headers(wire)
    else:
        written = write_request(request, target, None)
        body, headers, dropped = orjson.loads(written.body), written.headers, list(written.dropped)
    kept = {name: value for name, value in body.items() if name not in _ANSWER_ONLY}
    return WireRequest(path=PATH, body=orjson.dumps(kept), headers=headers, dropped=tuple(dropped))


def parse_count(body: bytes) -> int:
    """The tokens counted. Raises a ProviderError where there is no such number."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        raise MalformedReply(f"the provider's count is no JSON: {exc}") from exc
    if isinstance(answer, dict):
        if answer.get("type") == "error":
            raise classify_event(answer)
        tokens = answer.get("input_tokens")
        if type(tokens) is int and tokens >= 0:
            return tokens
    raise MalformedReply("the provider's count has no `input_tokens`")


def render_count(input_tokens: int) -> bytes:
    return orjson.dumps({"input_tokens": input_tokens})
