"""The dialect's name, and the ids of what this gateway wrote itself: made from the answer's id, and known again.

A provider keeps the items it wrote, and looks one up by its id. It has none of ours: when a caller sends them back,
our ids are taken off, and so is reasoning of ours, which no provider takes from a stranger.
"""

from typing import Any

NAME = "openai_responses"
_MARK = "_polyroute_"
_LONGEST = 64  # characters of an id: "Expected a string with maximum length 64"


def made_id(kind: str, answer_id: str, index: int | None = None) -> str:
    """An id of `kind` ("resp", "msg", "fc", "rs") for the answer, or for its item at `index`."""
    number = "" if index is None else f"{index}_"
    tail = "".join(sign if sign.isalnum() else "_" for sign in answer_id)
    return f"{kind}{_MARK}{number}{tail}"[:_LONGEST]


def is_made(item_id: object) -> bool:
    return isinstance(item_id, str) and _MARK in item_id


def without_made(items: list[Any]) -> list[Any]:
    """`items` of a request as a provider takes them; the same list where none of them is ours."""
    if not any(isinstance(item, dict) and is_made(item.get("id")) for item in items):
        return items
    kept = []
    for item in items:
        if not (isinstance(item, dict) and is_made(item.get("id"))):
            kept.append(item)
        elif item.get("type") != "reasoning":
            kept.append({name: value for name, value in item.items() if name != "id"})
    return kept
