"""One event of an upstream's stream: its kind, its value, or the error it stands for."""

from typing import Any

import orjson

from polyroute.dialects.openai_chat.errors import error_in
from polyroute.dialects.openai_responses.stops import raise_failed
from polyroute.dialects.sse import parse_event
from polyroute.errors import MalformedReply, StreamInterrupted

FINISHED = frozenset({"response.completed", "response.incomplete"})
_FIELDS = (b"", b"data", b"event", b"id", b"retry")
_DONE = b"[DONE]"  # no event of OpenAI's here, but some servers end every stream with it

Event = dict[str, Any]


def read_event(event: bytes) -> Event | None:
    """The event's value, its `type` always set; None for comments and end marks. Raises the error it reports."""
    name, data = parse_event(event)
    if not data:
        if all(line.partition(b":")[0] in _FIELDS for line in event.splitlines()):
            return None
        raise MalformedReply("the provider sent something that is no event of a stream")
    if data.strip() == _DONE:
        return None
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as exc:
        if name == "error":
            raise error_in(data.decode("utf-8", "replace")) from exc
        raise MalformedReply(f"the provider sent an event that is not JSON ({exc.msg})") from exc
    if not isinstance(value, dict):
        raise MalformedReply("the provider sent an event that is no object")
    kind = value.setdefault("type", name)
    if kind == "error" or name == "error" or (value.get("error") is not None and "response" not in value):
        raise error_in(value)
    if not isinstance(kind, str):
        raise MalformedReply("the provider sent an event whose `type` is no text")
    if kind in ("response.failed", "response.cancelled"):
        response = value.get("response")
        if kind == "response.cancelled":
            raise StreamInterrupted("the provider cancelled the answer")
        raise_failed(response.get("error") if isinstance(response, dict) else None)
    return value


def kind_of(event: bytes) -> str:
    """The event's type, read no further than needed; empty where the event must be read to know."""
    if event.startswith(b"event: response."):
        return event.split(None, 2)[1].decode("utf-8", "replace")
    if event.startswith(b'data: {"type":"response.'):
        return event[15 : event.find(b'"', 15)].decode("utf-8", "replace")
    return ""
