"""A law of every dialect: each field of a request is in the body it sends, or named in `dropped`, or an obstacle."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from polyroute.ports import Dialect
from polyroute.testing.providers import a_deployment
from polyroute.types.content import CacheMark, Message, Text, Thinking, ToolCall, ToolResult
from polyroute.types.request import OutputFormat, Reasoning, Request, Tool, ToolChoice, ask
from polyroute.wiring.dialects import DIALECTS

CHATS = [
    one
    for name, one in DIALECTS.items()
    if (one.operation, one.name) == ("chat", name) and not one.obstacles(ask("m", "Hello"))  # completions take a text
]
SCHEMA: dict[str, object] = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
FIELDS: dict[str, Any] = {
    "parallel_tool_calls": False,
    "max_output_tokens": 100,
    "temperature": 0.5,
    "top_p": 0.5,
    "top_k": 5,
    "stop": ("END",),
    "seed": 7,
    "presence_penalty": 0.5,
    "frequency_penalty": 0.25,
    "logit_bias": {"42": 1.0},
    "end_user": "user-1",
    "service_tier": "auto",
    "metadata": {"order": "7"},
    "reasoning": Reasoning(effort="high"),
    "output": OutputFormat(schema=SCHEMA, name="place"),
    "tool_choice": ToolChoice(mode="required"),
    "stream": True,
    "n": 2,
    "logprobs": True,
    "extensions": {"x_new_field": {"a": 1}},
}
NAMES = {
    "extensions": "x_new_field",
    "end_user": "user",
    "max_output_tokens": "max",
}  # in `dropped`, where it is not the field's own
HISTORY = (
    Message(role="system", parts=(Text(text="Be brief."),)),
    Message(role="user", parts=(Text(text="A long text.", cache=CacheMark()),)),
    Message(
        role="assistant",
        parts=(
            Thinking(text="Let me see.", signature="c2ln"),
            Text(text="I look it up."),
            ToolCall(id="call_one", name="weather", arguments='{"city":"Oslo"}'),
            ToolCall(id="call_two", name="weather", arguments='{"city":"Rome"}'),
        ),
    ),
    Message(
        role="tool",
        parts=(
            ToolResult(call_id="call_one", parts=(Text(text="rain in Oslo"),)),
            ToolResult(call_id="call_two", parts=(Text(text="sun in Rome"),), is_error=True),
        ),
    ),
)


@pytest.mark.parametrize("dialect", CHATS, ids=lambda dialect: dialect.name)
@given(names=st.sets(st.sampled_from(sorted(FIELDS)), max_size=8))
def test_a_field_is_sent_or_named_or_an_obstacle(dialect: Dialect, names: set[str]) -> None:
    tools = (Tool(name="weather", parameters=SCHEMA),)
    request = replace(ask("m", "Hello"), tools=tools, **{name: FIELDS[name] for name in names})
    if obstacles := dialect.obstacles(request):
        assert names & {"n", "logprobs", "output", "tool_choice", "stop"}, obstacles
        return
    told = dialect.render_request(request, a_deployment("m"), max_output_tokens=None)
    again = dialect.parse_request({"model": "m", **_body(told.body)}, {})
    for name in names - {"stream"}:  # Gemini and Bedrock say it in the path
        arrived = getattr(again, name) == FIELDS[name] or (name in ("reasoning", "output") and getattr(again, name))
        word = NAMES.get(name, name)
        assert arrived or [one for one in told.dropped if word in one], (name, told.dropped)


@pytest.mark.parametrize("dialect", CHATS, ids=lambda dialect: dialect.name)
def test_a_conversation_is_sent_whole_or_what_is_not_is_named(dialect: Dialect) -> None:
    request = replace(ask("m", ""), messages=HISTORY, tools=(Tool(name="weather", parameters=SCHEMA),))
    assert dialect.obstacles(request) == ()
    told = dialect.render_request(request, a_deployment("m"), max_output_tokens=None)
    for words in (b"Be brief.", b"A long text.", b"I look it up.", b"Oslo", b"Rome", b"rain in Oslo", b"sun in Rome"):
        assert words in told.body, words
    again = dialect.parse_request({"model": "m", **_body(told.body)}, {})
    parts = _parts(again)
    for name, arrived in (
        ("thinking", any(isinstance(part, Thinking) and part.signature for part in parts)),
        ("cache", any(getattr(part, "cache", None) for part in parts)),
        ("is_error", any(isinstance(part, ToolResult) and part.is_error for part in parts)),
    ):
        assert arrived or [one for one in told.dropped if name in one], (name, told.dropped)


def _body(data: bytes) -> dict[str, Any]:
    body: dict[str, Any] = orjson.loads(data)
    return body


def _parts(request: Request) -> list[Any]:
    return [part for message in request.messages for part in message.parts]
