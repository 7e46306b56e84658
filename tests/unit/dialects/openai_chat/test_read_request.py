import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyroute.dialects.openai_chat import OpenAIChat
from polyroute.errors import InvalidRequest
from polyroute.types.request import FreeInput, OutputFormat, ProviderTool, Reasoning, Request, Tool, ToolChoice

DIALECT = OpenAIChat()
BASE: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
FUNCTION = {"name": "f", "description": "does", "parameters": {"type": "object"}, "strict": True}
GRAMMAR = {"syntax": "regex", "definition": "[0-9]+"}
TOOL = Tool(name="f", description="does", parameters={"type": "object"}, strict=True)


def parse(**fields: Any) -> Request:
    return DIALECT.parse_request({**BASE, **fields}, {})


@pytest.mark.parametrize(
    ("field", "value", "name", "expected"),
    [
        ("max_tokens", 5, "max_output_tokens", 5),
        ("max_completion_tokens", 5, "max_output_tokens", 5),
        ("temperature", 1, "temperature", 1.0),
        ("top_p", 0.5, "top_p", 0.5),
        ("top_k", 40, "top_k", 40),
        ("top_k", -1, "top_k", None),
        ("stop", "a", "stop", ("a",)),
        ("stop", ["a", "b"], "stop", ("a", "b")),
        ("seed", -3, "seed", -3),
        ("random_seed", 3, "seed", 3),
        ("presence_penalty", -2, "presence_penalty", -2.0),
        ("frequency_penalty", 2, "frequency_penalty", 2.0),
        ("logit_bias", {"50256": -100}, "logit_bias", {"50256": -100.0}),
        ("logprobs", True, "logprobs", True),
        ("logprobs", 3, "logprobs", True),
        ("logprobs", 0, "logprobs", False),
        ("top_logprobs", 20, "top_logprobs", 20),
        ("n", 128, "n", 128),
        ("stream", True, "stream", True),
        ("stream_options", {"include_usage": True}, "stream_usage", True),
        ("stream_options", {}, "stream_usage", False),
        ("modalities", ["text", "audio"], "output_modalities", ("text", "audio")),
        ("user", "ann", "end_user", "ann"),
        ("safety_identifier", "ann", "end_user", "ann"),
        ("service_tier", "flex", "service_tier", "flex"),
        ("metadata", {"class": "batch"}, "metadata", {"class": "batch"}),
        ("parallel_tool_calls", False, "parallel_tool_calls", False),
        ("tools", [{"type": "function", "function": FUNCTION}], "tools", (TOOL,)),
        ("tools", [{"function": FUNCTION}], "tools", (TOOL,)),
        ("functions", [FUNCTION], "tools", (TOOL,)),
        (
            "tools",
            [{"type": "custom", "custom": {"name": "c", "description": "d"}}],
            "tools",
            (Tool(name="c", description="d", free_input=FreeInput()),),
        ),
        (
            "tools",
            [{"type": "custom", "custom": {"name": "c", "format": {"type": "grammar", "grammar": GRAMMAR}}}],
            "tools",
            (Tool(name="c", free_input=FreeInput(syntax="regex", definition="[0-9]+")),),
        ),
        (
            "tools",
            [{"type": "custom", "custom": {"name": "c", "format": {"type": "new"}}}],
            "tools",
            (
                ProviderTool(
                    dialect="openai_chat",
                    kind="custom",
                    raw={"type": "custom", "custom": {"name": "c", "format": {"type": "new"}}},
                ),
            ),
        ),
        (
            "web_search_options",
            {"search_context_size": "low"},
            "tools",
            (
                ProviderTool(
                    dialect="openai_chat", kind="web_search_options", raw={"search_context_size": "low"}
                ),
            ),
        ),
        ("tool_choice", "auto", "tool_choice", ToolChoice(mode="auto")),
        ("tool_choice", "any", "tool_choice", ToolChoice(mode="required")),
        (
            "tool_choice",
            {"type": "function", "function": {"name": "f"}},
            "tool_choice",
            ToolChoice(mode="named", name="f"),
        ),
        ("function_call", {"name": "f"}, "tool_choice", ToolChoice(mode="named", name="f")),
        ("function_call", "none", "tool_choice", ToolChoice(mode="none")),
        ("response_format", {"type": "text"}, "output", None),
        ("response_format", {"type": "json_object"}, "output", OutputFormat()),
        (
            "response_format",
            {"type": "json_schema", "json_schema": {"name": "o", "schema": {"a": 1}, "strict": True}},
            "output",
            OutputFormat(schema={"a": 1}, name="o", strict=True),
        ),
        ("reasoning_effort", "high", "reasoning", Reasoning(effort="high")),
        ("reasoning_effort", "none", "reasoning", Reasoning(enabled=False)),
        ("reasoning", {"max_tokens": 2000}, "reasoning", Reasoning(budget_tokens=2000)),
        ("reasoning", {"effort": "low", "exclude": True}, "reasoning", Reasoning(effort="low")),
        ("reasoning", {"enabled": False}, "reasoning", Reasoning(enabled=False)),
        ("thinking", {"type": "disabled"}, "reasoning", Reasoning(enabled=False)),
        ("thinking", {"type": "enabled", "budget_tokens": 9}, "reasoning", Reasoning(budget_tokens=9)),
        ("enable_thinking", False, "reasoning", Reasoning(enabled=False)),
        ("prediction", {"type": "content"}, "extensions", {"prediction": {"type": "content"}}),
        ("something_new", [1], "extensions", {"something_new": [1]}),
        ("response_format", {"type": "regex", "value": "a"}, "extensions",
         {"response_format": {"type": "regex", "value": "a"}}),
    ],
)  # fmt: skip
def test_a_field_becomes_canonical(field: str, value: object, name: str, expected: object) -> None:
    assert getattr(parse(**{field: value}), name) == expected


@pytest.mark.parametrize("field", ["temperature", "tools", "stream", "metadata", "store", "something_new"])
def test_null_is_absent(field: str) -> None:
    request = parse(**{field: None})
    assert request.extensions == {}
    assert getattr(request, field, None) == getattr(parse(), field, None)


def test_the_body_is_kept_as_it_came() -> None:
    body = {**BASE, "something_new": 1}
    request = DIALECT.parse_request(body, {"authorization": "Bearer secret"})
    assert request.wire is not None
    assert request.wire.body is body
    assert request.wire.headers == {}


def test_the_shorter_of_two_limits_counts() -> None:
    assert parse(max_tokens=5, max_completion_tokens=9).max_output_tokens == 5


def test_an_amount_of_reasoning_says_more_than_a_switch() -> None:
    assert parse(enable_thinking=True, reasoning_effort="low").reasoning == Reasoning(effort="low")


def test_allowed_tools_are_a_shorter_list() -> None:
    request = parse(
        tools=[{"type": "function", "function": {"name": name}} for name in ("a", "b", "c")],
        tool_choice={
            "type": "allowed_tools",
            "allowed_tools": {
                "mode": "required",
                "tools": [{"type": "function", "function": {"name": name}} for name in ("a", "c")],
            },
        },
    )
    assert request.tools == (Tool(name="a"), Tool(name="c"))
    assert request.tool_choice == ToolChoice(mode="required")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"model": 1}, "model"),
        ({"model": ""}, "model"),
        ({"model": "m" * 600}, "model"),
        ({"model": None}, "model"),
        ({"messages": None}, "messages"),
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": 2.1}, "temperature"),
        ({"temperature": -0.1}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"top_p": 1.5}, "top_p"),
        ({"top_k": -2}, "top_k"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"max_completion_tokens": 10**12}, "max_completion_tokens"),
        ({"n": 0}, "n"),
        ({"n": 129}, "n"),
        ({"n": "1"}, "n"),
        ({"stop": 1}, "stop"),
        ({"stop": ["a", 1]}, "stop[1]"),
        ({"stop": ["a"] * 100}, "stop"),
        ({"seed": 1.5}, "seed"),
        ({"presence_penalty": 3}, "presence_penalty"),
        ({"frequency_penalty": "a"}, "frequency_penalty"),
        ({"logit_bias": []}, "logit_bias"),
        ({"logit_bias": {"1": 101}}, "logit_bias.1"),
        ({"logprobs": "yes"}, "logprobs"),
        ({"top_logprobs": 21}, "top_logprobs"),
        ({"stream": "true"}, "stream"),
        ({"stream_options": True}, "stream_options"),
        ({"stream_options": {"include_usage": 1}}, "stream_options.include_usage"),
        ({"modalities": "text"}, "modalities"),
        ({"modalities": [1]}, "modalities[0]"),
        ({"user": 1}, "user"),
        ({"metadata": []}, "metadata"),
        ({"store": "yes"}, "store"),
        ({"prediction": "x"}, "prediction"),
        ({"audio": "x"}, "audio"),
        ({"tools": {}}, "tools"),
        ({"tools": ["f"]}, "tools[0]"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tools": [{"type": 1}]}, "tools[0].type"),
        ({"tools": [{"type": "custom", "custom": None}]}, "tools[0].custom"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
        ({"tools": [{"type": "function", "function": {"name": 1}}]}, "tools[0].function.name"),
        ({"tools": [{"type": "function", "function": {"name": "f", "parameters": []}}]},
         "tools[0].function.parameters"),
        ({"tools": [{"type": "function", "function": {"name": "f", "strict": 1}}]}, "tools[0].function.strict"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}] * 2000}, "tools"),
        ({"functions": [{"description": "x"}]}, "functions[0].name"),
        ({"tool_choice": "maybe"}, "tool_choice"),
        ({"tool_choice": 1}, "tool_choice"),
        ({"tool_choice": {"type": "robot"}}, "tool_choice.type"),
        ({"tool_choice": {"type": "function"}}, "tool_choice.function"),
        ({"tool_choice": {"type": "function", "function": {}}}, "tool_choice.function.name"),
        ({"parallel_tool_calls": "no"}, "parallel_tool_calls"),
        ({"response_format": "json"}, "response_format"),
        ({"response_format": {}}, "response_format.type"),
        ({"response_format": {"type": "yaml"}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": 1}}},
         "response_format.json_schema.schema"),
        ({"reasoning_effort": "much"}, "reasoning_effort"),
        ({"reasoning": {"effort": "much"}}, "reasoning.effort"),
        ({"thinking": {"type": "maybe"}}, "thinking.type"),
        ({"api_base": "http://evil.example"}, "api_base"),
        ({"api_key": "sk-1"}, "api_key"),
        ({"extra_headers": {}}, "extra_headers"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_refused_by_its_name(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse(**fields)
    assert caught.value.field == field
    assert f"`{field}`" in caught.value.message


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=8,
)
NAMES = ["tools", "functions", "tool_choice", "function_call", "response_format", "reasoning", "thinking", "stop",
         "stream_options", "logit_bias", "metadata", "messages", "model", "n", "user", "x"]  # fmt: skip


@given(st.dictionaries(st.sampled_from(NAMES), json_values))
def test_any_json_is_read_or_refused(fields: dict[str, Any]) -> None:
    with contextlib.suppress(InvalidRequest):
        assert parse(**fields).messages
