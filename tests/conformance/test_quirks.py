"""Every recorded request put to servers that depart from OpenAI's form, and what such servers recorded, read in full.

The laws are what those servers refuse; the recordings of Mistral, DeepSeek, Ollama, OpenRouter and Azure show their
own forms. Data: `../shared/data/conformance/cases.jsonl.gz` beside the checkout.
"""

import gzip
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pytest

from polyroute.catalog.cards import Catalogue
from polyroute.dialects.anthropic_messages import AnthropicMessages
from polyroute.dialects.openai_chat import OpenAIChat
from polyroute.errors import PolyrouteError
from polyroute.ports import Dialect
from polyroute.types.cards import Deployment, ModelCard
from polyroute.types.content import Part, Text, Thinking, ToolCall
from polyroute.types.response import (
    ChoiceEnded,
    Ended,
    StopReason,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)

CORPUS = Path(__file__).parents[3] / "shared" / "data" / "conformance" / "cases.jsonl.gz"
OPENAI = OpenAIChat()
DOORS: dict[str, Dialect] = {"openai.chat": OPENAI, "anthropic.messages": AnthropicMessages()}
COUSINS = ("mistral", "deepseek", "ollama", "openrouter", "azure-openai")
Case = dict[str, Any]
pytestmark = pytest.mark.skipif(not CORPUS.exists(), reason="the conformance corpus is not beside this checkout")

# docs.mistral.ai, "Chat completion": it answers 422 to any other.
MISTRAL_FIELDS = {
    *("model", "messages", "max_tokens", "stream", "stop", "random_seed", "response_format", "tools", "tool_choice"),
    *("temperature", "top_p", "presence_penalty", "frequency_penalty", "n", "parallel_tool_calls", "reasoning_effort"),
}
MISTRAL_MESSAGE = {"role", "content", "tool_calls", "tool_call_id", "name", "prefix"}


@cache
def rows() -> list[Case]:
    with gzip.open(CORPUS) as lines:
        return [row for line in lines if (row := orjson.loads(line))["api"] in DOORS]


def put(case: Case, address: str | None, model: str) -> dict[str, Any] | None:
    """The recorded request as the server at `address` gets it; None where it cannot be put there."""
    body = case["request_body"]
    try:
        request = DOORS[case["api"]].parse_request({**body, "model": body.get("model") or "asked"}, {})
    except PolyrouteError:
        return None
    if OPENAI.obstacles(request):
        return None
    catalogue = Catalogue()
    target = Deployment(
        id="m@p",
        model="m",
        provider="p",
        dialect="openai_chat",
        upstream_model=model,
        card=ModelCard(id="p/m"),
        quirks=catalogue.quirks_of(catalogue.family_of("openai", address), model, address),
    )
    sent: dict[str, Any] = orjson.loads(OPENAI.render_request(request, target, max_output_tokens=77).body)
    return sent


def foreign() -> list[Any]:
    """Requests of other providers' callers: their bodies hold no words of the server's own."""
    if not CORPUS.exists():
        return []
    return [
        pytest.param(row, id=row["id"])
        for row in rows()
        if row["status"] == 200 and row["provider"] in ("anthropic", "openai") and isinstance(row["request_body"], dict)
    ]


@pytest.mark.parametrize("case", foreign())
def test_mistral_is_sent_nothing_that_it_refuses(case: Case) -> None:
    sent = put(case, "https://api.mistral.ai/v1", "mistral-small-latest")
    if sent is None:
        return
    assert sent.keys() - {"web_search_options", "audio", "prompt_cache_options"} <= MISTRAL_FIELDS
    assert sent["max_tokens"] <= 77
    assert sent.get("tool_choice") != "required"
    called: set[str] = set()
    for message in sent["messages"]:
        assert message.keys() <= MISTRAL_MESSAGE
        assert message["role"] in ("system", "user", "assistant", "tool")
        ids = {call["id"] for call in message.get("tool_calls") or ()}
        called |= ids
        assert all(len(given) == 9 and given.isalnum() for given in ids)
        if message["role"] == "tool":
            assert message["tool_call_id"] in called or not called
    assert sent["messages"][-1]["role"] != "assistant" or sent["messages"][-1].get("prefix") is True


@pytest.mark.parametrize("case", foreign())
def test_openais_reasoning_models_are_sent_nothing_that_they_refuse(case: Case) -> None:
    sent = put(case, None, "o1-mini")
    if sent is None:
        return
    refused = {"max_tokens", "temperature", "top_p", "presence_penalty", "frequency_penalty", "logprobs", "logit_bias"}
    assert sent.keys().isdisjoint(refused)
    assert sent["max_completion_tokens"] <= 77
    assert {message["role"] for message in sent["messages"]} <= {"user", "assistant", "tool"}
    assert all(
        len(call["id"]) <= 40
        for message in sent["messages"]
        for call in message.get("tool_calls") or ()
        if "id" in call
    )


@pytest.mark.parametrize("case", foreign())
def test_a_schema_reaches_deepseek_as_an_instruction(case: Case) -> None:
    sent = put(case, "https://api.deepseek.com", "deepseek-chat")
    if sent is None:
        return
    wanted = case["request_body"].get("response_format") or {}
    assert (sent.get("response_format") or {}).get("type") in (None, "text", "json_object")
    if wanted.get("type") == "json_schema":
        assert "JSON Schema" in orjson.dumps(sent["messages"][0]).decode()
    assert all(message["role"] != "developer" for message in sent["messages"])


# ── what they answer ──────────────────────────────────────────────────────────────────────────────────────


def answers(*, stream: bool) -> list[Any]:
    if not CORPUS.exists():
        return []
    return [
        pytest.param(row, id=row["id"])
        for row in rows()
        if row["status"] == 200
        and row["provider"] in COUSINS
        and row["api"] == "openai.chat"
        and row["stream"] == stream
    ]


@pytest.mark.parametrize("case", answers(stream=False))
def test_an_answer_of_a_cousin_is_read_in_full(case: Case) -> None:
    response = OPENAI.parse_response(orjson.dumps(case["response_body"]))
    parts = response.choices[0].parts
    assert parts or case["response_body"]["choices"][0]["message"]["content"] is None
    assert response.usage is not None
    assert response.usage.total_tokens > 0
    assert response.choices[0].stop is not StopReason.UNKNOWN
    look(
        case, any(isinstance(part, Thinking) for part in parts), [part for part in parts if isinstance(part, ToolCall)]
    )
    assert "<think>" not in words(parts)


def words(parts: tuple[Part, ...]) -> str:
    return "".join(part.text for part in parts if isinstance(part, Text))


@pytest.mark.parametrize("case", answers(stream=True))
def test_a_stream_of_a_cousin_is_read_in_full(case: Case) -> None:
    reader = OPENAI.open_reader(same_dialect=False)
    chunks = [*reader.feed("".join(case["sse_events"]).encode()), *reader.close()]
    last = chunks[-1]
    assert isinstance(last, Ended)
    assert last.usage is None or isinstance(last.usage, Usage)
    assert all(chunk.stop is not StopReason.UNKNOWN for chunk in chunks if isinstance(chunk, ChoiceEnded))
    text = "".join(chunk.text for chunk in chunks if isinstance(chunk, TextDelta))
    assert "<think>" not in text
    calls = [
        ToolCall(
            id=begun.id,
            name=begun.name,
            arguments="".join(c.arguments for c in chunks if isinstance(c, ToolCallDelta) and c.part == begun.part),
        )
        for begun in chunks
        if isinstance(begun, ToolCallStarted)
    ]
    look(case, any(isinstance(chunk, ThinkingDelta) for chunk in chunks), calls)


def look(case: Case, has_thinking: bool, calls: list[ToolCall]) -> None:
    """What the recorded bytes hold is there."""
    lines = "".join(case.get("sse_events") or ()).splitlines()
    recorded = [case.get("response_body"), *(orjson.loads(line[5:]) for line in lines if line.startswith("data: {"))]
    assert has_thinking == shows_thinking(recorded)
    if "tool_call" in case["tags"]:
        assert calls
        assert all(call.id and call.name and orjson.loads(call.arguments or "{}") is not None for call in calls)


def shows_thinking(value: Any) -> bool:
    if isinstance(value, list):
        return any(map(shows_thinking, value))
    if not isinstance(value, dict):
        return isinstance(value, str) and value.startswith("<think>")
    named = any(value.get(name) for name in ("reasoning_content", "reasoning", "thinking", "reasoning_details"))
    return named or any(map(shows_thinking, value.values()))
