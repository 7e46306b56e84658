from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.rig import NOON, deployment

from polyroute.stages.assembly.savings import Saving, dearest, saving
from polyroute.types.cards import Price, Rates
from polyroute.types.response import Usage

DAY = NOON.date()
TOKENS = st.integers(0, 10**9)


def priced(name: str, input_usd: int, output_usd: int) -> Price:
    return Price(rates=Rates(input=Decimal(input_usd), output=Decimal(output_usd)), source=name)


CHEAP, DEAR = deployment("cheap", price=priced("c", 1, 2)), deployment("dear", price=priced("d", 10, 20))
UNKNOWN = deployment("unknown", price=None)


def test_an_article_sum() -> None:
    usage = Usage(input_tokens=1_000_000, output_tokens=500_000)
    assert saving(usage, Decimal(2), DEAR, DAY) == Saving(
        baseline="dear", baseline_usd=Decimal(20), saved_usd=Decimal(18)
    )


@given(TOKENS, TOKENS, st.decimals(0, 1000, places=9))
def test_what_was_spent_and_what_was_saved_make_the_baseline(read: int, written: int, spent: Decimal) -> None:
    found = saving(Usage(input_tokens=read, output_tokens=written), spent, DEAR, DAY)
    assert found is not None
    assert found.saved_usd + spent == found.baseline_usd


def test_a_baseline_without_a_price_tells_no_saving() -> None:
    assert saving(Usage(input_tokens=1), Decimal(0), UNKNOWN, DAY) is None


def test_the_dearest_is_so_by_output_then_by_input() -> None:
    also = deployment("also", price=priced("a", 11, 20))
    assert dearest((CHEAP, DEAR, also, UNKNOWN), DAY) == also
    assert dearest((UNKNOWN,), DAY) is None
    assert dearest((), DAY) is None
