"""One event of Gemini's stream: a part of the answer, in the form of a whole one; or an error in its place."""

import orjson

from polyroute.dialects.gemini.failures import classify_event
from polyroute.dialects.gemini.names import Block
from polyroute.dialects.sse import parse_event
from polyroute.errors import MalformedReply

_FIELDS = (b"", b"data", b"event", b"id", b"retry")


def read_event(event: bytes) -> Block | None:
    """The JSON object an event carries; None for a comment or a bare field. Raises for errors and garbage."""
    name, data = parse_event(event)
    data = data.strip()
    if not data:
        if name or all(line.partition(b":")[0] in _FIELDS for line in event.splitlines()):
            return None
        raise MalformedReply("the provider sent something that is no event")
    if data == b"[DONE]":  # some servers close every stream as OpenAI does
        return None
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as exc:
        raise MalformedReply("the provider sent an event that is no JSON") from exc
    if isinstance(value, list) and value:
        value = value[0]
    if not isinstance(value, dict):
        raise MalformedReply("the provider sent an event that is no JSON object")
    if value.get("error") is not None or name == "error":
        raise classify_event(value)
    return value


def read_rest(rest: bytes) -> Block | None:
    """What a closed stream left without a blank line: a last event, an error in place of a stream, or garbage."""
    rest = rest.strip()
    if not rest:
        return None
    if rest[:1] in (b"{", b"["):
        rest = b"data: " + rest.replace(b"\r", b" ").replace(b"\n", b" ")
    return read_event(rest)
