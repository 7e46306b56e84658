"""Tools whose input is text: between the two dialects that have them, and as functions everywhere else."""

from typing import Any

import orjson
import pytest
from msgspec.structs import replace

from polyroute.dialects.emulation import emulated
from polyroute.dialects.free_input import Unwrapping, unwrapped
from polyroute.ports import Dialect
from polyroute.stages.assembly.chunks import chunks_of
from polyroute.testing.providers import a_deployment
from polyroute.types.content import Message, Text, ToolCall, ToolResult
from polyroute.types.request import FreeInput, Request, Tool, ToolChoice, ask
from polyroute.types.response import (
    Choice,
    Chunk,
    Ended,
    Response,
    StopReason,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
)
from polyroute.wiring.dialects import ANTHROPIC_MESSAGES, BEDROCK_CONVERSE, GEMINI, OPENAI_CHAT, OPENAI_RESPONSES

TARGET = a_deployment("m")
RUN = Tool(name="run", description="Runs Python", free_input=FreeInput())
DIGITS = Tool(name="digits", free_input=FreeInput(syntax="regex", definition="[0-9]+"))
OWN = Tool(name="f", parameters={"type": "object"})
CALL = ToolCall(id="call_1", name="run", arguments='print("1")\n', is_free=True)
TOLD = (
    *ask("m", "go").messages,
    Message(role="assistant", parts=(Text(text="I run"), CALL)),
    Message(role="tool", parts=(ToolResult(call_id="call_1", parts=(Text(text="1"),)),)),
)
BOTH = [OPENAI_CHAT, OPENAI_RESPONSES]
OTHERS = [ANTHROPIC_MESSAGES, BEDROCK_CONVERSE, GEMINI]


def asking(*tools: Tool, **fields: Any) -> Request:
    return replace(ask("m", "go"), messages=TOLD, tools=tools, **fields)


def answer(*parts: Any) -> Response:
    choice = Choice(parts=parts, stop=StopReason.TOOL_CALLS)
    return Response(id="a", model="m", choices=(choice,), usage=None, created_s=1)


# ── the two that have them ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("dialect", BOTH)
@pytest.mark.parametrize("choice", [None, ToolChoice(mode="named", name="run"), ToolChoice(mode="named", name="f")])
def test_a_request_with_such_tools_is_read_again_as_it_was_written(dialect: Dialect, choice: ToolChoice | None) -> None:
    asked = asking(RUN, DIGITS, OWN, tool_choice=choice)
    assert emulated(asked, TARGET, dialect) is None
    body = orjson.loads(dialect.render_request(asked, TARGET, max_output_tokens=None).body)
    again = dialect.parse_request(body, {})
    assert again.tools[:2] == (RUN, DIGITS)
    assert again.tool_choice == choice
    assert [part for message in again.messages for part in message.parts if isinstance(part, ToolCall)] == [CALL]
    assert again.messages[-1] == TOLD[-1]
    if isinstance(body.get("tool_choice"), dict):
        assert body["tool_choice"]["type"] == ("custom" if choice and choice.name == "run" else "function")


def test_each_dialect_says_it_in_its_own_words() -> None:
    grammar = {"syntax": "regex", "definition": "[0-9]+"}
    chat = orjson.loads(OPENAI_CHAT.render_request(asking(DIGITS), TARGET, max_output_tokens=None).body)
    assert chat["tools"] == [
        {"type": "custom", "custom": {"name": "digits", "format": {"type": "grammar", "grammar": grammar}}}
    ]
    responses = orjson.loads(OPENAI_RESPONSES.render_request(asking(DIGITS), TARGET, max_output_tokens=None).body)
    assert responses["tools"] == [{"type": "custom", "name": "digits", "format": {"type": "grammar", **grammar}}]
    assert [item["type"] for item in responses["input"][-2:]] == ["custom_tool_call", "custom_tool_call_output"]


@pytest.mark.parametrize("upstream", BOTH)
@pytest.mark.parametrize("door", BOTH)
def test_an_answer_that_calls_one_goes_through_both(upstream: Dialect, door: Dialect) -> None:
    asked = door.parse_request(orjson.loads(door.render_request(asking(RUN), TARGET, max_output_tokens=None).body), {})
    native = upstream.parse_response(upstream.render_response(answer(CALL), asked))
    assert native.choices[0].parts == (CALL,)
    assert native.choices[0].stop is StopReason.TOOL_CALLS
    again = door.parse_response(door.render_response(native, asked))
    assert again.choices[0].parts == (CALL,)


@pytest.mark.parametrize("dialect", BOTH)
@pytest.mark.parametrize("text", ['print("1")\n', ""])
def test_a_stream_that_calls_one_is_read_again(dialect: Dialect, text: str) -> None:
    call = replace(CALL, arguments=text)
    asked = dialect.parse_request({**body_of(dialect), "stream": True}, {})
    writer, reader = dialect.open_writer(asked), dialect.open_reader(same_dialect=False)
    written = b""
    for chunk in chunks_of(answer(Text(text="I run"), call, replace(OWN_CALL, id="call_2"))):
        written += writer.end(chunk, {}) if isinstance(chunk, Ended) else writer.write(chunk)
    chunks = [*reader.feed(written), *reader.close()]
    assert gathered(chunks) == [call, replace(OWN_CALL, id="call_2")]


OWN_CALL = ToolCall(id="call_2", name="f", arguments='{"a":1}')


def body_of(dialect: Dialect) -> dict[str, object]:
    return dict(orjson.loads(dialect.render_request(asking(RUN), TARGET, max_output_tokens=None).body))


def gathered(chunks: list[Chunk]) -> list[ToolCall]:
    calls: dict[int, ToolCall] = {}
    for chunk in chunks:
        if isinstance(chunk, ToolCallStarted):
            calls[chunk.part] = ToolCall(id=chunk.id, name=chunk.name, arguments="", is_free=chunk.is_free)
        elif isinstance(chunk, ToolCallDelta):
            begun = calls[chunk.part]
            calls[chunk.part] = replace(begun, arguments=begun.arguments + chunk.arguments)
    return list(calls.values())


# ── the others ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("dialect", OTHERS)
def test_elsewhere_it_is_a_function_of_one_text(dialect: Dialect) -> None:
    put = emulated(asking(RUN, OWN, tool_choice=ToolChoice(mode="named", name="run")), TARGET, dialect)
    assert put is not None
    assert (put.obstacles, dialect.obstacles(put.request)) == ((), ())
    body = orjson.loads(dialect.render_request(put.request, TARGET, max_output_tokens=None).body)
    again = dialect.parse_request({"model": "m", **body}, {})
    tool = again.tools[0]
    assert isinstance(tool, Tool)
    assert (tool.name, tool.description) == ("run", "Runs Python")
    assert tool.parameters is not None
    assert tool.parameters["required"] == ["input"]
    said = [part for message in again.messages for part in message.parts if isinstance(part, ToolCall)]
    assert [orjson.loads(part.arguments) for part in said] == [{"input": 'print("1")\n'}]


@pytest.mark.parametrize("dialect", OTHERS)
def test_a_grammar_is_an_obstacle_there(dialect: Dialect) -> None:
    put = emulated(asking(RUN, DIGITS), TARGET, dialect)
    assert put is not None
    (told,) = put.obstacles
    assert told.startswith("tool digits: the grammar of its input")
    assert told.endswith(f"{dialect.name} has none")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ('{"input":"print(\\"1\\")\\n"}', 'print("1")\n'),
        ('{"input":""}', ""),
        ('{"code":"x"}', '{"code":"x"}'),
        ('{"input":1}', '{"input":1}'),
        ('{"input":"a","more":1}', '{"input":"a","more":1}'),
        ("print", "print"),
        ("[]", "[]"),
    ],
)
def test_its_call_brings_text_again_whole_and_streamed(arguments: str, text: str) -> None:
    wrapped = replace(CALL, arguments=arguments, is_free=False)
    told = answer(Text(text="I run"), wrapped, OWN_CALL)
    free = replace(CALL, arguments=text)
    assert unwrapped(told, frozenset({"run"})).choices[0].parts == (Text(text="I run"), free, OWN_CALL)
    unwrapping = Unwrapping(frozenset({"run"}))
    chunks: list[Chunk] = []
    for chunk in chunks_of(told):
        pieces: list[Chunk] = [chunk]
        if isinstance(chunk, ToolCallDelta):
            pieces = [replace(chunk, arguments=letter) for letter in chunk.arguments]
        chunks += [out for piece in pieces for out in unwrapping.take([piece])]
    assert gathered(chunks) == [free, OWN_CALL]
    assert [chunk.text for chunk in chunks if isinstance(chunk, TextDelta)] == ["I run"]
