from decimal import Decimal

import pytest
import typer

from polyroute.cli.blend import Priced, blend, read_blend
from polyroute.types.cards import Rates


def priced(name: str, usd: str) -> Priced:
    return Priced(name=name, rates=Rates(input=Decimal(usd), output=Decimal(usd)))


TIERS = (priced("gpt-4o-mini", "0.15"), priced("gpt-4o", "2.50"), priced("premium", "15"))


@pytest.mark.parametrize(
    ("weights", "baseline", "usd", "saved"),
    [
        pytest.param((70, 20, 10), None, "2.105", "0.860", id="the article's mix, against its premium tier: 86 %"),
        pytest.param((70, 20, 10), TIERS[1], "2.105", "0.158", id="the same mix, all against gpt-4o: 16 %"),
        pytest.param((7, 2, 1), None, "2.105", "0.860", id="weights need not add up to 100"),
        pytest.param((0, 0, 1), TIERS[1], "15", "-5", id="a dear mix loses, and says so"),
    ],
)
def test_a_mix_has_one_price_and_a_saving_for_each_baseline(
    weights: tuple[int, ...], baseline: Priced | None, usd: str, saved: str
) -> None:
    found = blend(tuple(map(Decimal, weights)), TIERS, baseline)
    assert found.input_usd == found.output_usd == Decimal(usd)
    assert found.saved_input_share is not None
    assert round(found.saved_input_share, 3) == Decimal(saved)
    assert found.baseline == (baseline or TIERS[2]).name


def test_against_a_free_baseline_no_saving_is_claimed() -> None:
    assert blend((Decimal(1),), (priced("a", "1"),), priced("free", "0")).saved_input_share is None


def test_bare_prices_need_no_document() -> None:
    found = read_blend("60/30/10", models=None, prices="0.15,0.5,10", baseline=None, config=None)
    assert (found.input_usd, found.saved_input_share) == (Decimal("1.240"), Decimal("0.876"))


@pytest.mark.parametrize(
    ("mix", "models", "prices"),
    [
        ("60/40", None, None),
        ("60/40", "a,b", "1,2"),
        ("60/40", None, "1,2,3"),
        ("0/0", None, "1,2"),
        ("60/-40", None, "1,2"),
        ("60/forty", None, "1,2"),
        ("60/nan", None, "1,2"),
        ("60/40", None, "1,cheap"),
    ],
)
def test_a_mix_that_makes_no_sense_is_wrong_usage(mix: str, models: str | None, prices: str | None) -> None:
    with pytest.raises(typer.BadParameter):
        read_blend(mix, models=models, prices=prices, baseline=None, config=None)
