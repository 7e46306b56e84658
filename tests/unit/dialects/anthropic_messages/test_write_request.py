from typing import Any

import orjson
import pytest
from msgspec.structs import replace

from polyroute.dialects.anthropic_messages.read_request import parse_request
from polyroute.dialects.anthropic_messages.write_request import write_request
from polyroute.ports import WireRequest
from polyroute.types.cards import Deployment, ModelCard
from polyroute.types.content import CacheMark, Message, Text, ToolCall, ToolResult
from polyroute.types.request import OutputFormat, ProviderTool, Reasoning, Request, Tool, ToolChoice, Wire, ask

PLAIN = replace(ask("route", "hi", max_output_tokens=100), wire=Wire(dialect="openai_chat", body={}))
WEATHER = Tool(name="weather", description="d", parameters={"type": "object", "properties": {}})


def target(**facts: Any) -> Deployment:
    return Deployment(
        id="m@anthropic",
        model="m",
        provider="anthropic",
        dialect="anthropic_messages",
        upstream_model="claude",
        card=ModelCard(id="anthropic/m", **facts),
    )


def write(request: Request, *, limit: int | None = None, **facts: Any) -> tuple[dict[str, Any], WireRequest]:
    sent = write_request(request, target(**facts), limit)
    return orjson.loads(sent.body), sent


# ── its own requests ──────────────────────────────────────────────────────────────────────────────────────

OWN: dict[str, Any] = {"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]}


def own(headers: dict[str, str] | None = None, **changes: object) -> Request:
    return parse_request({**OWN, **changes}, headers or {})


def test_its_own_request_passes_with_unknown_fields_and_only_the_model_changed() -> None:
    body, sent = write(own(yet_to_come={"a": [1]}, tools=[{"type": "new_tool", "x": 1}]))
    assert body == {**OWN, "model": "claude", "yet_to_come": {"a": [1]}, "tools": [{"type": "new_tool", "x": 1}]}
    assert (sent.path, sent.dropped) == ("/v1/messages", ())


def test_the_body_as_received_is_never_changed() -> None:
    request = own(metadata={"class": "batch"}, thinking={"type": "enabled", "budget_tokens": 3000})
    assert request.wire is not None
    before = orjson.dumps(request.wire.body)
    write(request, limit=10)
    assert orjson.dumps(request.wire.body) == before


def test_version_and_betas_pass_as_the_caller_sent_them() -> None:
    assert write(own())[1].headers == {"anthropic-version": "2023-06-01"}
    asked = {"anthropic-version": "2027-01-01", "anthropic-beta": "a,b"}
    assert write(own(asked))[1].headers == asked


@pytest.mark.parametrize(("limit", "sent"), [(None, 100), (50, 50), (200, 100)])
def test_the_clamp_only_ever_shortens(limit: int | None, sent: int) -> None:
    assert write(own(), limit=limit)[0]["max_tokens"] == sent


@pytest.mark.parametrize(
    ("limit", "thinking", "dropped"),
    [
        (3000, {"type": "enabled", "budget_tokens": 2000}, ()),
        (2048, {"type": "enabled", "budget_tokens": 2000}, ()),
        (2000, None, ("reasoning",)),
    ],
)
def test_a_shortened_answer_still_has_room_beside_its_thinking(limit: int, thinking: object, dropped: object) -> None:
    body, sent = write(own(max_tokens=4000, thinking={"type": "enabled", "budget_tokens": 2000}), limit=limit)
    assert (body.get("thinking"), sent.dropped) == (thinking, dropped)


def test_the_gateways_own_word_in_metadata_stays_here() -> None:
    assert write(own(metadata={"user_id": "u", "class": "batch"}))[0]["metadata"] == {"user_id": "u"}


def test_what_another_provider_thought_or_cited_is_taken_out_and_named() -> None:
    cited = {"type": "web_search_result_location", "url": "u", "encrypted_index": ""}
    signed = {"type": "thinking", "thinking": "b", "signature": "s"}
    turns = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "a", "signature": ""}]},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "a", "signature": ""},
                signed,
                {"type": "text", "text": "x", "citations": [cited]},
            ],
        },
        {"role": "user", "content": "go on"},
    ]
    body, sent = write(own(messages=turns))
    assert body["messages"] == [
        turns[0],
        {"role": "assistant", "content": [signed, {"type": "text", "text": "x"}]},
        turns[3],
    ]
    assert sent.dropped == ("thinking and citations of another provider",)


def test_an_answer_wanted_whole_is_asked_for_whole() -> None:
    assert write(replace(own(stream=True), stream=False))[0]["stream"] is False


# ── requests of other dialects ────────────────────────────────────────────────────────────────────────────


def test_a_plain_request_of_another_dialect() -> None:
    body, sent = write(PLAIN)
    assert body == {
        "model": "claude",
        "max_tokens": 100,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
    }
    assert (sent.headers, sent.dropped) == ({"anthropic-version": "2023-06-01"}, ())


@pytest.mark.parametrize(
    ("asked", "clamp", "card", "sent"),
    [
        (None, None, None, 4096),
        (None, None, 8192, 8192),
        (None, 500, 8192, 500),
        (100, None, 8192, 100),
        (100, 50, None, 50),
        (9000, None, 8192, 8192),
    ],
)
def test_max_tokens_is_always_given(asked: int | None, clamp: int | None, card: int | None, sent: int) -> None:
    request = replace(PLAIN, max_output_tokens=asked)
    assert write(request, limit=clamp, max_output_tokens=card)[0]["max_tokens"] == sent


@pytest.mark.parametrize(
    ("changes", "fields", "dropped"),
    [
        ({"temperature": 0.3}, {"temperature": 0.3}, ()),
        ({"temperature": 1.7}, {"temperature": 1.0}, ("temperature>1",)),
        ({"top_p": 0.5}, {"top_p": 0.5}, ()),
        ({"temperature": 0.3, "top_p": 1.0}, {"temperature": 0.3}, ()),
        ({"temperature": 0.3, "top_p": 0.5}, {"temperature": 0.3}, ("top_p",)),
        ({"top_k": 4}, {"top_k": 4}, ()),
        ({"stop": ("a", "b")}, {"stop_sequences": ["a", "b"]}, ()),
        ({"end_user": "u"}, {"metadata": {"user_id": "u"}}, ()),
        ({"service_tier": "auto"}, {"service_tier": "auto"}, ()),
        ({"service_tier": "default"}, {"service_tier": "standard_only"}, ()),
        ({"service_tier": "flex"}, {}, ("service_tier",)),
        ({"stream": True}, {"stream": True}, ()),
        ({"seed": 0}, {}, ("seed",)),
        ({"presence_penalty": 0.0, "frequency_penalty": 1.0}, {}, ("frequency_penalty",)),
        ({"presence_penalty": 0.5}, {}, ("presence_penalty",)),
        ({"logit_bias": {"1": 2.0}}, {}, ("logit_bias",)),
        ({"metadata": {"class": "batch"}}, {}, ()),
        ({"metadata": {"trace": "x"}}, {}, ("metadata",)),
        ({"extensions": {"store": True, "verbosity": "low"}}, {}, ("store", "verbosity")),
        (
            {"temperature": 0.3, "top_k": 4, "reasoning": Reasoning(effort="high"), "max_output_tokens": 50000},
            {"max_tokens": 50000, "thinking": {"type": "enabled", "budget_tokens": 24576}},
            ("temperature", "top_k"),
        ),
        ({"reasoning": Reasoning(effort="high")}, {}, ("reasoning",)),
        ({"tools": (WEATHER,), "tool_choice": ToolChoice(mode="none")}, {"tool_choice": {"type": "none"}}, ()),
        ({"tools": (WEATHER,), "tool_choice": ToolChoice(mode="required")}, {"tool_choice": {"type": "any"}}, ()),
        (
            {
                "tools": (WEATHER,),
                "tool_choice": ToolChoice(mode="named", name="weather"),
                "parallel_tool_calls": False,
            },
            {"tool_choice": {"type": "tool", "name": "weather", "disable_parallel_tool_use": True}},
            (),
        ),
        (
            {"tools": (WEATHER,), "parallel_tool_calls": False},
            {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
            (),
        ),
        ({"tools": (WEATHER,), "parallel_tool_calls": True}, {}, ()),
        ({"tool_choice": ToolChoice(mode="auto"), "parallel_tool_calls": False}, {}, ()),
    ],
)
def test_what_is_said_and_what_is_named_as_left_out(
    changes: dict[str, Any], fields: dict[str, object], dropped: tuple[str, ...]
) -> None:
    body, sent = write(replace(PLAIN, **changes))
    plain = write(PLAIN)[0]
    assert {name: value for name, value in body.items() if name != "tools" and value != plain.get(name)} == fields
    assert sent.dropped == dropped


def test_a_model_of_fixed_sampling_gets_none() -> None:
    body, sent = write(replace(PLAIN, temperature=0.5, top_p=0.5, top_k=5), capabilities=frozenset({"fixed_sampling"}))
    assert not body.keys() & {"temperature", "top_p", "top_k"}
    assert sent.dropped == ("temperature", "top_p", "top_k")


@pytest.mark.parametrize(
    ("tool", "written", "dropped"),
    [
        (Tool(name="f"), {"name": "f", "input_schema": {"type": "object", "properties": {}}}, ()),
        (
            Tool(name="f", parameters={"properties": {}}, cache=CacheMark(ttl="1h")),
            {
                "name": "f",
                "input_schema": {"type": "object", "properties": {}},
                "cache_control": {"type": "ephemeral", "ttl": "1h"},
            },
            (),
        ),
        (
            Tool(name="f", parameters={"type": "object", "properties": {"a": {"maxLength": 3}}}, strict=True),
            {
                "name": "f",
                "input_schema": {
                    "type": "object",
                    "properties": {"a": {"description": "{maxLength: 3}"}},
                    "additionalProperties": False,
                },
                "strict": True,
            },
            ("tools.parameters.maxLength",),
        ),
    ],
)
def test_tools(tool: Tool, written: dict[str, object], dropped: tuple[str, ...]) -> None:
    body, sent = write(replace(PLAIN, tools=(tool,)))
    assert (body["tools"], sent.dropped) == ([written], dropped)


def test_strict_tools_are_asked_only_of_models_that_know_them() -> None:
    body, sent = write(replace(PLAIN, tools=(Tool(name="f", strict=True),)), capabilities=frozenset({"tools"}))
    assert "strict" not in body["tools"][0]
    assert sent.dropped == ("tools.strict",)


def test_a_schema_becomes_native_structured_output() -> None:
    schema: dict[str, object] = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}}
    body, sent = write(replace(PLAIN, output=OutputFormat(schema=schema, name="count", description="how many")))
    assert body["output_config"]["format"]["type"] == "json_schema"
    assert body["output_config"]["format"]["schema"]["description"] == "how many"
    assert sent.dropped == ("output.schema.minimum",)


def test_json_of_any_kind_becomes_an_instruction_and_says_so() -> None:
    body, sent = write(replace(PLAIN, output=OutputFormat()))
    assert "JSON object" in body["system"][0]["text"]
    assert sent.dropped == ("output: json as an instruction",)


def test_effort_and_schema_share_output_config() -> None:
    request = replace(PLAIN, output=OutputFormat(schema={"type": "object"}), reasoning=Reasoning(effort="high"))
    body, _ = write(request, capabilities=frozenset({"thinking", "adaptive_thinking", "json_schema"}))
    assert body["output_config"]["effort"] == "high"
    assert body["output_config"]["format"]["type"] == "json_schema"
    assert body["thinking"] == {"type": "adaptive"}


def test_provider_tools_and_servers_of_a_changed_request_keep_their_places() -> None:
    search = ProviderTool(dialect="anthropic_messages", kind="web_search_20250305", raw={"type": "web_search_20250305"})
    server = ProviderTool(dialect="anthropic_messages", kind="mcp_server", raw={"type": "url"})
    body, _ = write(replace(PLAIN, wire=None, tools=(search, server)))
    assert (body["tools"], body["mcp_servers"]) == ([{"type": "web_search_20250305"}], [{"type": "url"}])


def test_a_whole_tool_conversation_is_written_in_turns() -> None:
    request = replace(
        PLAIN,
        messages=(
            Message(role="developer", parts=(Text(text="be brief"),)),
            Message(role="user", parts=(Text(text="weather?"),)),
            Message(
                role="assistant",
                parts=(
                    Text(text=""),
                    ToolCall(id="call.1", name="weather", arguments='{"at":"a"}'),
                    ToolCall(id="call_2", name="weather", arguments=""),
                ),
            ),
            Message(role="tool", parts=(ToolResult(call_id="call.1", parts=(Text(text="sun"),)),)),
            Message(role="user", parts=(Text(text="and?"),)),
            Message(role="tool", parts=(ToolResult(call_id="call_2", parts=()),)),
        ),
        tools=(WEATHER,),
    )
    body, _ = write(request)
    stand_in = body["messages"][1]["content"][0]["id"]
    assert stand_in.startswith("toolu_")
    assert body["system"] == [{"type": "text", "text": "be brief"}]
    assert body["messages"][1:] == [
        {
            "role": "assistant",
            "content": [
                {"type": "tool_use", "id": stand_in, "name": "weather", "input": {"at": "a"}},
                {"type": "tool_use", "id": "call_2", "name": "weather", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": stand_in, "content": [{"type": "text", "text": "sun"}]},
                {"type": "tool_result", "tool_use_id": "call_2"},
                {"type": "text", "text": "and?"},
            ],
        },
    ]
