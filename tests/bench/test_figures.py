"""The bench's arithmetic."""

import pytest
from bench.figures import Spread, cpu_spent_s, growth_verdict, is_sound, percentile, slope, spread, verdict
from hypothesis import given
from hypothesis import strategies as st


def test_a_spread_is_the_median_with_the_least_and_the_greatest() -> None:
    assert spread([3.0, 1.0, 2.0]) == Spread(median=2.0, low=1.0, high=3.0)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        pytest.param([1.0, 2.0, 4.0], "2.00 (1.00–4.00)", id="several rounds show their range"),
        pytest.param([1.25], "1.25", id="one round has none"),
    ],
)
def test_text_of_a_spread(values: list[float], text: str) -> None:
    assert spread(values).text(2) == text


@pytest.mark.parametrize(
    ("share", "expected"),
    [(0.0, 1.0), (0.5, 5.0), (0.51, 6.0), (0.9, 9.0), (0.99, 10.0), (1.0, 10.0)],
)
def test_percentile_is_the_nearest_rank(share: float, expected: float) -> None:
    assert percentile([10.0, 9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0], share) == expected


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0, 1))
def test_at_least_the_share_of_values_do_not_exceed_the_percentile(values: list[float], share: float) -> None:
    found = percentile(values, share)
    assert sum(value <= found for value in values) >= share * len(values) - 1e-9


def test_cpu_spent_counts_new_threads_whole_and_forgets_ended_ones() -> None:
    before = {1: 2.0, 2: 5.0}
    after = {1: 2.5, 3: 0.25}
    assert cpu_spent_s(before, after) == 0.75


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param([1.0, 2.0, 3.0], "met", id="every round keeps to it"),
        pytest.param([5.0, 6.0, 7.0], "not met", id="no round does"),
        pytest.param([3.0, 4.0, 5.0], "met, rounds disagree", id="the median is at the goal, a round is over it"),
        pytest.param([3.0, 5.0, 6.0], "not met, rounds disagree", id="a round keeps to it, the median does not"),
    ],
)
def test_verdict_against_a_goal_of_four(values: list[float], expected: str) -> None:
    assert verdict(spread(values), 4.0) == expected


@pytest.mark.parametrize(
    ("requests", "errors", "forwarded", "sound"),
    [
        pytest.param(1000, 0, 1000, True, id="one call an answer"),
        pytest.param(1000, 0, 1016, True, id="requests under way at the end"),
        pytest.param(1000, 1, 1000, False, id="an error"),
        pytest.param(1000, 0, 900, False, id="answers without a call"),
        pytest.param(1000, 0, 1100, False, id="calls made twice"),
        pytest.param(0, 0, 0, False, id="no answers"),
    ],
)
def test_a_pass_is_believed_only_if_each_answer_cost_one_call(
    requests: int, errors: int, forwarded: int, sound: bool
) -> None:
    assert is_sound(requests=requests, errors=errors, forwarded=forwarded, connections=16) is sound


@given(st.integers(-50, 50), st.integers(-1000, 1000), st.integers(3, 30))
def test_the_slope_of_a_line_is_the_lines(rise: int, offset: int, count: int) -> None:
    points = [(float(x), float(offset + rise * x)) for x in range(count)]
    assert slope(points) == Spread(median=rise, low=rise, high=rise)


def test_a_few_wild_readings_do_not_move_the_slope() -> None:
    points = [(float(x), 100.0 + 0.5 * x) for x in range(30)]
    points[4] = (4.0, 900.0)
    points[20] = (20.0, 0.0)
    found = slope(points)
    assert found.median == pytest.approx(0.5)
    assert found.low <= 0.5 <= found.high


def test_readings_that_go_up_and_down_have_a_slope_that_may_be_none() -> None:
    found = slope([(float(x), float(x % 2)) for x in range(20)])
    assert found.low <= 0 <= found.high


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        pytest.param(-1.0, 2.0, "met", id="the whole interval keeps to it"),
        pytest.param(2.5, 4.0, "not met", id="the whole interval is over it"),
        pytest.param(1.0, 3.0, "undecided: run longer", id="the goal lies within the interval"),
    ],
)
def test_growth_against_a_goal_of_two(low: float, high: float, expected: str) -> None:
    assert growth_verdict(Spread(median=(low + high) / 2, low=low, high=high), 2.0) == expected
