"""Costs are exact, bounded from above, and never invented."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyroute.catalog import pricing
from polyroute.types.cards import ModelCard, Price, Rates, Tier
from polyroute.types.response import Usage

GPT_4O = Price(rates=Rates(input=Decimal("2.50"), output=Decimal(10), cached_input=Decimal("1.25")), source="test")
GPT_4O_MINI = Price(
    rates=Rates(input=Decimal("0.15"), output=Decimal("0.60"), cached_input=Decimal("0.075")), source="test"
)
SONNET = Price(
    rates=Rates(
        input=Decimal(3),
        output=Decimal(15),
        cached_input=Decimal("0.30"),
        cache_write=Decimal("3.75"),
        cache_write_1h=Decimal(6),
    ),
    source="test",
)
GEMINI_PRO = Price(
    rates=Rates(input=Decimal("1.25"), output=Decimal(10)),
    tiers=(Tier(above_input_tokens=200_000, rates=Rates(input=Decimal("2.50"), output=Decimal(15))),),
    source="test",
)

amounts = st.decimals(min_value=0, max_value=1_000, places=4)
optional_amounts = st.none() | amounts
rates = st.builds(
    Rates,
    input=amounts,
    output=amounts,
    cached_input=optional_amounts,
    cache_write=optional_amounts,
    cache_write_1h=optional_amounts,
    reasoning=optional_amounts,
    input_audio=optional_amounts,
    output_audio=optional_amounts,
)
tiers = st.lists(
    st.builds(Tier, above_input_tokens=st.integers(0, 500_000), rates=rates),
    max_size=3,
    unique_by=lambda tier: tier.above_input_tokens,
).map(lambda found: tuple(sorted(found, key=lambda tier: tier.above_input_tokens)))
prices = st.builds(
    Price, rates=rates, tiers=tiers, per_request_usd=optional_amounts, effective_from=st.none(), source=st.just("test")
)
counts = st.integers(0, 300_000)
usages = st.builds(
    Usage,
    input_tokens=counts,
    cached_input_tokens=counts,
    cache_write_tokens=counts,
    cache_write_1h_tokens=counts,
    output_tokens=counts,
    reasoning_tokens=counts,
    input_audio_tokens=counts,
    output_audio_tokens=counts,
)


@pytest.mark.parametrize(
    ("usage", "price", "expected"),
    [
        pytest.param(Usage(input_tokens=1_000_000), GPT_4O, "2.5", id="a million input tokens cost the rate"),
        pytest.param(
            # 1,117 - 1,024 cached = 93 fresh: 93 * 2.5 + 1,024 * 1.25 + 46 * 10 = 1,972.5 millionths
            Usage(input_tokens=93, cached_input_tokens=1_024, output_tokens=46),
            GPT_4O,
            "0.0019725",
            id="cached input has its own rate",
        ),
        pytest.param(
            # 12 * 3 + 4,000 * 3.75 + 2,000 * 6 + 30,000 * 0.30 + 500 * 15 = 43,536 millionths
            Usage(
                input_tokens=12,
                cache_write_tokens=4_000,
                cache_write_1h_tokens=2_000,
                cached_input_tokens=30_000,
                output_tokens=500,
            ),
            SONNET,
            "0.043536",
            id="five-minute and one-hour cache writes differ",
        ),
        pytest.param(
            # 25 * 0.15 + 7 * 0.60 + 64 * 0.60 = 46.35 millionths
            Usage(input_tokens=25, output_tokens=7, reasoning_tokens=64),
            GPT_4O_MINI,
            "0.00004635",
            id="reasoning follows output",
        ),
        pytest.param(
            Usage(input_tokens=200_000, output_tokens=1_000), GEMINI_PRO, "0.26", id="the threshold is not above it"
        ),
        pytest.param(
            # 200,001 * 2.5 + 1,000 * 15 = 515,002.5 millionths
            Usage(input_tokens=1, cached_input_tokens=200_000, output_tokens=1_000),
            GEMINI_PRO,
            "0.5150025",
            id="a tier prices the whole request, cached tokens counted",
        ),
        pytest.param(
            Usage(input_tokens=1, output_tokens=1),
            Price(rates=Rates(input=Decimal("0.0005"), output=Decimal(0)), source="test"),
            "0",
            id="half a nano-dollar rounds to even",
        ),
        pytest.param(
            Usage(input_tokens=1_000, output_tokens=100),
            Price(rates=Rates(input=Decimal(1), output=Decimal(1)), per_request_usd=Decimal("0.012"), source="test"),
            "0.0131",
            id="a fee for each request is added once",
        ),
    ],
)
def test_cost(usage: Usage, price: Price, expected: str) -> None:
    assert pricing.cost(usage, price) == Decimal(expected)


@given(usages, prices)
def test_no_usage_costs_more_than_the_worst_case(usage: Usage, price: Price) -> None:
    worst = pricing.worst_cost(usage.total_input_tokens, usage.total_output_tokens, price)
    assert Decimal(0) <= pricing.cost(usage, price) <= worst


@given(counts, counts, counts, counts, prices)
def test_the_worst_case_never_falls_as_bounds_grow(a: int, b: int, more_a: int, more_b: int, price: Price) -> None:
    assert pricing.worst_cost(a, b, price) <= pricing.worst_cost(a + more_a, b + more_b, price)


@given(st.integers(0, 300_000), st.integers(0, 300_000), prices)
def test_a_text_request_that_marks_no_cache_stays_below_its_own_worst_case(
    inputs: int, outputs: int, price: Price
) -> None:
    worst = pricing.worst_cost(inputs, outputs, price, cache_writes=False, audio=False)
    assert pricing.expected_cost(inputs, outputs, price) <= worst
    assert pricing.cost(Usage(cached_input_tokens=inputs, reasoning_tokens=outputs), price) <= worst
    assert pricing.cost(Usage(cache_write_tokens=inputs, output_tokens=outputs), price) <= worst  # written unasked
    assert worst <= pricing.worst_cost(inputs, outputs, price)


@given(usages, rates)
def test_the_parts_of_a_usage_add_up_to_the_whole(usage: Usage, found: Rates) -> None:
    """Without tiers each token is priced once, so splitting changes nothing but the rounding of each part."""
    price = Price(rates=found, source="test")
    names = [name for name in Usage.__struct_fields__ if name.endswith("_tokens")]
    parts = [pricing.cost(Usage(**{name: getattr(usage, name)}), price) for name in names]
    assert abs(sum(parts) - pricing.cost(usage, price)) <= Decimal("0.0000000005") * (len(names) + 1)


def test_an_old_request_keeps_its_old_price() -> None:
    old, new = Rates(input=Decimal(10), output=Decimal(40)), Rates(input=Decimal(2), output=Decimal(8))
    card = ModelCard(
        id="openai/o3",
        prices=(Price(rates=old, source="a"), Price(rates=new, effective_from=date(2025, 6, 10), source="b")),
    )
    before, after = pricing.price_at(card, date(2025, 6, 9)), pricing.price_at(card, date(2025, 6, 10))
    assert before is not None
    assert after is not None
    assert (before.rates, after.rates) == (old, new)


def test_a_model_without_a_price_has_none() -> None:
    assert pricing.price_at(ModelCard(id="mine/model"), date(2026, 1, 1)) is None


def test_a_price_that_begins_later_is_not_known_yet() -> None:
    card = ModelCard(id="m", prices=(Price(rates=pricing.FREE, effective_from=date(2026, 2, 1), source="a"),))
    assert pricing.price_at(card, date(2026, 1, 31)) is None


@pytest.mark.parametrize(
    ("price", "expected"),
    [
        pytest.param(Price(rates=pricing.FREE, source="document"), True, id="all zero"),
        pytest.param(GPT_4O_MINI, False, id="cheap is not free"),
        pytest.param(Price(rates=pricing.FREE, per_request_usd=Decimal("0.01"), source="a"), False, id="a fee"),
        pytest.param(
            Price(rates=pricing.FREE, tiers=GEMINI_PRO.tiers, source="a"), False, id="free up to a length only"
        ),
    ],
)
def test_is_free(price: Price, expected: bool) -> None:
    assert pricing.is_free(price) is expected


def mix(*shares: tuple[str, str | None]) -> list[pricing.Share]:
    return [
        pricing.Share(weight=Decimal(weight), usd_per_million=None if usd is None else Decimal(usd))
        for weight, usd in shares
    ]


def test_the_articles_mix_saves_what_its_own_prices_say() -> None:
    """60/30/10 at $0.15, $0.50 and $10 per million: 87.6 % below all at $10, not the 82 % claimed."""
    blend = pricing.blended_per_million(mix(("60", "0.15"), ("30", "0.50"), ("10", "10")), Decimal(10))
    assert blend is not None
    assert (blend.usd_per_million, blend.saved_ratio) == (Decimal("1.24"), Decimal("0.876"))


def test_a_mix_may_lose_against_its_baseline() -> None:
    blend = pricing.blended_per_million(mix(("90", "10"), ("10", "1")), Decimal("2.50"))
    assert blend is not None
    assert blend.saved_ratio == Decimal("-2.64")


def test_a_blend_over_an_unknown_price_is_unknown() -> None:
    assert pricing.blended_per_million(mix(("60", "0.15"), ("40", None)), Decimal(10)) is None
    assert pricing.blended_per_million(mix(("60", "0.15"), ("0", None)), Decimal(10)) is not None


@pytest.mark.parametrize("weights", [(), ("0", "0"), ("1", "-1")])
def test_a_mix_needs_weights(weights: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="60/30/10"):
        pricing.blended_per_million(mix(*((weight, "1") for weight in weights)), Decimal(1))


def test_one_figure_for_a_price_weighs_input_and_output() -> None:
    assert pricing.usd_per_million(GPT_4O, output_share=Decimal("0.2")) == Decimal("4.0")
