"""A schema through a tool, and its call as the answer again."""

from typing import Any

import pytest
from msgspec.structs import replace

from polyroute.dialects.answer_tool import Answering, answered, ask_otherwise, asks_otherwise
from polyroute.testing.providers import a_deployment
from polyroute.types.cards import ModelCard
from polyroute.types.content import Message, Part, Text, Thinking, ToolCall
from polyroute.types.request import OutputFormat, ProviderTool, Reasoning, Request, Tool, ToolChoice, ask
from polyroute.types.response import (
    Choice,
    ChoiceEnded,
    Chunk,
    Response,
    StopReason,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    ToolCallStarted,
)

SCHEMA: dict[str, object] = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
OWN = Tool(name="weather", parameters={"type": "object"})
TARGET = replace(a_deployment("m"), quirks=frozenset({"schema_by_tool"}))
ABLE = replace(TARGET, card=ModelCard(id="m", capabilities=frozenset({"tools", "thinking"})))
NAME = "final_answer"


def asking(schema: dict[str, object] | None = SCHEMA, **fields: Any) -> Request:
    return replace(ask("m", "a number"), output=OutputFormat(schema=schema, description="A number"), **fields)


@pytest.mark.parametrize(
    ("request_", "quirks", "otherwise"),
    [
        (asking(), {"schema_by_tool"}, True),
        (asking(), set(), False),
        (asking(None), {"schema_by_tool"}, False),
        (ask("m", "hi"), {"schema_by_tool"}, False),
    ],
    ids=["a schema", "one that is kept", "JSON of any kind", "no form"],
)
def test_only_a_schema_that_is_not_kept_is_asked_for_otherwise(
    request_: Request, quirks: set[str], otherwise: bool
) -> None:
    assert asks_otherwise(request_, replace(TARGET, quirks=frozenset(quirks))) is otherwise


@pytest.mark.parametrize(
    ("fields", "choice"),
    [
        ({}, ToolChoice(mode="named", name=NAME)),
        ({"tools": (OWN,)}, ToolChoice(mode="required")),
        ({"tools": (OWN,), "tool_choice": ToolChoice(mode="auto")}, ToolChoice(mode="required")),
        ({"tools": (OWN,), "tool_choice": ToolChoice(mode="none")}, ToolChoice(mode="named", name=NAME)),
        ({"reasoning": Reasoning(enabled=False)}, ToolChoice(mode="named", name=NAME)),
    ],
    ids=["alone", "beside tools", "beside tools that may be called", "beside tools that may not", "without thinking"],
)
def test_the_schema_is_the_input_of_a_tool_that_must_be_called(fields: dict[str, Any], choice: ToolChoice) -> None:
    asked = ask_otherwise(asking(**fields), ABLE)
    assert asked.tool == NAME
    assert asked.request.tools == (
        *fields.get("tools", ()),
        Tool(name=NAME, description="A number", parameters=SCHEMA),
    )
    assert asked.request.tool_choice == choice
    assert asked.request.output is None
    assert asked.notes == ("output: json_schema as a tool",)


def test_the_tool_is_named_as_no_tool_of_the_caller() -> None:
    taken = (replace(OWN, name=NAME), replace(OWN, name=f"{NAME}_"))
    assert ask_otherwise(asking(tools=taken), ABLE).tool == f"{NAME}__"


@pytest.mark.parametrize("mode", ["required", "named"])
def test_where_the_callers_own_tools_must_be_called_nothing_else_is_asked_for(mode: Any) -> None:
    request = asking(tools=(OWN,), tool_choice=ToolChoice(mode=mode, name="weather"))
    asked = ask_otherwise(request, ABLE)
    assert (asked.tool, asked.notes) == (None, ())
    assert asked.request == replace(request, output=None)


PREFILLED = (*ask("m", "a number").messages, Message(role="assistant", parts=(Text(text='{"n":'),)))


@pytest.mark.parametrize(
    ("request_", "target"),
    [
        (asking(reasoning=Reasoning(effort="high")), ABLE),
        (asking(tools=(ProviderTool(dialect="d", kind="search", raw={}),)), ABLE),
        (asking(messages=PREFILLED), ABLE),
        (asking({"type": "array"}), ABLE),
        (asking({"$ref": "#/$defs/A", "$defs": {"A": SCHEMA}}), ABLE),
        (asking({"anyOf": [SCHEMA]}), ABLE),
        (asking(), replace(ABLE, quirks=ABLE.quirks | {"tool_choice_auto"})),
        (asking(), replace(ABLE, card=ModelCard(id="m", capabilities=frozenset()))),
    ],
    ids=[
        "thinking",
        "a provider's tool",
        "prefilled",
        "an array",
        "a reference",
        "one of many",
        "unforced",
        "no tools",
    ],
)
def test_where_no_call_can_be_forced_it_is_put_in_words(request_: Request, target: Any) -> None:
    asked = ask_otherwise(request_, target)
    assert (asked.tool, asked.notes) == (None, ("output: json_schema as an instruction",))
    assert asked.request.output is None
    assert asked.request.tools == request_.tools
    told = asked.request.messages[0]
    assert told.role == "system"
    assert "JSON Schema" in told.parts[-1].text  # type: ignore[union-attr]  # it is a text
    assert asked.request.messages[-1] == request_.messages[-1]


def test_words_go_behind_the_callers_own_instructions() -> None:
    request = replace(asking(), messages=ask("m", "a number", system="Be brief.").messages)
    told = ask_otherwise(request, replace(ABLE, card=ModelCard(id="m", capabilities=frozenset()))).request.messages
    assert [message.role for message in told] == ["system", "user"]
    assert told[0].parts[0] == Text(text="Be brief.")


# ── the answer ────────────────────────────────────────────────────────────────────────────────────────────

SAID = ToolCall(id="1", name=NAME, arguments='{"n":1}')
CALL = ToolCall(id="2", name="weather", arguments="{}")
THOUGHT = Thinking(text="hm")
ANSWERS = [
    pytest.param((SAID,), StopReason.TOOL_CALLS, (Text(text='{"n":1}'),), StopReason.END, id="the call is the answer"),
    pytest.param(
        (THOUGHT, Text(text="Here:"), SAID),
        StopReason.TOOL_CALLS,
        (THOUGHT, Text(text='{"n":1}')),
        StopReason.END,
        id="words before it are not",
    ),
    pytest.param(
        (SAID, replace(SAID, id="3", arguments='{"n":2}')),
        StopReason.TOOL_CALLS,
        (Text(text='{"n":1}'),),
        StopReason.END,
        id="the first of two counts",
    ),
    pytest.param(
        (SAID, CALL),
        StopReason.TOOL_CALLS,
        (Text(text='{"n":1}'), CALL),
        StopReason.TOOL_CALLS,
        id="the caller's call goes on",
    ),
    pytest.param(
        (CALL,), StopReason.TOOL_CALLS, (CALL,), StopReason.TOOL_CALLS, id="the caller's call alone is untouched"
    ),
    pytest.param(
        (replace(SAID, arguments='{"n":'),),
        StopReason.MAX_TOKENS,
        (Text(text='{"n":'),),
        StopReason.MAX_TOKENS,
        id="a cut one stays cut",
    ),
    pytest.param(
        (Text(text="I cannot."),),
        StopReason.REFUSAL,
        (Text(text="I cannot."),),
        StopReason.REFUSAL,
        id="a refusal stays one",
    ),
    pytest.param(
        (replace(SAID, arguments=""),), StopReason.TOOL_CALLS, (Text(text="{}"),), StopReason.END, id="an empty input"
    ),
]


@pytest.mark.parametrize(("parts", "stop", "told", "ended"), ANSWERS)
def test_a_whole_answer(parts: tuple[Part, ...], stop: StopReason, told: tuple[Part, ...], ended: StopReason) -> None:
    found = answered(Response(id="", model="", choices=(Choice(parts=parts, stop=stop),), usage=None), NAME)
    assert (found.choices[0].parts, found.choices[0].stop) == (told, ended)


@pytest.mark.parametrize(("parts", "stop", "told", "ended"), ANSWERS)
@pytest.mark.parametrize("at_once", [True, False])
def test_a_streamed_answer_is_the_same(
    parts: tuple[Part, ...], stop: StopReason, told: tuple[Part, ...], ended: StopReason, at_once: bool
) -> None:
    answering = Answering(NAME)
    chunks = [*streamed(parts), ChoiceEnded(stop=stop, raw_stop="raw")]
    taken = answering.take(chunks) if at_once else [out for chunk in chunks for out in answering.take([chunk])]
    assert gathered(taken) == told
    last = taken[-1]
    assert isinstance(last, ChoiceEnded)
    assert (last.stop, last.raw_stop) == (ended, "raw" if ended is stop else None)


def streamed(parts: tuple[Part, ...]) -> list[Chunk]:
    chunks: list[Chunk] = []
    for number, part in enumerate(parts):
        match part:
            case Text():
                chunks += [TextDelta(text=piece, part=number) for piece in (part.text[:3], part.text[3:])]
            case Thinking():
                chunks.append(ThinkingDelta(text=part.text, part=number))
            case ToolCall():
                chunks.append(ToolCallStarted(id=part.id, name=part.name, part=number))
                pieces = (part.arguments[:3], part.arguments[3:]) if part.arguments else ()
                chunks += [ToolCallDelta(arguments=piece, part=number) for piece in pieces]
            case _:
                raise AssertionError(part)
    return chunks


def gathered(chunks: list[Chunk]) -> tuple[Part, ...]:
    parts: dict[int, Part] = {}
    for chunk in chunks:
        match chunk:
            case TextDelta():
                begun = parts.get(chunk.part)
                parts[chunk.part] = Text(text=(begun.text if isinstance(begun, Text) else "") + chunk.text)
            case ThinkingDelta():
                parts[chunk.part] = Thinking(text=chunk.text)
            case ToolCallStarted():
                parts[chunk.part] = ToolCall(id=chunk.id, name=chunk.name, arguments="")
            case ToolCallDelta():
                call = parts[chunk.part]
                assert isinstance(call, ToolCall)
                parts[chunk.part] = replace(call, arguments=call.arguments + chunk.arguments)
            case _:
                pass
    return tuple(parts.values())
