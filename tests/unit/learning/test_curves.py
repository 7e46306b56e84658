import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyroute.learning.curves import Pair, apgr, auc, calibration_error, calls_for, cost_at, interval

WEAK, STRONG = np.array([1.0, 0.0, 1.0, 0.0]), np.array([1.0, 1.0, 1.0, 1.0])
PAIR = Pair(weak=WEAK, strong=STRONG, weak_usd=np.full(4, 1.0), strong_usd=np.full(4, 10.0))


def test_the_oracle_recovers_the_whole_gap_with_the_calls_it_takes() -> None:
    oracle = STRONG - WEAK
    assert calls_for(PAIR, oracle, 1.0) == pytest.approx(0.5)
    assert cost_at(PAIR, oracle, 1.0) == pytest.approx((2 * 10 + 2 * 1) / 40)
    assert apgr(PAIR, oracle) == pytest.approx(0.75)  # a straight line to half the calls, then flat


def test_no_order_at_all_recovers_what_it_pays_for() -> None:
    assert apgr(PAIR, np.zeros(4)) == pytest.approx(0.5)
    assert calls_for(PAIR, np.zeros(4), 0.8) == pytest.approx(0.8)


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.floats(-1, 1)), min_size=3, max_size=40))
def test_an_order_and_its_reverse_recover_one_between_them(rows: list[tuple[bool, bool, float]]) -> None:
    weak, strong = np.array([float(row[0]) for row in rows]), np.array([float(row[1]) for row in rows])
    if weak.mean() == strong.mean():
        return
    pair = Pair(weak=weak, strong=strong, weak_usd=weak, strong_usd=strong)
    order = np.array([row[2] for row in rows])
    assert apgr(pair, order) + apgr(pair, -order) == pytest.approx(1.0, abs=1e-6)


def test_quality_that_is_never_reached_costs_nothing_that_could_be_told() -> None:
    worse = Pair(weak=STRONG, strong=STRONG * 0, weak_usd=WEAK * 0, strong_usd=WEAK * 0)
    assert cost_at(worse, np.arange(4.0), 0.99) is None


def test_an_interval_holds_its_value_and_says_its_n() -> None:
    told = interval(200, lambda rows: float(rows.mean()))
    assert told.n == 200
    assert told.low is not None
    assert told.value is not None
    assert told.high is not None
    assert told.low < told.value < told.high


@pytest.mark.parametrize(
    ("labels", "scores", "expected"),
    [
        pytest.param([False, True], [0.1, 0.9], 1.0, id="right above wrong"),
        pytest.param([True, False], [0.1, 0.9], 0.0, id="wrong above right"),
        pytest.param([True, False], [0.5, 0.5], 0.5, id="a tie"),
        pytest.param([True, True], [0.1, 0.9], None, id="one kind only"),
    ],
)
def test_auc(labels: list[bool], scores: list[float], expected: float | None) -> None:
    assert auc(np.array(labels), np.array(scores)) == expected


def test_what_is_predicted_right_on_average_is_calibrated() -> None:
    outcomes = np.array([0.0, 1.0] * 50)
    assert calibration_error(outcomes, np.full(100, 0.5), bins=1) == pytest.approx(0)
    assert calibration_error(outcomes, np.full(100, 0.9), bins=1) == pytest.approx(0.4)
