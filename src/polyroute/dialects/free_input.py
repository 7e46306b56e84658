"""A tool whose input is text, for dialects whose tools take JSON alone: a function of one text, `input`. Pure.

Its calls become text again, so a caller sees the tool it asked for. A grammar is a promise that no function keeps: such
a tool is an obstacle.
"""

from collections.abc import Iterable

import orjson
from msgspec import Struct
from msgspec.structs import replace

from polyroute.dialects.json_text import json_text
from polyroute.types.content import Message, Part, ToolCall
from polyroute.types.request import ProviderTool, Request, Tool
from polyroute.types.response import Choice, ChoiceEnded, Chunk, Response, ToolCallDelta, ToolCallStarted

_FIELD = "input"
_NO_GRAMMAR = "the grammar of its input means something only to a dialect with custom tools"
_PARAMETERS: dict[str, object] = {
    "type": "object",
    "properties": {_FIELD: {"type": "string"}},
    "required": [_FIELD],
    "additionalProperties": False,
}


class Wrapped(Struct, frozen=True, kw_only=True):
    request: Request
    names: frozenset[str]  # of the tools whose input is text
    obstacles: tuple[str, ...] = ()


def has_free_input(tools: Iterable[Tool | ProviderTool]) -> bool:
    return any(isinstance(tool, Tool) and tool.free_input is not None for tool in tools)


def wrapped(request: Request, dialect: str) -> Wrapped:
    """`request` with functions in place of such tools, also in what was said before."""
    free = [tool for tool in request.tools if isinstance(tool, Tool) and tool.free_input is not None]
    strict = [tool.name for tool in free if tool.free_input is not None and tool.free_input.syntax is not None]
    return Wrapped(
        request=replace(
            request,
            tools=tuple(_function(tool) if tool in free else tool for tool in request.tools),
            messages=tuple(map(_without_free, request.messages)),
        ),
        names=frozenset(tool.name for tool in free),
        obstacles=tuple(f"tool {name[:80]}: {_NO_GRAMMAR}, and {dialect} has none" for name in strict),
    )


def _function(tool: Tool | ProviderTool) -> Tool | ProviderTool:
    return replace(tool, parameters=_PARAMETERS, free_input=None) if isinstance(tool, Tool) else tool


def _without_free(message: Message) -> Message:
    if not any(isinstance(part, ToolCall) and part.is_free for part in message.parts):
        return message
    return replace(message, parts=tuple(map(_in_json, message.parts)))


def _in_json(part: Part) -> Part:
    if not isinstance(part, ToolCall) or not part.is_free:
        return part
    return replace(part, arguments=json_text({_FIELD: part.arguments}), is_free=False)


# ── the answer ────────────────────────────────────────────────────────────────────────────────────────────


def unwrapped(response: Response, names: frozenset[str]) -> Response:
    return replace(response, choices=tuple(_unwrapped(choice, names) for choice in response.choices))


def _unwrapped(choice: Choice, names: frozenset[str]) -> Choice:
    parts = tuple(
        replace(part, arguments=_text_in(part.arguments), is_free=True)
        if isinstance(part, ToolCall) and part.name in names
        else part
        for part in choice.parts
    )
    return replace(choice, parts=parts)


def _text_in(arguments: str) -> str:
    """The text that a call brings; whatever else the model wrote, where it kept to no form."""
    try:
        value = orjson.loads(arguments)
    except orjson.JSONDecodeError:
        return arguments
    said = value.get(_FIELD) if isinstance(value, dict) and len(value) == 1 else None
    return said if isinstance(said, str) else arguments


class Unwrapping:
    """The same for a stream: a call's input is told once it is whole. One per attempt."""

    __slots__ = ("_gathered", "_names")

    def __init__(self, names: frozenset[str]) -> None:
        self._names = names
        self._gathered: dict[tuple[int, int], list[str]] = {}  # by choice and part

    def take(self, chunks: Iterable[Chunk]) -> list[Chunk]:
        taken: list[Chunk] = []
        for chunk in chunks:
            match chunk:
                case ToolCallStarted() if chunk.name in self._names:
                    self._gathered[chunk.choice, chunk.part] = []
                    taken.append(replace(chunk, is_free=True))
                case ToolCallDelta() if (chunk.choice, chunk.part) in self._gathered:
                    self._gathered[chunk.choice, chunk.part].append(chunk.arguments)
                case ChoiceEnded():
                    for choice, part in [place for place in self._gathered if place[0] == chunk.choice]:
                        said = _text_in("".join(self._gathered.pop((choice, part))))
                        if said:
                            taken.append(ToolCallDelta(arguments=said, part=part, choice=choice))
                    taken.append(chunk)
                case _:
                    taken.append(chunk)
        return taken
