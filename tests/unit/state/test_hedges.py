"""When a call counts as late, and how many second calls there may be."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyroute.state.hedges import Hedge, Hedges, Pace

RULE = Hedge(max_share=0.03, max_cost_share=Decimal(1))
STEADY_S = tuple(0.1 + 0.001 * number for number in range(100))  # 0.100 to 0.199


def paced(*seconds: float) -> Pace:
    pace = Pace()
    for one in seconds:
        pace.took(one)
    return pace


@pytest.mark.parametrize(
    ("seen", "late_s"),
    [
        pytest.param(STEADY_S[:19], None, id="too little was seen"),
        pytest.param(STEADY_S, 0.195, id="the 95th of a hundred"),
        pytest.param((*(0.1,) * 90, *(5.0,) * 10), 0.2, id="twice the median, where one in ten is slow"),
        pytest.param((*(9.0,) * 100, *(0.1,) * 512), 0.1, id="the last 512 count"),
    ],
)
def test_what_is_late_is_seen_in_the_last_calls(seen: tuple[float, ...], late_s: float | None) -> None:
    assert paced(*seen).late_after_s() == (None if late_s is None else pytest.approx(late_s))


def test_the_emptier_the_bucket_the_later_a_call_is_late() -> None:
    hedges, pace = Hedges(), paced(*STEADY_S)
    assert hedges.late_after_s("route", RULE, pace) == pytest.approx(1.4 * 0.195)
    for _ in range(1000):
        hedges.came("route", RULE)
    assert hedges.late_after_s("route", RULE, pace) == pytest.approx(0.195)
    assert hedges.late_after_s("other", RULE, pace) == pytest.approx(1.4 * 0.195)


def test_what_the_document_says_is_late_needs_no_observation() -> None:
    assert Hedges().late_after_s("route", Hedge(after_s=0.7), Pace()) == 0.7


@given(st.lists(st.booleans(), max_size=400), st.sampled_from([0.01, 0.03, 0.05]))
def test_second_calls_never_exceed_their_share_of_the_requests_before(asks: list[bool], share: float) -> None:
    hedges, rule, sent = Hedges(), Hedge(max_share=share), 0
    for came, asks_for_one in enumerate(asks, 1):
        hedges.came("route", rule)
        sent += asks_for_one and hedges.spend("route")
        assert sent <= share * came + 1e-9


def test_one_that_was_not_sent_is_given_back() -> None:
    hedges = Hedges()
    for _ in range(34):
        hedges.came("route", RULE)
    assert hedges.spend("route")
    assert not hedges.spend("route")
    hedges.give_back("route")
    assert hedges.spend("route")


def test_a_deployment_is_slow_where_many_of_its_calls_are_late_and_not_for_one_in_twenty() -> None:
    pace = Pace()
    for number in range(1000):
        pace.was(late=number % 20 == 0)
        assert not pace.is_slow
    for _ in range(8):
        pace.was(late=True)
    assert pace.is_slow
    for _ in range(40):
        pace.was(late=False)
    assert not pace.is_slow
