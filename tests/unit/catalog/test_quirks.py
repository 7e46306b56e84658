"""Which servers and models have which quirks."""

import pytest

from polyroute.catalog.cards import Catalogue
from polyroute.types.quirks import QUIRKS

CATALOGUE = Catalogue()


def quirks_at(address: str | None, model: str) -> frozenset[str]:
    return CATALOGUE.quirks_of(CATALOGUE.family_of("openai", address), model, address)


@pytest.mark.parametrize(
    ("address", "model", "some", "none"),
    [
        ("https://api.mistral.ai/v1", "mistral-small-latest", {"tool_ids_9", "max_tokens", "random_seed"}, {"no_stop"}),
        ("https://api.deepseek.com/v1", "deepseek-chat", {"max_tokens", "json_object_only"}, {"tool_choice_auto"}),
        ("https://api.deepseek.com", "deepseek-reasoner", {"tool_choice_auto"}, {"no_stream_usage"}),
        (None, "gpt-4o", {"tool_ids_40"}, {"max_completion_tokens", "fixed_sampling"}),
        (None, "o3-mini-2025-01-31", {"max_completion_tokens", "fixed_sampling", "no_stop"}, {"no_system"}),
        (None, "o1-mini", {"no_system", "no_developer"}, set()),
        (None, "gpt-5-nano", {"fixed_sampling"}, {"effort_none"}),
        (None, "gpt-5-chat-latest", set(), {"fixed_sampling", "no_stop"}),
        (None, "gpt-5.2", {"fixed_sampling_thinking", "effort_none"}, {"fixed_sampling"}),
        ("https://openrouter.ai/api/v1", "openai/o3", {"reasoning_object", "fixed_sampling"}, {"tool_ids_40"}),
        ("http://127.0.0.1:11434/v1", "qwen3", {"max_tokens", "no_n"}, {"json_object_only"}),
        ("http://ollama:11434/v1", "qwen3", {"max_tokens"}, set()),
        ("http://127.0.0.1:8000/v1", "meta-llama/Llama-3.1-8B", set(), set(QUIRKS)),
        ("http://127.0.0.1:8000/v1", "o3-mini", {"max_completion_tokens"}, {"tool_ids_40"}),
    ],
)
def test_a_server_or_a_model_departs_where_a_row_says_so(
    address: str | None, model: str, some: set[str], none: set[str]
) -> None:
    found = quirks_at(address, model)
    assert some <= found
    assert found.isdisjoint(none)


def test_a_provider_goes_by_its_other_names_too() -> None:
    assert "max_tokens" in CATALOGUE.quirks_of("mistralai", "m")


def test_every_row_speaks_the_known_words() -> None:
    families = ("mistral", "deepseek", "openai", "groq", "x-ai", "cohere", "moonshotai", "perplexity", "zai")
    for model in ("o1", "gpt-5", "gpt-5.1", "grok-4", "m"):
        for family in families:
            assert CATALOGUE.quirks_of(family, model) <= QUIRKS.keys()


@pytest.mark.parametrize(
    ("dialect", "model", "capabilities", "by_tool"),
    [
        ("anthropic_messages", "claude-3-5-haiku-20241022", None, True),
        ("anthropic_messages", "claude-sonnet-4-20250514", None, True),
        ("anthropic_messages", "claude-opus-4", None, True),
        ("anthropic_messages", "claude-sonnet-4-5", None, False),
        ("anthropic_messages", "claude-opus-4-1-20250805", None, False),
        ("anthropic_messages", "of-my-own", None, False),
        ("anthropic_messages", "of-my-own", {"tools"}, True),
        ("anthropic_messages", "of-my-own", {"tools", "json_schema"}, False),
        ("anthropic_messages", "claude-3-haiku", {"tools", "json_schema"}, False),
        ("bedrock_converse", "us.anthropic.claude-3-7-sonnet-20250219-v1:0", None, True),
        ("bedrock_converse", "eu.amazon.nova-lite-v1:0", None, True),
        ("bedrock_converse", "us.meta.llama3-3-70b-instruct-v1:0", None, True),
        ("bedrock_converse", "us.anthropic.claude-haiku-4-5-20251001-v1:0", None, False),
        ("openai_chat", "anthropic/claude-3.5-haiku", {"tools"}, False),
        ("gemini", "gemini-1.0-pro", {"tools"}, False),
    ],
)
def test_a_schema_goes_through_a_tool_where_the_model_is_known_to_keep_none(
    dialect: str, model: str, capabilities: set[str] | None, by_tool: bool
) -> None:
    known = None if capabilities is None else frozenset(capabilities)
    for address in (None, "http://127.0.0.1:9000"):
        found = CATALOGUE.quirks_of(None, model, address, dialect=dialect, capabilities=known)
        assert ("schema_by_tool" in found) is by_tool


def test_models_that_take_no_forced_tool_say_so() -> None:
    for model, is_auto in (("meta.llama3-1-8b-instruct-v1:0", True), ("amazon.nova-pro-v1:0", False)):
        assert ("tool_choice_auto" in CATALOGUE.quirks_of("aws", model, dialect="bedrock_converse")) is is_auto
