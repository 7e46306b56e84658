import pytest
from msgspec.structs import replace

from polyroute.prompts.families import family_of, variant_for
from polyroute.testing.providers import a_deployment
from polyroute.types.cards import ModelCard


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("gpt-4o-mini", "openai"),
        ("o3-mini", "openai"),
        ("ft:gpt-4o:acme::1", "openai"),
        ("claude-opus-4", "anthropic"),
        ("us.anthropic.claude-3-5-sonnet-20241022-v2:0", "anthropic"),
        ("models/gemini-2.5-pro", "gemini"),
        ("gemma-3-27b-it", "gemma"),
        ("llama3.1:70b", "llama"),
        ("meta-llama/Llama-3.1-8B-Instruct", "llama"),
        ("mistralai/Mixtral-8x7B", "mistral"),
        ("openai/gpt-oss-120b", "gpt-oss"),
        ("qwen2.5-coder", "qwen"),
        ("something-else", None),
    ],
)
def test_the_family_of_weights(name: str, family: str | None) -> None:
    assert family_of(name) == family


@pytest.mark.parametrize(
    ("variants", "expected"),
    [
        ({"default", "openai", "oai", "small", "oai/gpt-4o"}, "oai/gpt-4o"),
        ({"default", "openai", "oai", "small"}, "small"),
        ({"default", "openai", "oai"}, "openai"),
        ({"default", "oai"}, "oai"),
        ({"default", "anthropic"}, "default"),
    ],
)
def test_the_nearest_name_wins(variants: set[str], expected: str) -> None:
    deployment = replace(
        a_deployment("small"), provider="oai", upstream_model="gpt-4o", dialect="openai_chat", card=ModelCard(id="c")
    )
    assert variant_for(variants, deployment) == expected


def test_a_wire_speaks_for_weights_of_no_known_family_only() -> None:
    llama = replace(a_deployment("l"), upstream_model="llama3", dialect="openai_chat", card=ModelCard(id="x/llama3"))
    unknown = replace(llama, upstream_model="house-model", card=ModelCard(id="x/house-model"))
    assert variant_for({"default", "openai"}, llama) == "default"
    assert variant_for({"default", "openai"}, unknown) == "openai"
