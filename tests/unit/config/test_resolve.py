"""From names to deployments."""

from decimal import Decimal
from pathlib import Path

import pytest

from polyroute.config.document import Document
from polyroute.config.load import loads
from polyroute.config.resolve import Simulation, deployments, implicit_deployment, models_of, simulations
from polyroute.types.cards import Deadlines, Deployment, ModelCard, Price, Rates

KNOWN_PRICE = Price(rates=Rates(input=Decimal(3), output=Decimal(15)), source="test")


class Cards:
    """Knows gpt-4o at OpenAI."""

    def family_of(self, dialect: str, base_url: str | None) -> str | None:
        return dialect if base_url is None else None

    def quirks_of(
        self, family: str | None, upstream_model: str, base_url: str | None, **beside: object
    ) -> frozenset[str]:
        return frozenset({"odd"}) if family == "openai" else frozenset()

    def card(self, family: str | None, upstream_model: str) -> ModelCard | None:
        if (family, upstream_model) != ("openai", "gpt-4o"):
            return None
        return ModelCard(
            id="openai/gpt-4o",
            context_tokens=128000,
            modalities=frozenset({"text", "image"}),
            capabilities=frozenset({"tools"}),
            prices=(KNOWN_PRICE,),
            source="test",
        )


def document_of(text: str) -> Document:
    return loads(text, {"OPENAI_API_KEY": "k"}, folder=Path("/nowhere")).document


def by_id(text: str) -> dict[str, Deployment]:
    return {deployment.id: deployment for deployment in deployments(document_of(text), Cards())}


def test_the_short_form_is_one_deployment_with_the_catalogues_card() -> None:
    (found,) = by_id("models: {m: openai/gpt-4o}").values()
    assert (found.id, found.model, found.provider, found.upstream_model) == ("m@openai", "m", "openai", "gpt-4o")
    assert found.dialect == "openai_chat"
    assert found.card.prices == (KNOWN_PRICE,)
    assert found.deadlines == Deadlines()


def test_the_providers_own_name_may_hold_slashes() -> None:
    text = "providers: {router: {dialect: openai, base_url: 'http://x/v1'}}\nmodels: {m: router/meta/llama}"
    assert by_id(text)["m@router"].upstream_model == "meta/llama"


def test_repeats_at_one_provider_are_numbered() -> None:
    places = "[{provider: openai, model: a}, {provider: simulated}, {provider: openai, model: b}]"
    text = f"models: {{m: {{deployments: {places}}}}}"
    assert {d.id: d.upstream_model for d in by_id(text).values()} == {
        "m@openai": "a",
        "m@simulated": "m",
        "m@openai#2": "b",
    }


def test_the_nearest_level_wins() -> None:
    text = """
providers: {p: {dialect: simulated, region: eu, private: true, max_tries: 4, timeouts: {connect_s: 1, total_s: 9}}}
models:
  m:
    region: us
    timeouts: {total_s: 8}
    latency_ms: 5
    deployments:
      - {provider: p}
      - {provider: p, region: asia, private: false, weight: 3, max_tries: 1, timeouts: {total_s: 7}, latency_ms: 0}
"""
    first, second = by_id(text).values()
    assert (first.region, first.private, first.weight, first.max_tries) == ("us", True, 1.0, 4)
    assert (second.region, second.private, second.weight, second.max_tries) == ("asia", False, 3.0, 1)
    assert (first.deadlines.connect_s, first.deadlines.total_s, first.deadlines.first_token_s) == (1, 8, 60)
    assert (second.deadlines.connect_s, second.deadlines.total_s) == (1, 7)
    assert (first.card.latency_ms, second.card.latency_ms) == (5, 0)


def test_what_the_document_says_of_a_model_is_laid_over_its_card() -> None:
    text = (
        "models: {m: {provider: openai, model: gpt-4o, context_tokens: 8, capabilities: [json, vision, audio], "
        "quality: 0.5, tags: [code], price: {input: 1, output: 2, cached_input: 0.5, "
        "tiers: [{above_input_tokens: 5, input: 2, output: 4}]}}}"
    )
    card = by_id(text)["m@openai"].card
    assert (card.context_tokens, card.quality, card.tags) == (8, 0.5, frozenset({"code"}))
    assert (card.capabilities, card.modalities) == (frozenset({"json"}), frozenset({"text", "image", "audio"}))
    (price,) = card.prices
    assert price.rates == Rates(input=Decimal(1), output=Decimal(2), cached_input=Decimal("0.5"))
    assert price.tiers[0].rates.output == Decimal(4)
    assert (price.source, card.source) == ("document", "document")


def test_what_it_does_not_say_stays() -> None:
    card = by_id("models: {m: {provider: openai, model: gpt-4o, quality: 0.9}}")["m@openai"].card
    assert (card.context_tokens, card.capabilities, card.prices) == (128000, frozenset({"tools"}), (KNOWN_PRICE,))


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("{audio_minute: 0.006}", Rates(audio_minute=Decimal("0.006"))),
        ("{million_characters: 15}", Rates(million_characters=Decimal(15))),
        ("{image: 0.04, input: 5, output: 0}", Rates(image=Decimal("0.04"), input=Decimal(5))),
        ("{image: {hd: 0.08}, search: 0.002}", Rates(images={"hd": Decimal("0.08")}, search=Decimal("0.002"))),
    ],
)
def test_what_is_not_counted_in_tokens_has_a_price_of_its_own(written: str, expected: Rates) -> None:
    found = by_id(f"models: {{m: {{provider: simulated, price: {written}, operations: [image]}}}}")["m@simulated"].card
    assert found.prices[0].rates == expected
    assert found.operations == frozenset({"image"})


def test_free_is_a_price_of_nothing_and_an_unknown_one_is_none() -> None:
    found = by_id("models: {free: {provider: simulated, price: free}, unknown: simulated/x}")
    assert found["free@simulated"].card.prices[0].rates == Rates(input=Decimal(0), output=Decimal(0))
    assert found["unknown@simulated"].card.prices == ()


def test_a_machine_hour_is_spread_over_its_tokens() -> None:
    text = "models: {m: {provider: simulated, price: {gpu_hour_usd: 2.40, tokens_per_hour: 9600000}}}"
    rates = by_id(text)["m@simulated"].card.prices[0].rates
    assert (rates.input, rates.output) == (Decimal("0.25"), Decimal("0.25"))


def test_a_model_that_only_a_route_names_is_implicit() -> None:
    route = "{primary: openai/gpt-4o, fallback: [m, simulated/x], baseline: openai/o3}"
    assert list(by_id(f"routes: {{r: {route}}}\nmodels: {{m: openai/gpt-4o}}")) == [
        "m@openai",
        "openai/gpt-4o@openai",
        "simulated/x@simulated",
        "openai/o3@openai",
    ]


def test_a_caller_may_name_any_model_of_a_declared_provider() -> None:
    document = document_of("models: {m: openai/gpt-4o}")
    found = implicit_deployment(document, "openai/gpt-4o", Cards())
    assert found is not None
    assert (found.id, found.model, found.card.prices) == ("openai/gpt-4o@openai", "openai/gpt-4o", (KNOWN_PRICE,))
    assert implicit_deployment(document, "nobody/x", Cards()) is None
    assert implicit_deployment(document, "m", Cards()) is None


def test_simulations_by_deployment() -> None:
    text = (
        "models: {m: {answer: echo, quality: 0.5, deployments: [{provider: simulated, latency_ms: 5}, "
        "{provider: simulated, error_rate: 1, fail: rate_limit, fail_times: 2}]}, n: openai/gpt-4o}"
    )
    assert simulations(document_of(text)) == {
        "m@simulated": Simulation(latency_ms=5, answer="echo", quality=0.5),
        "m@simulated#2": Simulation(error_rate=1, answer="echo", quality=0.5, fail="rate_limit", fail_times=2),
    }


def test_a_route_as_a_target_means_its_models_in_order() -> None:
    text = "routes: {a: {primary: m, fallback: [b, n]}, b: {strategy: {use: cascade, models: [o, m, a]}}}"
    document = document_of(text)
    assert models_of(document, "a") == ("m", "o", "n")
    assert models_of(document, "m") == ("m",)


def test_where_an_address_departs_from_its_dialect_is_known_of_its_provider() -> None:
    found = by_id(
        """
providers:
  openai: {dialect: openai}
  own: {dialect: openai, base_url: "http://127.0.0.1:1/v1"}
  sim: {dialect: simulated}
models: {a: openai/gpt-4o, b: own/gpt-4o, c: {provider: sim}}
"""
    )
    assert {name: deployment.quirks for name, deployment in found.items()} == {
        "a@openai": frozenset({"odd"}),
        "b@own": frozenset(),
        "c@sim": frozenset(),
    }


def test_a_document_adds_to_what_is_known_and_takes_from_it() -> None:
    found = by_id(
        """
providers: {openai: {dialect: openai, quirks: [no_seed, no_n]}}
models:
  a: openai/gpt-4o
  b: {provider: openai, model: gpt-4o, quirks: [-no_seed, -odd]}
  c: {deployments: [{provider: openai, quirks: [-no_n, max_tokens]}]}
"""
    )
    assert {name: sorted(deployment.quirks) for name, deployment in found.items()} == {
        "a@openai": ["no_n", "no_seed", "odd"],
        "b@openai": ["no_n"],
        "c@openai": ["max_tokens", "no_seed", "odd"],
    }
