from typing import Any

import orjson
import pytest
from msgspec.structs import replace

from polyroute.dialects.openai_chat import OpenAIChat
from polyroute.ports import WireRequest
from polyroute.types.cards import Deployment, ModelCard
from polyroute.types.content import CacheMark, Message, Opaque, Text
from polyroute.types.request import (
    OutputFormat,
    ProviderTool,
    Reasoning,
    Request,
    Tool,
    ToolChoice,
    Wire,
    ask,
)

DIALECT = OpenAIChat()


def target(*capabilities: str, quirks: frozenset[str] = frozenset()) -> Deployment:
    known = frozenset(capabilities) if capabilities else None
    card = ModelCard(id="p/m", capabilities=known)
    return Deployment(
        id="m@p", model="m", provider="p", dialect="openai_chat", upstream_model="up", card=card, quirks=quirks
    )


def sent(
    request: Request, to: Deployment | None = None, limit: int | None = None
) -> tuple[dict[str, Any], WireRequest]:
    wire = DIALECT.render_request(request, to or target(), max_output_tokens=limit)
    return orjson.loads(wire.body), wire


def own(**fields: Any) -> Request:
    return DIALECT.parse_request({"model": "m", "messages": [{"role": "user", "content": "hi"}], **fields}, {})


# ── our own dialect ───────────────────────────────────────────────────────────────────────────────────────


def test_only_the_model_changes() -> None:
    request = own(something_new={"a": [1]}, temperature=0.5)
    assert request.wire is not None
    body, wire = sent(request)
    assert body == {**request.wire.body, "model": "up"}
    assert (wire.path, wire.headers, wire.dropped) == ("/chat/completions", {}, ())
    assert request.wire.body["model"] == "m"


def test_a_stream_is_always_asked_for_its_usage() -> None:
    request = own(stream=True, stream_options={"include_obfuscation": False, "include_usage": False})
    body, _ = sent(request)
    assert body["stream_options"] == {"include_obfuscation": False, "include_usage": True}
    assert sent(own(stream=True))[0]["stream_options"] == {"include_usage": True}
    usage = {"include_usage": True}
    for asked in (own(stream=True), own(stream=True, stream_options=usage)):
        assert "stream_options" not in sent(asked, target(quirks=frozenset({"no_stream_usage"})))[0]


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
def test_the_limit_is_shortened_where_the_caller_wrote_it(field: str) -> None:
    body, _ = sent(own(**{field: 100}), target("thinking"), limit=40)
    assert body[field] == 40
    assert sent(own(**{field: 30}), limit=40)[0][field] == 30
    assert len({"max_tokens", "max_completion_tokens"} & body.keys()) == 1


def test_a_limit_the_caller_did_not_set_goes_where_the_model_reads_it() -> None:
    assert sent(own(), target("tools"), limit=40)[0]["max_tokens"] == 40
    assert sent(own(), target("thinking"), limit=40)[0]["max_completion_tokens"] == 40
    assert sent(own(), target("thinking", quirks=frozenset({"max_tokens"})), limit=40)[0]["max_tokens"] == 40


# ── from another dialect ──────────────────────────────────────────────────────────────────────────────────

FOREIGN = replace(ask("m", "hi"), wire=Wire(dialect="anthropic_messages", body={"model": "m"}))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {}),
        ({"max_output_tokens": 9}, {"max_tokens": 9}),
        ({"temperature": 0.5, "top_p": 0.9}, {"temperature": 0.5, "top_p": 0.9}),
        ({"stop": ("a", "b")}, {"stop": ["a", "b"]}),
        ({"seed": 0, "n": 2, "end_user": "ann"}, {"seed": 0, "n": 2, "user": "ann"}),
        ({"logprobs": True, "top_logprobs": 3}, {"logprobs": True, "top_logprobs": 3}),
        ({"logit_bias": {"1": 2.0}}, {"logit_bias": {"1": 2.0}}),
        ({"presence_penalty": 1.0}, {"presence_penalty": 1.0}),
        ({"stream": True}, {"stream": True, "stream_options": {"include_usage": True}}),
        ({"output": OutputFormat()}, {"response_format": {"type": "json_object"}}),
        (
            {"output": OutputFormat(schema={"a": 1}, name="o", description="d", strict=True)},
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "o", "schema": {"a": 1}, "description": "d", "strict": True},
                }
            },
        ),
        (
            {"tools": (Tool(name="f", description="d", parameters={"type": "object"}, strict=True),)},
            {
                "tools": [
                    {
                        "type": "function",
                        "function": {
                            "name": "f",
                            "description": "d",
                            "parameters": {"type": "object"},
                            "strict": True,
                        },
                    }
                ]
            },
        ),
        (
            {
                "tools": (Tool(name="f"),),
                "tool_choice": ToolChoice(mode="named", name="f"),
                "parallel_tool_calls": False,
            },
            {
                "tools": [{"type": "function", "function": {"name": "f"}}],
                "tool_choice": {"type": "function", "function": {"name": "f"}},
                "parallel_tool_calls": False,
            },
        ),
        ({"tool_choice": ToolChoice(mode="auto"), "parallel_tool_calls": True}, {}),
        ({"reasoning": Reasoning(effort="low")}, {"reasoning_effort": "low"}),
        ({"reasoning": Reasoning(effort="max")}, {"reasoning_effort": "high"}),
        ({"reasoning": Reasoning(budget_tokens=16_000)}, {"reasoning_effort": "high"}),
        ({"reasoning": Reasoning(budget_tokens=5_000)}, {"reasoning_effort": "medium"}),
        ({"reasoning": Reasoning(budget_tokens=2_000)}, {"reasoning_effort": "low"}),
        ({"reasoning": Reasoning(budget_tokens=1_024)}, {"reasoning_effort": "minimal"}),
        ({"reasoning": Reasoning(adaptive=True)}, {}),
        ({"reasoning": Reasoning(enabled=False)}, {}),
    ],
)
def test_a_field_is_written_in_openais_form(changes: dict[str, Any], expected: dict[str, Any]) -> None:
    body, wire = sent(replace(FOREIGN, **changes))
    assert body == {"model": "up", "messages": [{"role": "user", "content": "hi"}], **expected}
    assert wire.dropped == ()


@pytest.mark.parametrize(
    ("changes", "to", "dropped"),
    [
        ({"top_k": 5}, target(), ("top_k",)),
        ({"service_tier": "auto"}, target(), ("service_tier",)),
        ({"metadata": {"a": "b"}}, target(), ("metadata",)),
        ({"extensions": {"b": 1, "a": 2}}, target(), ("a", "b")),
        ({"tools": (Tool(name="f", cache=CacheMark()),)}, target(), ("cache",)),
        (
            {"temperature": 0.5, "top_p": 0.5},
            target(quirks=frozenset({"fixed_sampling"})),
            ("temperature", "top_p"),
        ),
        ({"reasoning": Reasoning(effort="low")}, target("tools"), ("reasoning",)),
        ({"reasoning": Reasoning(enabled=False)}, target("thinking"), ("reasoning",)),
    ],
)
def test_a_hint_that_has_no_form_is_left_out_and_named(
    changes: dict[str, Any], to: Deployment, dropped: tuple[str, ...]
) -> None:
    body, wire = sent(replace(FOREIGN, **changes), to)
    assert wire.dropped == dropped
    assert not body.keys() & {"top_k", "service_tier", "metadata", "temperature", "top_p", "reasoning_effort"}


def test_the_tighter_of_the_callers_and_our_limit_counts() -> None:
    assert sent(replace(FOREIGN, max_output_tokens=50), limit=20)[0]["max_tokens"] == 20
    assert sent(replace(FOREIGN, max_output_tokens=10), target("thinking"), limit=20)[0]["max_completion_tokens"] == 10


# ── obstacles ─────────────────────────────────────────────────────────────────────────────────────────────

STRANGE = Message(
    role="user", parts=(Text(text="a"), Opaque(dialect="anthropic_messages", kind="search_result", raw={}))
)


def test_another_providers_own_things_are_obstacles() -> None:
    search = ProviderTool(dialect="anthropic_messages", kind="web_search_20250305", raw={})
    request = replace(FOREIGN, tools=(search,), messages=(STRANGE, STRANGE))
    assert DIALECT.obstacles(request) == (
        "the tool `web_search_20250305` is one of anthropic_messages",
        "a `search_result` part means something only to anthropic_messages",
    )


def test_our_own_wire_has_none() -> None:
    assert DIALECT.obstacles(replace(own(), messages=(STRANGE,))) == ()
    assert DIALECT.obstacles(FOREIGN) == ()


def test_our_own_tools_survive_being_written_anew() -> None:
    request = own(
        web_search_options={"search_context_size": "low"}, tools=[{"type": "custom", "custom": {"name": "c"}}]
    )
    body, _ = sent(replace(request, wire=None))
    assert body["web_search_options"] == {"search_context_size": "low"}
    assert body["tools"] == [{"type": "custom", "custom": {"name": "c"}}]


@pytest.mark.parametrize(
    ("given", "clamp", "expected"),
    [
        ({"max_completion_tokens": 50}, None, 50),
        ({"max_completion_tokens": 50, "max_tokens": 30}, None, 30),
        ({"max_completion_tokens": 50, "max_tokens": None}, None, 50),
        ({"max_completion_tokens": 50}, 20, 20),
    ],
)
def test_a_provider_that_knows_one_output_limit_is_told_that_one(
    given: dict[str, object], clamp: int | None, expected: int
) -> None:
    body = sent(own(**given), target(quirks=frozenset({"max_tokens"})), limit=clamp)[0]
    assert body["max_tokens"] == expected
    assert "max_completion_tokens" not in body
