"""The events of Anthropic's streams that matter to the books: what begins an answer, what closes it, what fails it.

Source: platform.claude.com, "Streaming messages", event types.
"""

import orjson

from polyroute.dialects.anthropic_messages.failures import classify_event
from polyroute.dialects.sse import parse_event
from polyroute.errors import MalformedReply


def read_event(event: bytes) -> dict[str, object] | None:
    """The JSON object an event carries; None for a comment or a bare field. Raises for errors and garbage."""
    name, data = parse_event(event)
    if not data:
        if name or event.lstrip().startswith((b":", b"event", b"id", b"retry", b"data")) or not event.strip():
            return None
        raise MalformedReply("the provider sent something that is no event")
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as exc:
        if data.strip() == b"[DONE]":  # some servers close every stream as OpenAI does
            return None
        raise MalformedReply("the provider sent an event that is no JSON") from exc
    if not isinstance(value, dict):
        raise MalformedReply("the provider sent an event that is no JSON object")
    if value.get("type") == "error" or name == "error" or ("type" not in value and "error" in value):
        raise classify_event(value)
    return value if "type" in value or not name else {**value, "type": name}


def read_rest(rest: bytes) -> dict[str, object] | None:
    """What a closed stream left without a blank line: a last event, an error in place of a stream, or garbage."""
    if not rest.strip():
        return None
    if rest.lstrip()[:1] == b"{":
        rest = b"data: " + rest.strip().replace(b"\n", b" ")
    return read_event(rest)
