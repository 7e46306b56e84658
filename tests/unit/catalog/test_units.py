"""Prices of what is not counted in tokens: exact, known or not known, never nothing by silence."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyroute.catalog.pricing import FREE, charged, cost, covers, is_by_unit, worst_cost
from polyroute.stages.execution.costs import metered
from polyroute.types.cards import Deployment, ModelCard, Price, Rates
from polyroute.types.response import Units, Usage
from polyroute.types.routing import Needs

DAY = date(2026, 11, 21)


def price(**rates: object) -> Price:
    return Price(rates=Rates(**rates), source="test")  # type: ignore[arg-type]


HD = {"hd/1024x1024": Decimal("0.08"), "1024x1024": Decimal("0.04"), "hd": Decimal("0.12")}
TOKENS = price(input=Decimal("2.5"), output=Decimal(10))
MINUTES = price(audio_minute=Decimal("0.006"))


@pytest.mark.parametrize(
    ("units", "rates", "usd"),
    [
        pytest.param(Units(images=3), {"image": Decimal("0.04")}, "0.12", id="images"),
        pytest.param(Units(images=1, image_kind="hd/1024x1024"), {"images": HD}, "0.08", id="by quality and size"),
        pytest.param(Units(images=1, image_kind="low/1024x1024"), {"images": HD}, "0.04", id="by size alone"),
        pytest.param(Units(images=1, image_kind="hd/1x1"), {"images": HD}, "0.12", id="by quality alone"),
        pytest.param(Units(images=1, image_kind="auto/auto"), {"images": HD}, "0.12", id="any other is the dearest"),
        pytest.param(Units(audio_ms=1_000), {"audio_minute": Decimal("0.006")}, "0.0001", id="a second"),
        pytest.param(Units(audio_ms=1), {"audio_minute": Decimal("0.006")}, "0.0000001", id="a millisecond"),
        pytest.param(Units(characters=21), {"million_characters": Decimal(15)}, "0.000315", id="characters"),
        pytest.param(Units(searches=2), {"search": Decimal("0.002")}, "0.004", id="searches"),
        pytest.param(Units(searches=2), {"image": Decimal(1)}, "0", id="what has no price adds nothing"),
    ],
)  # fmt: skip
def test_cost(units: Units, rates: dict[str, object], usd: str) -> None:
    assert cost(Usage(units=units), price(**rates)) == Decimal(usd)


@given(
    st.builds(Units, images=st.integers(0, 9), audio_ms=st.integers(0, 10**8), characters=st.integers(0, 10**6)),
    st.integers(0, 10**6),
)
def test_the_worst_case_is_never_below_the_cost(units: Units, tokens: int) -> None:
    both = price(input=Decimal("2.5"), output=Decimal(10), image=Decimal("0.04"), audio_minute=Decimal("0.006"))
    used = Usage(input_tokens=tokens, output_tokens=tokens, units=units)
    assert worst_cost(tokens, tokens, both, units=units) >= cost(used, both)


def test_who_prices_minutes_says_nothing_of_images() -> None:
    assert is_by_unit(MINUTES)
    assert not is_by_unit(TOKENS)
    assert not is_by_unit(Price(rates=FREE, source="test"))
    assert not covers(MINUTES, Units(images=1))
    assert covers(TOKENS, Units(images=1))
    assert covers(Price(rates=FREE, source="test"), Units(images=1))
    assert charged(Units(audio_ms=5, images=1), MINUTES) == Units(audio_ms=5)


GUESS = Units(audio_ms=8_000, likely_audio_ms=1_000, estimated=True)


@pytest.mark.parametrize(
    ("usage", "asked", "known", "expected"),
    [
        pytest.param(
            Usage(input_tokens=9, estimated=True), Units(characters=5), price(million_characters=Decimal(15)),
            Usage(units=Units(characters=5)), id="what was asked for is known, and counted tokens say nothing",
        ),
        pytest.param(
            Usage(input_tokens=9), GUESS, TOKENS, Usage(input_tokens=9), id="reported tokens, priced so",
        ),
        pytest.param(
            Usage(input_tokens=9), GUESS, None, Usage(input_tokens=9), id="no price",
        ),
        pytest.param(
            Usage(input_tokens=9, estimated=True), GUESS, MINUTES,
            Usage(units=Units(audio_ms=1_000, estimated=True), estimated=True), id="no report: most likely, marked",
        ),
        pytest.param(
            Usage(units=Units(audio_ms=60_000)), GUESS, MINUTES, Usage(units=Units(audio_ms=60_000)), id="seconds",
        ),
        pytest.param(
            Usage(units=Units(images=1)), Units(images=2, image_kind="hd/1x1"), price(images=HD),
            Usage(units=Units(images=1, image_kind="hd/1x1")), id="as many as were made, of the kind asked for",
        ),
    ],
)  # fmt: skip
def test_metered(usage: Usage, asked: Units, known: Price | None, expected: Usage) -> None:
    card = ModelCard(id="p/m", prices=() if known is None else (known,))
    target = Deployment(id="m@p", model="m", provider="p", dialect="", upstream_model="m", card=card)
    needs = Needs(input_tokens=1, output_tokens=None, operation="transcription", units=asked)
    assert metered(usage, needs, target, DAY) == expected
