"""One body, and what each quirk makes of it."""

from copy import deepcopy
from typing import Any

import pytest

from polyroute.dialects.openai_chat.fitting import fit
from polyroute.types.quirks import QUIRKS

SCHEMA = {"type": "json_schema", "json_schema": {"name": "o", "strict": True, "schema": {"type": "object"}}}
INSTRUCTION = (
    "Answer with one JSON object and nothing else: no Markdown fence, no words before or after it.\n"
    'It must fit this JSON Schema:\n{"type":"object"}'
)
FULL: dict[str, Any] = {
    "model": "m",
    "messages": [{"role": "user", "content": "hi"}],
    "max_tokens": 9,
    "temperature": 0.5,
    "stop": ["x"],
    "seed": 1,
    "n": 1,
    "user": "ann",
    "logit_bias": {"1": 2},
    "logprobs": True,
    "top_logprobs": 2,
    "presence_penalty": 0.5,
    "parallel_tool_calls": False,
    "stream_options": {"include_usage": True},
    "reasoning_effort": "minimal",
    "tool_choice": "required",
}


def fitted(body: dict[str, Any], *quirks: str) -> tuple[dict[str, Any], set[str]]:
    mine, dropped = dict(body), set[str]()
    before = deepcopy(body)
    fit(mine, frozenset(quirks), dropped)
    assert body == before  # what the caller sent is left alone
    return mine, dropped


@pytest.mark.parametrize(
    ("quirk", "changes", "dropped"),
    [
        ("max_tokens", {}, set()),
        ("max_completion_tokens", {"max_tokens": None, "max_completion_tokens": 9}, set()),
        ("no_stream_usage", {"stream_options": None}, set()),
        ("random_seed", {"seed": None, "random_seed": 1}, set()),
        ("tool_choice_any", {"tool_choice": "any"}, set()),
        ("tool_choice_auto", {"tool_choice": None}, {"tool_choice"}),
        (
            "fixed_sampling",
            dict.fromkeys(("temperature", "presence_penalty", "logit_bias", "logprobs", "top_logprobs")),
            {"temperature", "presence_penalty", "logit_bias", "logprobs", "top_logprobs"},
        ),
        (
            "fixed_sampling_thinking",
            dict.fromkeys(("temperature", "presence_penalty", "logit_bias", "logprobs", "top_logprobs")),
            {"temperature", "presence_penalty", "logit_bias", "logprobs", "top_logprobs"},
        ),
        ("no_stop", {"stop": None}, {"stop"}),
        ("no_seed", {"seed": None}, {"seed"}),
        ("no_n", {"n": None}, set()),
        ("no_logit_bias", {"logit_bias": None}, {"logit_bias"}),
        ("no_logprobs", {"logprobs": None, "top_logprobs": None}, {"logprobs", "top_logprobs"}),
        ("no_penalties", {"presence_penalty": None}, {"presence_penalty"}),
        ("no_parallel_tool_calls", {"parallel_tool_calls": None}, {"parallel_tool_calls"}),
        ("no_extras", {"user": None}, {"user"}),
        ("no_effort", {"reasoning_effort": None}, {"reasoning_effort"}),
        ("no_minimal_effort", {"reasoning_effort": "low"}, set()),
        ("effort_high", {"reasoning_effort": "none"}, set()),
        ("reasoning_object", {"reasoning_effort": None, "reasoning": {"effort": "minimal"}}, set()),
        ("thinking_switch", {"thinking": {"type": "enabled"}}, set()),
        ("effort_none", {}, set()),
    ],
)
def test_one_quirk_changes_its_own_fields_only(quirk: str, changes: dict[str, Any], dropped: set[str]) -> None:
    expected = {name: value for name, value in {**FULL, **changes}.items() if value is not None}
    assert fitted(FULL, quirk) == (expected, dropped)


@pytest.mark.parametrize(
    ("effort", "quirk", "changes"),
    [
        ("none", "reasoning_object", {"reasoning": {"enabled": False}}),
        ("none", "thinking_switch", {"thinking": {"type": "disabled"}}),
        ("medium", "thinking_switch", {"reasoning_effort": "medium", "thinking": {"type": "enabled"}}),
        ("none", "effort_high", {"reasoning_effort": "none"}),
        ("low", "effort_high", {"reasoning_effort": "high"}),
        ("none", "effort_none", {"reasoning_effort": "none"}),
        ("none", "fixed_sampling_thinking", {"reasoning_effort": "none"}),
    ],
)
def test_how_much_to_think_is_said_in_the_servers_words(effort: str, quirk: str, changes: dict[str, Any]) -> None:
    assert fitted({"reasoning_effort": effort}, quirk) == (changes, set())


def test_what_says_nothing_is_left_out_without_a_word() -> None:
    assert fitted({"temperature": 1, "top_p": 1.0, "presence_penalty": 0, "logprobs": False}, "fixed_sampling") == (
        {},
        set(),
    )


def test_a_callers_own_words_for_the_server_stay() -> None:
    own = {"reasoning": {"max_tokens": 5}, "random_seed": 3, "tool_choice": "any", "thinking": {"type": "auto"}}
    assert fitted(own, "reasoning_object", "random_seed", "tool_choice_any", "thinking_switch") == (own, set())


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([], [{"role": "system", "content": INSTRUCTION}]),
        ([{"role": "system", "content": "be"}], [{"role": "system", "content": f"be\n\n{INSTRUCTION}"}]),
        (
            [{"role": "developer", "content": [{"type": "text", "text": "be"}]}],
            [{"role": "developer", "content": [{"type": "text", "text": "be"}, {"type": "text", "text": INSTRUCTION}]}],
        ),
    ],
)
def test_a_schema_that_cannot_be_given_is_an_instruction(messages: list[Any], expected: list[Any]) -> None:
    said, dropped = fitted({"messages": messages, "response_format": SCHEMA}, "json_object_only")
    assert said == {"messages": expected, "response_format": {"type": "json_object"}}
    assert dropped == {"response_format: json_schema as an instruction"}
    assert fitted({"messages": messages, "response_format": SCHEMA}, "no_json")[0] == {"messages": expected}


def test_strictness_is_left_out_where_it_is_not_known() -> None:
    tool = {"type": "function", "function": {"name": "f", "strict": True}}
    said, dropped = fitted({"tools": [tool], "response_format": SCHEMA}, "no_strict")
    assert said["tools"] == [{"type": "function", "function": {"name": "f"}}]
    assert "strict" not in said["response_format"]["json_schema"]
    assert dropped == {"strict"}


@pytest.mark.parametrize("quirk", QUIRKS)
@pytest.mark.parametrize(
    "body",
    [
        {},
        {"messages": None, "tools": None, "response_format": None, "reasoning_effort": None, "max_tokens": None},
        {"messages": "x", "tools": "x", "response_format": "x", "tool_choice": 3},
        {"messages": [None, 3, "x", {"role": 3, "content": 3, "tool_calls": [3, {"id": 3}], "tool_call_id": 3}]},
        {"messages": [], "response_format": {"type": "json_schema", "json_schema": 3}, "tools": [3, {}]},
    ],
)
def test_a_strange_body_goes_on_as_it_is(quirk: str, body: dict[str, Any]) -> None:
    fitted(body, quirk)  # the provider says what is wrong with it
