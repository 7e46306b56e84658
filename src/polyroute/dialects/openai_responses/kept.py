"""Answers that a provider keeps: under which ids, and how they are asked for again. Pure.

An answer has an id of its own, and so has each of its items and each container its tools ran in; later requests may
name them all.
Source: OpenAI API reference, "Create a model response", `store` and `item_reference`.
"""

from collections.abc import Mapping, Sequence
from typing import Literal
from urllib.parse import quote, urlencode

from polyroute.dialects.openai_responses.shape import SKIMMED, UNREADABLE, SkimmedAnswer
from polyroute.dialects.openai_responses.usage import read_usage
from polyroute.errors import InvalidRequest
from polyroute.ports import Recall
from polyroute.types.response import Usage

_MOST_ITEMS = 1_000
_LONGEST = 256  # characters of an id, or of a value in a query
_UNDER_WAY = ("queued", "in_progress")
_PATHS: Mapping[str, tuple[Literal["GET", "POST", "DELETE"], str, frozenset[str]]] = {
    "read": ("GET", "", frozenset({"include", "include[]", "include_obfuscation", "starting_after", "stream"})),
    "delete": ("DELETE", "", frozenset()),
    "cancel": ("POST", "/cancel", frozenset()),
    "input": ("GET", "/input_items", frozenset({"after", "before", "limit", "order", "include", "include[]"})),
}


def kept_of(answer: SkimmedAnswer) -> tuple[str, ...]:
    """The answer's own id first; nothing where it says that it is not kept."""
    if answer.store is False or not is_id(answer.id):
        return ()
    items = answer.output[:_MOST_ITEMS]
    containers = dict.fromkeys(item.container_id for item in items if is_id(item.container_id))
    return (answer.id, *(item.id for item in items if is_id(item.id)), *containers)


def kept_opening(event: dict[str, object]) -> tuple[str, ...]:
    """Of an answer that its provider goes on with when nobody listens any more, by its stream's first event."""
    answer = event.get("response")
    if not isinstance(answer, dict) or answer.get("background") is not True or answer.get("store") is False:
        return ()
    return (answer["id"],) if is_id(answer.get("id")) else ()


def is_id(value: object) -> bool:
    return (
        isinstance(value, str)
        and 0 < len(value) <= _LONGEST
        and value.isascii()
        and value.isprintable()
        and value[0].isalnum()
    )


def recall(answer_id: str, act: str, query: Sequence[tuple[str, str]]) -> Recall:
    """Raises InvalidRequest for a query that is not known: it would reach the provider unread."""
    method, path, known = _PATHS[act]
    for name, value in query:
        if name not in known:
            shown = name[:80]
            raise InvalidRequest(f"`{shown}` is not known here", field=shown, code="unknown_parameter")
        if len(value) > _LONGEST:
            raise InvalidRequest(f"`{name}` is longer than {_LONGEST} characters", field=name, code="out_of_range")
    streams = ("stream", "true") in query
    path = f"/responses/{quote(answer_id, safe='')}{path}"
    return Recall(method=method, path=path, query=urlencode(query, safe="[]"), streams=streams)


def final_usage(body: bytes) -> Usage | None:
    """What an answer read again has taken; None while it goes on, and where it does not say."""
    try:
        answer = SKIMMED.decode(body)
    except UNREADABLE:
        return None
    return None if answer.status in _UNDER_WAY else read_usage(answer.usage)
