"""The requests that are sent: chat requests of about 1 KB in 64 variants, in OpenAI's and in Anthropic's shape."""

from __future__ import annotations

import json
from typing import Literal

Door = Literal["chat", "messages"]
PATHS: dict[Door, str] = {"chat": "/v1/chat/completions", "messages": "/v1/messages"}

KEY = "sk-bench-0000000000000000"
"""The caller's key; the upstream's is another one, so that a gateway that passes it on is seen."""

_SYSTEM = (
    "You are a careful assistant for a software team. Answer in plain words, give the reasons, and say so when you do "
    "not know. Never invent a reference. Keep code samples short and runnable. "
)
_QUESTION = (
    "We run a small service that forwards chat requests to several language models. Some questions are easy and could "
    "go to a cheap model, and others need a stronger one. We would like to choose per request, keep a budget for each "
    "team, and fall back to a second provider when the first one is down or answers too slowly. The traffic is about "
    "thirty requests a second at noon, most of them short, and nobody has looked at the bill for some months. Our plan "
    "has four steps: measure, choose the rule, try it on a tenth of the traffic, then switch. "
    "Question {number}: which of these steps would you do first, and why?"
)


def bodies(door: Door, model: str, *, stream: bool, count: int = 64) -> list[bytes]:
    """Distinct bodies, one JSON document each, without a line break."""
    return [_body(door, model, number, stream=stream) for number in range(1, count + 1)]


def headers(door: Door, key: str = KEY) -> dict[str, str]:
    """What the official SDK of that shape sends, as far as a gateway reads it."""
    common = {"content-type": "application/json", "accept": "application/json", "x-stainless-lang": "python"}
    if door == "messages":
        return common | {"x-api-key": key, "anthropic-version": "2023-06-01", "user-agent": "Anthropic/Python 1.0.0"}
    return common | {"authorization": f"Bearer {key}", "user-agent": "OpenAI/Python 1.50.0"}


def _body(door: Door, model: str, number: int, *, stream: bool) -> bytes:
    question = {"role": "user", "content": _QUESTION.format(number=number)}
    document: dict[str, object] = {"model": model, "temperature": 0.2, "max_tokens": 256}
    if door == "messages":
        document |= {"system": _SYSTEM, "messages": [question], "metadata": {"user_id": f"user-{number % 8}"}}
    else:
        document |= {"messages": [{"role": "system", "content": _SYSTEM}, question], "user": f"user-{number % 8}"}
    if stream:
        document["stream"] = True
        if door == "chat":
            document["stream_options"] = {"include_usage": True}
    return json.dumps(document, separators=(",", ":")).encode()
