"""Where a part of a streamed answer stands, and the kinds of its events: a text's, a refusal's, a thought's."""

from collections.abc import Callable
from typing import NamedTuple

from polyroute.dialects.openai_responses.output import Item, refusal_part, summary_part, text_part

EMPTY: dict[str, Callable[[], Item]] = {
    "text": lambda: text_part("", [], []),
    "refusal": lambda: refusal_part(""),
    "summary": lambda: summary_part(""),
}
ADDED = {
    "text": "response.content_part.added",
    "refusal": "response.content_part.added",
    "summary": "response.reasoning_summary_part.added",
}
DONE = {
    "text": "response.output_text.done",
    "refusal": "response.refusal.done",
    "summary": "response.reasoning_summary_text.done",
}


class Called(NamedTuple):
    """How the input of a call is told."""

    field: str
    delta: str
    done: str
    shown: tuple[str, ...]  # with `done`
    empty: str = ""  # where nothing came


CALLED = {
    "function_call": Called(
        field="arguments",
        delta="response.function_call_arguments.delta",
        done="response.function_call_arguments.done",
        shown=("name", "arguments"),
        empty="{}",  # callers parse the arguments, and "" is not JSON
    ),
    "custom_tool_call": Called(
        field="input",
        delta="response.custom_tool_call_input.delta",
        done="response.custom_tool_call_input.done",
        shown=("input",),
    ),
}


class Place:
    """A part of an item that is being written, or was."""

    __slots__ = ("content", "index", "item", "number", "pieces")

    def __init__(self, item: Item, number: int, content: Item, index: int) -> None:
        self.item = item
        self.number = number  # the item's, in the answer
        self.content = content
        self.index = index  # the part's, in the item
        self.pieces: list[str] = []


def at(place: Place) -> Item:
    return {"item_id": place.item["id"], "output_index": place.number}


def inner(kind: str, place: Place) -> Item:
    return {"summary_index" if kind == "summary" else "content_index": place.index}
