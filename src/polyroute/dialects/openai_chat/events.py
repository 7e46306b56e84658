"""One event of an upstream's stream: what it carries, or the error it stands for."""

import orjson

from polyroute.dialects.json_text import UNREADABLE
from polyroute.dialects.openai_chat.errors import error_in
from polyroute.dialects.openai_chat.read_response import raise_failed_choice, raise_failure
from polyroute.dialects.openai_chat.shape import ANSWER, WireAnswer
from polyroute.dialects.openai_chat.stops import FAILED
from polyroute.dialects.sse import parse_event

DONE = b"[DONE]"
_FIELDS = (b"", b"data", b"event", b"id", b"retry")


def data_of(event: bytes) -> bytes:
    """The event's data; empty for a comment or a keep-alive. Raises where it is an error, or no event at all."""
    name, data = parse_event(event)
    if name == "error":
        try:
            found = orjson.loads(data)
        except orjson.JSONDecodeError:
            found = data.decode("utf-8", "replace")
        raise error_in(found)
    if not data and not all(line.partition(b":")[0] in _FIELDS for line in event.splitlines()):
        raise_failure(event, "it is no event of a stream")
    return data.strip()


def answer_of(data: bytes) -> WireAnswer:
    """The chunk in an event's `data`. Raises where it reports an error or is not one."""
    try:
        answer = ANSWER.decode(data)
    except UNREADABLE as exc:
        raise_failure(data, exc)
    if answer.error is not None or answer.object == "error":
        raise_failure(data, "it reports an error")
    for choice in answer.choices or ():
        if choice.error is not None or choice.finish_reason in FAILED:
            raise_failed_choice(choice.error)
    return answer
