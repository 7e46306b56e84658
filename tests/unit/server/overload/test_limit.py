"""The limit on what is under way: what makes it shrink, what does not, and that it comes back."""

import math

from hypothesis import given
from hypothesis import strategies as st

from polyroute.server.overload.limit import Limit

LATE_S, TICK_S = 0.005, 0.01
turns = st.lists(st.floats(0, 2), max_size=60)


def told(limit: Limit, turn_s: float, under_way: int, times: int = 1, *, is_wanted: bool = True) -> Limit:
    for _ in range(times):
        limit = limit.after(turn_s, TICK_S, under_way, is_wanted=is_wanted)
    return limit


def fresh(least: int = 64) -> Limit:
    return Limit(least=least, late_s=LATE_S)


@given(turns, st.integers(0, 100_000))
def test_it_is_never_under_its_least(turns: list[float], under_way: int) -> None:
    limit = fresh()
    for turn_s in turns:
        limit = told(limit, turn_s, under_way)
        assert limit.requests >= 64


@given(st.lists(st.integers(0, 100_000), max_size=60), st.floats(0, LATE_S))
def test_however_many_wait_for_slow_providers_nothing_is_limited(under_way: list[int], turn_s: float) -> None:
    limit = fresh()
    for count in under_way:
        limit = told(limit, turn_s, count)
        assert not limit.is_set


def test_a_few_requests_are_not_limited_however_late_they_are() -> None:
    assert not told(fresh(), 1.0, 64, 100).is_set


def test_a_single_long_turn_is_no_overload() -> None:
    assert not told(told(fresh(), 0.001, 500, 50), 0.03, 500).is_set


def test_turns_that_stay_late_shrink_it_by_how_late_they_are() -> None:
    slightly, badly = told(fresh(), 0.006, 1000, 100), told(fresh(), 0.5, 1000, 1)
    assert slightly.is_set
    assert told(slightly, 0.006, 1000).requests / slightly.requests > 0.8
    assert badly.requests == 800


def test_it_follows_what_is_really_under_way() -> None:
    assert told(told(fresh(), 0.1, 5000, 3), 0.1, 300).requests <= 300 * 0.8


@given(st.floats(0.006, 1.0), st.integers(65, 5000))
def test_it_recovers_within_two_seconds(turn_s: float, under_way: int) -> None:
    limit = told(fresh(), turn_s, under_way, 200)
    limit = told(limit, 0.001, 10, 150, is_wanted=False)
    assert limit.requests == math.inf


def test_while_somebody_waits_it_grows_and_is_not_lifted() -> None:
    limit = told(fresh(), 0.1, 1000, 30)
    assert limit.requests == 64
    grown = told(limit, 0.001, 64, 100)
    assert grown.is_set
    assert grown.requests > 1000
