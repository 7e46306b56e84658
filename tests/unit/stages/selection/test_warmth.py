from decimal import Decimal

import pytest

from polyroute.stages.selection.warmth import cached_tokens, saved_usd, told, warmed
from polyroute.types.cards import Deployment, ModelCard, Price, Rates
from polyroute.types.response import Usage
from polyroute.types.routing import Candidate


def price(cached: str | None, write: str | None = None) -> Price:
    rates = Rates(
        input=Decimal(2),
        output=Decimal(8),
        cached_input=None if cached is None else Decimal(cached),
        cache_write=None if write is None else Decimal(write),
    )
    return Price(rates=rates, source="test")


DEPLOYMENT = Deployment(id="m@p", model="m", provider="p", dialect="", upstream_model="m", card=ModelCard(id="m"))
CANDIDATE = Candidate(deployment=DEPLOYMENT, input_tokens=10_000, expected_usd=Decimal("0.03"))


@pytest.mark.parametrize(
    ("usage", "rates", "cached"),
    [
        pytest.param(Usage(input_tokens=5000), price("0.2"), 5000, id="who caches unasked has cached all of it"),
        pytest.param(Usage(input_tokens=1000), price("0.2"), 0, id="unless it was short"),
        pytest.param(Usage(input_tokens=5000), price("0.2", "2.5"), 0, id="where writes are priced, usage tells"),
        pytest.param(
            Usage(input_tokens=100, cached_input_tokens=3000, cache_write_tokens=2000),
            price("0.2", "2.5"),
            5000,
            id="what was read and what was written",
        ),
        pytest.param(Usage(input_tokens=5000), price(None), 0, id="no price of its own, nothing to save"),
        pytest.param(Usage(input_tokens=5000), None, 0, id="no price at all"),
    ],
)
def test_what_a_provider_has_cached_after_an_answer(usage: Usage, rates: Price | None, cached: int) -> None:
    assert cached_tokens(usage, rates) == cached


def test_a_cache_saves_the_difference_of_what_it_holds_of_this_prompt() -> None:
    assert saved_usd(CANDIDATE, 5000, price("0.2")) == Decimal("0.009")
    assert saved_usd(CANDIDATE, 50_000, price("0.2")) == Decimal("0.018")
    assert saved_usd(CANDIDATE, 5000, price(None)) == 0
    assert saved_usd(CANDIDATE, 5000, None) == 0


def test_a_warm_place_is_expected_to_cost_less() -> None:
    assert warmed(CANDIDATE, Decimal("0.009")).expected_usd == Decimal("0.021")
    assert warmed(CANDIDATE, Decimal(0)) is CANDIDATE


def test_what_becomes_of_the_cache_is_told() -> None:
    assert told("m@p", {}) is None
    assert told("m@p", {"m@p": Decimal("0.0091234")}) == "its prompt cache saves about $0.009123"
    assert told("m@q", {"m@p": Decimal("0.009")}) == "m@p's prompt cache is left, worth about $0.009"
