"""A route's own limit on input: refuse, truncate or go to the fallback, as the route declares."""

from msgspec.structs import replace

from polyroute.catalog import tokens
from polyroute.errors import InvalidRequest
from polyroute.types.content import Message, ToolCall, ToolResult
from polyroute.types.request import Request


def refuse(input_tokens: int, limit: int, route: str) -> InvalidRequest:
    return InvalidRequest(
        f"the input is about {input_tokens} tokens, and route `{route}` takes at most {limit} (max_input_tokens): "
        "shorten the messages",
        field="messages",
        code="context_length_exceeded",
    )


def truncate(request: Request, limit: int, route: str) -> Request:
    """The request without its oldest messages; instructions and the newest message stay.

    Raises InvalidRequest where those alone are too long. The result is no longer the caller's own bytes, so it is
    rendered anew even for an upstream of the same dialect.
    """
    kept = list(request.messages)
    while True:
        shorter = replace(request, messages=tuple(kept), wire=None)
        size = tokens.estimate(shorter)
        if size <= limit:
            return shorter
        droppable = [m for m in kept[:-1] if m.role not in ("system", "developer")]
        if not droppable:
            raise refuse(size, limit, route)
        kept.remove(droppable[0])
        while len(kept) > 1 and (orphan := _orphan(kept)) is not None:
            kept.remove(orphan)


def _orphan(messages: list[Message]) -> Message | None:
    """The first tool result whose call was dropped; providers refuse such a conversation."""
    called: set[str] = set()
    for message in messages[:-1]:
        for part in message.parts:
            if isinstance(part, ToolCall):
                called.add(part.id)
            elif isinstance(part, ToolResult) and part.call_id not in called:
                return message
    return None
