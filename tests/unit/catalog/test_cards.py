"""What the catalogue knows, what it does not, and that it never mixes the two up."""

import json
import runpy
import subprocess
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from importlib import metadata
from pathlib import Path

import genai_prices.types as source
import pytest
from genai_prices.data import providers

from polyroute.catalog.cards import Catalogue
from polyroute.catalog.facts import Facts, read_facts
from polyroute.catalog.pricing import is_by_unit, is_free, price_at
from polyroute.errors import ConfigError
from polyroute.types.cards import ModelCard, Rates

ROOT = Path(__file__).parents[3]
MODELS = ROOT / "src" / "polyroute" / "catalog" / "data" / "models.json"
DAY = date(2026, 11, 21)
CATALOGUE = Catalogue()


def known(family: str | None, model: str) -> ModelCard:
    card = CATALOGUE.card(family, model)
    assert card is not None
    return card


def rates(family: str | None, model: str, day: date = DAY) -> Rates:
    price = price_at(known(family, model), day)
    assert price is not None
    return price.rates


def test_the_articles_cheap_model() -> None:
    card = known("openai", "gpt-4o-mini")
    assert card.id == "openai/gpt-4o-mini"
    assert card.context_tokens == 128_000
    assert card.max_output_tokens == 16_384
    assert card.modalities == frozenset({"text", "image", "pdf"})
    assert card.capabilities is not None
    assert {"tools", "json", "json_schema", "logprobs"} <= card.capabilities
    assert {"simple", "classification"} <= card.tags
    assert card.as_of is not None
    assert card.source.startswith("https://")
    assert (rates("openai", "gpt-4o-mini").input, rates("openai", "gpt-4o-mini").output) == (
        Decimal("0.15"),
        Decimal("0.6"),
    )


def test_every_price_names_its_source_and_version() -> None:
    assert "genai-prices 0." in known("openai", "gpt-4o").prices[0].source


@pytest.mark.parametrize(
    ("family", "model", "context"),
    [
        pytest.param("openai", "gpt-4o-2024-08-06", 128_000, id="a dated snapshot follows its family"),
        pytest.param("openai", "gpt-4.1-mini-2025-04-14", 1_047_576, id="the longest family name wins"),
        pytest.param("anthropic", "claude-opus-4-5-20251101", 200_000, id="a date without dashes"),
        pytest.param("aws", "eu.anthropic.claude-sonnet-4-5-20250929-v1:0", 200_000, id="Bedrock's long spelling"),
        pytest.param("google", "models/gemini-2.5-flash", 1_048_576, id="Gemini's own listing"),
        pytest.param("openrouter", "anthropic/claude-3.5-sonnet", 200_000, id="a maker before the name"),
        pytest.param("groq", "llama-3.1-8b-instant", 131_072, id="a host's own variant"),
        pytest.param("huggingface", "meta-llama/Llama-3.3-70B-Instruct:together", 131_072, id="a router's suffix"),
        pytest.param(None, "llama3.1:70b", 131_072, id="weights on one's own server"),
    ],
)
def test_spellings(family: str | None, model: str, context: int) -> None:
    assert known(family, model).context_tokens == context


def test_a_version_is_not_a_snapshot() -> None:
    """One digit more is another model: what holds for opus-4 need not hold for it."""
    card = known("anthropic", "claude-opus-4-5")
    assert card.max_output_tokens == 64_000
    assert known("anthropic", "claude-opus-4").max_output_tokens == 32_000
    assert CATALOGUE.card("anthropic", "claude-opus-4-3") is None or (
        known("anthropic", "claude-opus-4-3").max_output_tokens is None
    )


def test_nothing_known_is_none() -> None:
    assert CATALOGUE.card("openai", "my-own-model") is None
    assert CATALOGUE.card(None, "my-own-model") is None
    assert CATALOGUE.card("simulated", "anything") is None


def test_weights_on_an_unknown_server_have_no_price_and_no_promised_api() -> None:
    card = known(None, "meta-llama/Llama-3.1-70B-Instruct")
    assert card.prices == ()
    assert card.capabilities is None
    assert card.max_output_tokens is None


def test_azure_sells_openais_models_at_their_price() -> None:
    assert rates("azure", "gpt-4o") == rates("openai", "gpt-4o")


def test_a_price_change_is_dated() -> None:
    """o3 fell to a fifth on 10 June 2025."""
    assert rates("openai", "o3", date(2025, 6, 9)).input == Decimal(10)
    assert rates("openai", "o3", date(2025, 6, 10)).input == Decimal(2)


def test_free_is_what_its_provider_calls_free() -> None:
    price = price_at(known("openrouter", "meta-llama/llama-3.3-70b-instruct:free"), DAY)
    assert price is not None
    assert is_free(price)


def test_a_model_billed_otherwise_than_by_token_is_priced_so_by_its_maker_and_by_nobody_else() -> None:
    assert rates("openai", "whisper-1").audio_minute == Decimal("0.006")
    assert rates("openai", "tts-1-hd").million_characters == Decimal(30)
    assert rates("openai", "dall-e-3").images["hd/1024x1024"] == Decimal("0.08")
    assert rates("cohere", "rerank-v3.5").search == Decimal("0.002")
    assert known("azure", "whisper-1").prices == ()


@pytest.mark.parametrize(
    ("family", "model", "operations"),
    [
        ("openai", "gpt-4o-mini", {"chat"}),
        ("openai", "text-embedding-3-small", {"embeddings"}),
        ("openai", "gpt-4o-transcribe", {"transcription"}),
        ("openai", "tts-1", {"speech"}),
        ("openai", "gpt-image-1", {"image"}),
        ("openai", "omni-moderation-latest", {"moderation"}),
        ("mistral", "voxtral-mini-latest", {"chat", "transcription"}),
        (None, "bge-reranker-v2-m3", {"rerank"}),
    ],
)
def test_what_a_model_may_be_asked_for_goes_with_its_weights(
    family: str | None, model: str, operations: set[str]
) -> None:
    assert set(known(family, model).operations or ()) == operations


def test_moderation_is_free_by_its_makers_word() -> None:
    price = price_at(known("openai", "omni-moderation-latest"), DAY)
    assert price is not None
    assert is_free(price)


def test_one_hour_cache_writes_cost_more_than_short_ones() -> None:
    found = rates("anthropic", "claude-sonnet-4-5")
    assert (found.cache_write, found.cache_write_1h) == (Decimal("3.75"), Decimal(6))


def test_long_prompts_are_priced_by_tier() -> None:
    price = price_at(known("google", "gemini-2.5-pro"), DAY)
    assert price is not None
    assert [tier.above_input_tokens for tier in price.tiers] == [200_000]
    assert price.tiers[0].rates.input > price.rates.input


@pytest.mark.parametrize(
    ("dialect", "base_url", "family"),
    [
        ("openai", None, "openai"),
        ("anthropic", None, "anthropic"),
        ("gemini", None, "google"),
        ("bedrock", None, "aws"),
        ("openai", "https://api.groq.com/openai/v1", "groq"),
        ("openai", "https://mine.openai.azure.com/openai/v1", "azure"),
        ("openai", "https://openrouter.ai/api/v1", "openrouter"),
        ("openai", "https://router.huggingface.co/v1", "huggingface"),
        ("openai", "https://router.huggingface.co/together/v1", "huggingface_together"),
        ("openai", "http://127.0.0.1:11434/v1", None),
        ("openai", "https://llm.example.com/v1", None),
        ("simulated", None, None),
    ],
)
def test_family_of(dialect: str, base_url: str | None, family: str | None) -> None:
    assert CATALOGUE.family_of(dialect, base_url) == family


def test_the_whole_list() -> None:
    cards = list(CATALOGUE.all())
    assert len(cards) > 2_000
    assert len({card.id for card in cards}) > 2_000
    assert {card.id for card in CATALOGUE.all("anthropic")} <= {card.id for card in cards}


def test_prices_are_in_order_finite_and_not_negative() -> None:
    for card in CATALOGUE.all():
        starts = [price.effective_from for price in card.prices]
        assert starts[1:] == sorted(start for start in starts[1:] if start is not None), card.id
        for price in card.prices:
            above = [tier.above_input_tokens for tier in price.tiers]
            assert above == sorted(set(above)), card.id
            for found in (price.rates, *(tier.rates for tier in price.tiers)):
                given = [getattr(found, name) for name in Rates.__struct_fields__ if name != "images"]
                given += found.images.values()
                assert all(rate is None or (rate.is_finite() and rate >= 0) for rate in given), card.id
                assert all(rate is None or len(rate.as_tuple().digits) <= 9 for rate in given), card.id


def test_prices_agree_with_their_source() -> None:
    """Every model of the source is looked up by its id, and asked for a plain request's price on one day."""
    noon = datetime(2026, 11, 21, 12, tzinfo=UTC)
    seen = 0
    for provider in providers:
        if not any(CATALOGUE.all(provider.id)):
            continue  # a product that no gateway calls
        for model in provider.models:
            conditions = model.prices if isinstance(model.prices, list) else []
            if any(isinstance(item.constraint, source.TimeOfDateConstraint) for item in conditions):
                continue
            theirs = provider.find_model(model.id)
            price = price_at(CATALOGUE.card(provider.id, model.id) or ModelCard(id=""), noon.date())
            expected = None if theirs is None else theirs.get_prices(noon).__dict__.get("input_mtok")
            if expected is None:
                assert price is None or is_free(price) or is_by_unit(price), model.id
                continue
            assert price is not None, model.id
            base = expected.base if isinstance(expected, source.TieredPrices) else expected
            assert abs(price.rates.input - base) < Decimal("1e-9"), model.id
            seen += 1
    assert seen > 1_900


def test_importing_the_catalogue_reads_no_data() -> None:
    code = (
        "import sys, polyroute.catalog.cards as cards\n"
        "cards.Path.read_bytes = lambda self: sys.exit(f'{self} was read')\n"
        "cards.Catalogue()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_price_file_is_what_its_script_makes_of_the_source() -> None:
    script = runpy.run_path(str(ROOT / "tools" / "export_prices.py"))
    written = json.loads(MODELS.read_text(encoding="utf-8"))
    if written["version"] != metadata.version("genai-prices"):
        pytest.skip("another version of the source is installed than the file was made from")
    assert script["render"]() == MODELS.read_text(encoding="utf-8")


def test_the_price_file_keeps_its_licence() -> None:
    text = MODELS.read_text(encoding="utf-8")
    assert "Permission is hereby granted, free of charge" in text
    assert len(text) < 1_000_000


def test_a_users_facts_win_one_by_one(tmp_path: Path) -> None:
    file = tmp_path / "models.yaml"
    file.write_text(
        "openai/gpt-4o: {quality: 0.91, price: {input: 2, output: 8.5}}\n"
        "my-llama: {context_tokens: 8192, price: free}\n"
    )
    catalogue = Catalogue(read_facts(file))
    card = catalogue.card("openai", "gpt-4o")
    assert card is not None
    assert (card.quality, card.context_tokens) == (0.91, 128_000)
    assert card.prices[0].rates == Rates(input=Decimal(2), output=Decimal("8.5"))
    mine = catalogue.card(None, "my-llama")
    assert mine is not None
    assert is_free(mine.prices[0])
    elsewhere = catalogue.card("azure", "gpt-4o")
    assert elsewhere is not None
    assert elsewhere.quality is None


@pytest.mark.parametrize(
    ("text", "path", "said"),
    [
        pytest.param("m: {contxt_tokens: 1}", "m", "contxt_tokens", id="an unknown field"),
        pytest.param("m: {context_tokens: -1}", "m", "context_tokens", id="a negative size"),
        pytest.param("m: {price: cheap}", "m", "price", id="a price in words"),
        pytest.param("m: {price: {input: -1, output: 2}}", "m.price.input", "-1", id="a negative rate"),
        pytest.param("m: {price: {input: .nan, output: 2}}", "m.price.input", "NaN", id="no number"),
        pytest.param("- m", "", "mapping", id="a list"),
        pytest.param("m: {", "", "cannot be read", id="broken YAML"),
    ],
)
def test_wrong_facts_are_named(tmp_path: Path, text: str, path: str, said: str) -> None:
    file = tmp_path / "models.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_facts(file)
    assert [problem.path for problem in caught.value.problems] == [path]
    assert said in caught.value.message


def test_facts_default_to_nothing() -> None:
    assert Catalogue({"m": Facts()}).card(None, "m") == ModelCard(id="m", source="catalogue file")
