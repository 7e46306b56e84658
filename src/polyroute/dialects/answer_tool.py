"""A JSON schema for a model that cannot be held to one: as the input of a tool that it must call. Pure.

The call becomes the answer's text again, so a caller never sees the tool. Where no call can be forced the schema is put
in words: beside thinking, beside tools that the provider runs itself, after words that the answer is to go on from, and
where the model takes no forced call. Either way somebody must hold the answer against the schema.
Source: platform.claude.com, "Tool use", forcing tool use; "Extended thinking", limits; Bedrock API, "ToolChoice".
"""

from collections.abc import Iterable

from msgspec import Struct
from msgspec.structs import replace

from polyroute.dialects.json_words import json_in_words
from polyroute.types.cards import Deployment
from polyroute.types.content import Message, Part, Text, ToolCall
from polyroute.types.quirks import SCHEMA_BY_TOOL
from polyroute.types.request import ProviderTool, Request, Tool, ToolChoice
from polyroute.types.response import (
    Choice,
    ChoiceEnded,
    Chunk,
    PartAdded,
    Response,
    StopReason,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
)

_NAME = "final_answer"
_DESCRIPTION = "Gives the final answer to the user, in the form that they asked for."
_FORCED = ("required", "named")
_UNFIT = ("$ref", "anyOf", "oneOf", "allOf")  # at its head a tool's input has none of these


class Asked(Struct, frozen=True, kw_only=True):
    request: Request
    tool: str | None = None  # whose input is the answer
    notes: tuple[str, ...] = ()  # what became of the schema


def asks_otherwise(request: Request, target: Deployment) -> bool:
    output = request.output
    return output is not None and output.schema is not None and SCHEMA_BY_TOOL in target.quirks


def ask_otherwise(request: Request, target: Deployment) -> Asked:
    """`request` without its schema, which is asked for in another way. Only where `asks_otherwise`."""
    output, choice = request.output, request.tool_choice
    assert output is not None
    assert output.schema is not None
    plain = replace(request, output=None)
    if request.tools and choice is not None and choice.mode in _FORCED:
        return Asked(request=plain)  # it will call the caller's tools, and say nothing that had a form
    if not _can_be_forced(request, target, output.schema):
        words = json_in_words(output.schema, output.description)
        told = replace(plain, messages=_told(request.messages, words))
        return Asked(request=told, notes=("output: json_schema as an instruction",))
    name = _NAME
    while any(isinstance(tool, Tool) and tool.name == name for tool in request.tools):
        name += "_"
    tool = Tool(name=name, description=output.description or _DESCRIPTION, parameters=output.schema)
    may_call_others = bool(request.tools) and (choice is None or choice.mode == "auto")
    forced = ToolChoice(mode="required") if may_call_others else ToolChoice(mode="named", name=name)
    asked = replace(plain, tools=(*request.tools, tool), tool_choice=forced)
    return Asked(request=asked, tool=name, notes=("output: json_schema as a tool",))


def _can_be_forced(request: Request, target: Deployment, schema: dict[str, object]) -> bool:
    capabilities = target.card.capabilities
    can_call = "tool_choice_auto" not in target.quirks and (capabilities is None or "tools" in capabilities)
    reasoning = request.reasoning
    thinks = (
        reasoning is not None
        and reasoning.enabled
        and reasoning.effort != "none"
        and (capabilities is None or "thinking" in capabilities)
    )
    is_prefilled = bool(request.messages) and request.messages[-1].role == "assistant"
    is_object = schema.get("type", "object") == "object" and not any(word in schema for word in _UNFIT)
    has_own = any(isinstance(tool, ProviderTool) for tool in request.tools)
    return can_call and is_object and not (thinks or is_prefilled or has_own)


def _told(messages: tuple[Message, ...], words: str) -> tuple[Message, ...]:
    """With `words` at the end of the first instructions."""
    head = messages[0] if messages else None
    if head is not None and head.role in ("system", "developer"):
        return (replace(head, parts=(*head.parts, Text(text=f"\n\n{words}"))), *messages[1:])
    return (Message(role="system", parts=(Text(text=words),)), *messages)


# ── the answer ────────────────────────────────────────────────────────────────────────────────────────────


def answered(response: Response, tool: str) -> Response:
    """With what `tool` was called with as text. Whatever the model said beside it was not the answer."""
    return replace(response, choices=tuple(_answered(choice, tool) for choice in response.choices))


def _answered(choice: Choice, tool: str) -> Choice:
    if not any(_is_answer(part, tool) for part in choice.parts):
        return choice
    parts: list[Part] = []
    is_told = False
    for part in choice.parts:
        if isinstance(part, ToolCall) and part.name == tool:
            if not is_told:
                parts.append(Text(text=part.arguments or "{}"))
            is_told = True
        elif not isinstance(part, Text):
            parts.append(part)
    stop, raw = _stop(choice.stop, choice.raw_stop, calls=any(isinstance(part, ToolCall) for part in parts))
    return replace(choice, parts=tuple(parts), stop=stop, raw_stop=raw)


def _is_answer(part: Part, tool: str) -> bool:
    return isinstance(part, ToolCall) and part.name == tool


def _stop(stop: StopReason, raw: str | None, *, calls: bool) -> tuple[StopReason, str | None]:
    """The call was the answer's end; a cut one was cut, and says so."""
    return (StopReason.END, None) if stop is StopReason.TOOL_CALLS and not calls else (stop, raw)


class Answering:
    """The same for a stream. Words wait until it is known whether the tool is called. One per attempt."""

    __slots__ = ("_choices", "_tool")

    def __init__(self, tool: str) -> None:
        self._tool = tool
        self._choices: dict[int, _Told] = {}

    def take(self, chunks: Iterable[Chunk]) -> list[Chunk]:
        taken: list[Chunk] = []
        for chunk in chunks:
            self._take(chunk, taken)
        return taken

    def _take(self, chunk: Chunk, taken: list[Chunk]) -> None:
        match chunk:
            case ToolCallStarted():
                told = self._told(chunk.choice)
                if chunk.name != self._tool:
                    told.calls = True
                    taken.append(chunk)
                elif told.part is None:
                    told.part = chunk.part
                    told.words.clear()
                else:
                    told.passed_over.add(chunk.part)
            case ToolCallDelta():
                told = self._told(chunk.choice)
                if chunk.part == told.part:
                    told.is_said = True
                    taken.append(TextDelta(text=chunk.arguments, part=chunk.part, choice=chunk.choice))
                elif chunk.part not in told.passed_over:
                    taken.append(chunk)
            case TextDelta() | PartAdded(content=Text()):
                told = self._told(chunk.choice)
                if told.part is None:
                    told.words.append(chunk)
            case ChoiceEnded():
                told = self._told(chunk.choice)
                taken += told.words
                if told.part is None:
                    taken.append(chunk)
                    return
                if not told.is_said:
                    taken.append(TextDelta(text="{}", part=told.part, choice=chunk.choice))
                stop, raw = _stop(chunk.stop, chunk.raw_stop, calls=told.calls)
                taken.append(replace(chunk, stop=stop, raw_stop=raw))
            case _:
                taken.append(chunk)

    def _told(self, choice: int) -> "_Told":
        return self._choices.setdefault(choice, _Told())


class _Told:
    """What came of one choice so far."""

    __slots__ = ("calls", "is_said", "part", "passed_over", "words")

    def __init__(self) -> None:
        self.words: list[Chunk] = []  # said before the tool was called, if it is
        self.part: int | None = None  # the call of the tool
        self.is_said = False  # with something as its input
        self.passed_over: set[int] = set()  # further calls of it
        self.calls = False  # of other tools
