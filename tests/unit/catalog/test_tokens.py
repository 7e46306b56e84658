"""The estimate is near what real tokenizers count, and the bound is never below what providers billed."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from bench.recordings import counted
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from polyroute.catalog import tokens
from polyroute.catalog.counting import family_of
from polyroute.types.cards import ModelCard
from polyroute.types.content import (
    Audio,
    Document,
    FileRef,
    Image,
    Inline,
    Link,
    Message,
    Opaque,
    Part,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from polyroute.types.request import OutputFormat, ProviderTool, Reasoning, Request, Tool, Wire, ask

SHARED = Path(__file__).parents[4] / "shared" / "data"
needs_routing = pytest.mark.skipif(not (SHARED / "routing").exists(), reason="the shared routing data is not here")
needs_recordings = pytest.mark.skipif(not (SHARED / "conformance").exists(), reason="the recordings are not here")


def rows(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def holding(*parts: Part) -> Request:
    return Request(model="m", messages=(Message(role="user", parts=parts),))


texts = st.text(max_size=400)


@given(texts)
def test_a_bound_holds_every_byte(text: str) -> None:
    assert tokens.upper_bound(ask("m", text)) >= len(text.encode("utf-8", "surrogatepass"))


@given(texts)
def test_the_estimate_never_exceeds_the_bound(text: str) -> None:
    size = tokens.measure(ask("m", text))
    assert 0 < size.estimate <= size.upper_bound()


@given(texts, texts)
def test_more_text_is_never_fewer_tokens(text: str, more: str) -> None:
    request = ask("m", text)
    assert tokens.estimate(request) <= tokens.estimate(ask("m", text, system="s"))
    assert tokens.upper_bound(request) <= tokens.upper_bound(ask("m", text + more))


@given(texts)
def test_the_estimate_is_deterministic(text: str) -> None:
    assert tokens.estimate_text(text) == tokens.estimate_text(text)


def test_an_empty_text_has_no_tokens() -> None:
    assert tokens.estimate_text("") == 0


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        pytest.param("word " * 12_000, 10_800, 13_800, id="words"),
        pytest.param("a" * 40_000, 5_000, 40_000, id="one unbroken run"),
        pytest.param("今天天气很好" * 100, 400, 900, id="Chinese"),
        pytest.param("Привет, как дела? " * 100, 500, 1_300, id="Russian"),
        pytest.param("🙂" * 100, 100, 300, id="emoji"),
        pytest.param("\ud800", 1, 3, id="a lone surrogate"),
    ],
)
def test_kinds_of_text(text: str, low: int, high: int) -> None:
    assert low <= tokens.estimate_text(text) <= high


@pytest.mark.parametrize(
    "part",
    [
        pytest.param(Image(media=Link(url="https://example.com/cat.png")), id="an image"),
        pytest.param(Document(media=Inline(media_type="application/pdf", data="A" * 8_000)), id="a PDF"),
        pytest.param(Document(media=FileRef(file_id="file-1")), id="a stored document"),
        pytest.param(Document(media=Inline(media_type="text/plain", data="some words"), title="t"), id="a plain text"),
        pytest.param(Audio(data="A" * 64_000, format="wav"), id="audio"),
        pytest.param(Thinking(text="so", signature="S" * 300), id="thinking"),
        pytest.param(ToolCall(id="1", name="weather", arguments='{"city": "Paris"}'), id="a tool call"),
        pytest.param(ToolResult(call_id="1", parts=(Text(text="22 degrees"),)), id="a tool result"),
        pytest.param(Opaque(dialect="d", kind="k", raw={"text": "some words"}), id="something opaque"),
    ],
)
def test_every_kind_of_part_counts(part: Part) -> None:
    nothing = tokens.measure(holding())
    size = tokens.measure(holding(part))
    assert nothing.estimate < size.estimate <= size.upper_bound()


def test_tools_and_schemas_count() -> None:
    plain = tokens.measure(ask("m", "hi"))
    schema: dict[str, object] = {"type": "object", "properties": {"city": {"type": "string"}}}
    tooled = Request(
        model="m",
        messages=ask("m", "hi").messages,
        tools=(Tool(name="weather", parameters=schema), ProviderTool(dialect="d", kind="web_search", raw={"n": 1})),
        output=OutputFormat(schema=schema),
    )
    size = tokens.measure(tooled)
    assert size.estimate > plain.estimate + 20
    assert size.upper_bound() > plain.upper_bound() + 50_000  # the provider may read pages for it


def test_a_card_tightens_what_an_image_may_cost() -> None:
    request = holding(Image(media=Link(url="https://example.com/cat.png")))
    claude = ModelCard(id="anthropic/claude-sonnet-4-5", image_tokens=1_700)
    assert tokens.upper_bound(request) - tokens.upper_bound(request, claude) == tokens.MOST_IMAGE_TOKENS - 1_700


@needs_routing
def test_the_estimate_is_near_cl100k_on_real_prompts() -> None:
    """16,055 prompts of seven benchmarks, counted in cl100k by their publishers."""
    errors = sorted(
        tokens.estimate_text(row["prompt"]) / row["in_tokens"] - 1
        for file in (SHARED / "routing").glob("[!r]*.jsonl.gz")
        for row in rows(file)
        if row.get("in_tokens")
    )
    assert len(errors) > 16_000
    middle = sorted(map(abs, errors))[len(errors) // 2]
    assert middle < 0.055
    assert abs(errors[len(errors) // 2]) < 0.02
    assert errors[len(errors) // 20] > -0.18
    assert errors[-len(errors) // 20] < 0.13


@needs_recordings
def test_no_provider_billed_more_than_the_bound() -> None:
    over = [one.id for one in counted() if one.billed > one.size.upper_bound()]
    assert over == []
    assert sum(1 for _ in counted()) > 1_200


@needs_recordings
def test_plain_chats_are_estimated_within_reason() -> None:
    """Recorded prompts are short, so that what providers add weighs most; the middle one is the claim."""
    plain = [one for one in counted() if not (one.has_media or one.size.wrapped.tools or one.size.wrapped.outputs)]
    errors = sorted(one.size.estimate_for(one.model) / one.billed - 1 for one in plain)
    assert len(errors) > 450
    assert abs(errors[len(errors) // 2]) < 0.05
    assert sorted(map(abs, errors))[len(errors) // 2] < 0.1


@needs_recordings
@pytest.mark.parametrize(("family", "within"), [("openai", 0.06), ("claude", 0.06), ("gemini", 0.25), ("nova 2", 0.05)])
def test_requests_with_and_without_tools_are_estimated_by_their_family(family: str, within: float) -> None:
    """On scenarios that the weights were not fitted on."""
    own = [
        abs(one.size.estimate_for(one.model) / one.billed - 1)
        for one in counted()
        if one.is_held_out and not one.has_media and getattr(family_of(one.model), "name", None) == family
    ]
    assert sorted(own)[len(own) // 2] < within


def test_what_is_stored_at_the_provider_is_bounded_by_the_context() -> None:
    for field in ("previous_response_id", "conversation", "cachedContent"):
        request = replace(ask("m", "go on"), wire=Wire(dialect="openai_responses", body={field: "x"}))
        card = ModelCard(id="m", context_tokens=400_000)
        assert tokens.upper_bound(request, card) > 400_000
        assert tokens.upper_bound(request) > 1_000_000
        assert tokens.estimate(request) < 50
    legacy = replace(ask("m", "go on"), wire=Wire(dialect="openai_completions", body={"prompt": "go on"}))
    assert tokens.upper_bound(legacy) < 1_000


@given(texts, st.sampled_from(["claude-sonnet-4-5", "gpt-4o", "gemini-2.5-flash", "amazon.nova-2-lite-v1:0", "nobody"]))
def test_a_familys_estimate_never_exceeds_the_bound(text: str, model: str) -> None:
    tool = Tool(name="f", parameters={"type": "object", "properties": {text: {"type": "string"}}})
    for request in (ask("m", text), replace(ask("m", text), tools=(tool,), reasoning=Reasoning())):
        size = tokens.measure(request)
        assert 0 < size.estimate_for(model) <= size.upper_bound()


def test_a_model_of_no_known_family_is_counted_as_anybodys() -> None:
    size = tokens.measure(replace(ask("m", "hello there"), tools=(Tool(name="f"),)))
    assert size.estimate_for("somebody/new") == size.estimate
    assert size.estimate_for("eu.anthropic.claude-sonnet-4-5-20250929-v1:0") > size.estimate + 300
