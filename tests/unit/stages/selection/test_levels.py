"""Which levels of a cascade are kept, by cost and pass rate."""

from decimal import Decimal

import pytest

from polyroute.stages.selection.levels import Level, worth_it


def level(model: str, usd: str | None, rate: float | None = None, check_usd: str = "0") -> Level:
    return Level(model=model, usd=None if usd is None else Decimal(usd), check_usd=Decimal(check_usd), pass_rate=rate)


@pytest.mark.parametrize(
    ("levels", "kept"),
    [
        pytest.param((level("a", "1", 0.5), level("z", "10")), ("a", "z"), id="it saves more than it costs"),
        pytest.param((level("a", "1", 0.05), level("z", "10")), ("z",), id="it passes too seldom"),
        pytest.param((level("a", "1", 0.5, "5"), level("z", "10")), ("z",), id="its gates cost too much"),
        pytest.param((level("a", "1"), level("z", "10")), ("a", "z"), id="nothing is known of it"),
        pytest.param((level("a", "11"), level("z", "10")), ("z",), id="it could never pay"),
        pytest.param((level("a", "0", 0.0), level("z", "0")), ("a", "z"), id="nothing costs anything"),
        pytest.param((level("a", None, 0.0), level("z", "10")), ("a", "z"), id="its price is not known"),
        pytest.param((level("a", "1", 0.9), level("b", "5", 0.1), level("z", "10")), ("a", "z"), id="the middle goes"),
        pytest.param((level("z", "10"),), ("z",), id="there is one only"),
    ],
)
def test_a_level_is_kept_where_it_pays(levels: tuple[Level, ...], kept: tuple[str, ...]) -> None:
    assert worth_it(levels)[0] == kept


def test_who_is_left_out_is_told_with_the_sum() -> None:
    _, reasons = worth_it((level("a", "1", 0.05, "2"), level("z", "10")))
    spent = "$3.000000 a call with its gates, more than the $0.500000 it saves"
    assert reasons == (f"a is left out: {spent}: 5% of its answers pass (observed)",)
