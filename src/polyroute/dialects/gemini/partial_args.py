"""A call's arguments as Gemini streams them: values, or pieces of texts, each with the place where it stands. Pure.

The first part names the function; every part but the last says that more will follow. Places come in order: an index
is that of an element that is there, or of the next one. Raises MalformedReply.
Source: Vertex AI, "Function calling", streaming function call arguments; API reference "PartialArg"; RFC 9535, of whose
paths only names and indexes are used.
"""

from itertools import pairwise
from typing import Any

from polyroute.dialects.gemini.names import Block, camel
from polyroute.dialects.json_text import json_text
from polyroute.errors import MalformedReply

_VALUES = ("stringValue", "numberValue", "boolValue", "nullValue")
_DEEPEST = 200  # steps of a path; JSON that is nested deeper can be handed to nobody

_Step = str | int


class PartialCall:
    """One call as it grows."""

    __slots__ = ("_arguments", "_pieces", "_unfinished")

    def __init__(self) -> None:
        self._arguments: dict[str, Any] = {}
        self._unfinished: tuple[_Step, ...] | None = None  # where the text stands of which more will follow
        self._pieces: list[str] = []  # of it

    def arguments(self) -> str:
        """JSON text of all that came."""
        self._finish_text()
        return json_text(self._arguments)

    def grow(self, call: Block) -> bool:
        """Whether more of it will follow."""
        if isinstance(args := call.get("args"), dict):
            self._arguments.update(args)
        given = call.get("partialArgs")
        for item in given if isinstance(given, list) else ():
            if not isinstance(item, dict):
                raise MalformedReply("the provider sent a part of a call's arguments that is no object")
            self._place(camel(item))
        return call.get("willContinue") is True

    def _place(self, item: Block) -> None:
        steps = _steps(item.get("jsonPath"))
        kind = next((name for name in _VALUES if name in item), None)
        value = None if kind in (None, "nullValue") else item[kind]
        if steps != self._unfinished:
            self._finish_text()
        if self._unfinished is not None and isinstance(value, str):
            self._pieces.append(value)
        elif kind is not None:
            self._finish_text()
            _put(self._holder(steps), steps[-1], value)
            if isinstance(value, str):
                self._unfinished, self._pieces = steps, [value]
        if item.get("willContinue") is not True:
            self._finish_text()

    def _finish_text(self) -> None:
        """Its pieces are joined once: a text may come letter by letter."""
        if self._unfinished is not None:
            steps, self._unfinished = self._unfinished, None
            _put(self._holder(steps), steps[-1], "".join(self._pieces))

    def _holder(self, steps: tuple[_Step, ...]) -> Any:
        """The object or array that the last step stands in; what is missing on the way is made."""
        holder: Any = self._arguments
        for step, after in pairwise(steps):
            inner = _get(holder, step)
            if inner is None:
                inner = [] if isinstance(after, int) else {}
                _put(holder, step, inner)
            holder = inner
        return holder


def is_piece(part: object) -> bool:
    """Whether `part` belongs to a call whose arguments come by pieces; the last one may say nothing at all."""
    call = call_in(part)
    return call is not None and bool(not call or call.get("willContinue") or call.get("partialArgs"))


def call_in(part: object) -> Block | None:
    call = part.get("functionCall", part.get("function_call")) if isinstance(part, dict) else None
    return camel(call) if isinstance(call, dict) else None


def _get(holder: Any, step: _Step) -> Any:
    if isinstance(step, str) and isinstance(holder, dict):
        return holder.get(step)
    if isinstance(step, int) and isinstance(holder, list):
        return holder[step] if step < len(holder) else None
    raise MalformedReply("the provider sent a call's argument at a place that is none")


def _put(holder: Any, step: _Step, value: object) -> None:
    if isinstance(step, str) and isinstance(holder, dict):
        holder[step] = value
    elif isinstance(step, int) and isinstance(holder, list) and step <= len(holder):
        holder[step : step + 1] = [value]
    else:
        raise MalformedReply("the provider sent a call's argument at a place that is none")


def _steps(path: object) -> tuple[_Step, ...]:
    """ "$.foo['a b'][0]" as its names and indexes."""
    if not isinstance(path, str) or not path.startswith("$"):
        raise MalformedReply("the provider sent a part of a call's arguments without its place")
    steps: list[_Step] = []
    at = 1
    while at < len(path):
        if len(steps) == _DEEPEST:
            raise MalformedReply(f"the provider nested a call's arguments over {_DEEPEST} deep")
        if path[at] == ".":
            end = min((found for mark in ".[" if (found := path.find(mark, at + 1)) >= 0), default=len(path))
            steps.append(path[at + 1 : end])
        elif path[at : at + 2] in ("['", '["'):
            name, end = _quoted(path, at + 1)
            steps.append(name)
        elif path[at] == "[" and (end := path.find("]", at) + 1) and path[at + 1 : end - 1].isdecimal():
            steps.append(int(path[at + 1 : min(end - 1, at + 10)]))
        else:
            raise MalformedReply("the provider sent a call's argument at a place that cannot be read")
        at = end
    if not steps:
        raise MalformedReply("the provider sent a call's arguments at a place that is none")
    return tuple(steps)


def _quoted(path: str, at: int) -> tuple[str, int]:
    """The name in the quotes that open at `at`, and where its bracket has closed."""
    quote, name, at = path[at], [], at + 1
    while at < len(path) and path[at] != quote:
        at += path[at] == "\\"
        name.append(path[at : at + 1])
        at += 1
    if path[at + 1 : at + 2] != "]":
        raise MalformedReply("the provider sent a call's argument at a place that cannot be read")
    return "".join(name), at + 2
