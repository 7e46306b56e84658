"""When workers are started, replaced and given up."""

import pytest

from polyroute.server.shifts import STEADY_S, Shifts


def opened(count: int) -> Shifts:
    """All are ready at 0."""
    shifts = Shifts(count, 0.0)
    for number in range(count):
        shifts.started(number, 100 + number, 0.0)
        shifts.ready(number, 0.0)
    return shifts


def test_the_others_wait_until_the_first_is_ready() -> None:
    shifts = Shifts(3, 0.0)
    assert shifts.due(0.0) == [0]
    shifts.started(0, 100, 0.0)
    assert (shifts.due(9.0), shifts.next_s(9.0)) == ([], None)
    assert not shifts.ready(0, 9.0)
    assert shifts.due(9.0) == [1, 2]
    shifts.started(1, 101, 9.0)
    shifts.started(2, 102, 9.0)
    assert not shifts.ready(1, 9.0)
    assert shifts.ready(2, 9.0)
    assert not shifts.ready(2, 9.0), "it is open once"


def test_one_that_dies_before_all_are_ready_ends_all() -> None:
    shifts = Shifts(2, 0.0)
    shifts.started(0, 100, 0.0)
    shifts.ready(0, 0.0)
    shifts.started(1, 101, 0.0)
    assert shifts.died(1, 0.5).ends_all


def test_a_sound_one_is_replaced_at_once() -> None:
    shifts = opened(2)
    died = shifts.died(1, STEADY_S)
    assert (died.ends_all, died.pause_s) == (False, 0.0)
    assert shifts.due(STEADY_S) == [1]


def test_one_that_dies_again_and_again_waits_longer_and_longer() -> None:
    shifts, now, pauses = opened(2), 0.0, []
    for _ in range(9):
        died = shifts.died(1, now)
        assert not died.ends_all, "the other one serves"
        pauses.append(died.pause_s)
        assert shifts.due(now) == []
        assert shifts.next_s(now) == pytest.approx(died.pause_s)
        now += died.pause_s
        assert shifts.due(now) == [1]
        shifts.started(1, 200, now)
        shifts.ready(1, now)
    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0]
    assert not shifts.died(1, now + STEADY_S).pause_s, "and is forgiven"


def test_where_none_is_left_and_none_comes_up_all_ends() -> None:
    shifts, now = opened(2), 0.0
    assert not shifts.died(0, now).ends_all
    assert not shifts.died(1, now).ends_all
    for number in (0, 1, 0, 1, 0, 1):
        shifts.started(number, 200, now)
        assert not shifts.died(number, now).ends_all
    shifts.started(0, 300, now)
    assert shifts.died(0, now).ends_all


def test_after_the_end_none_is_started() -> None:
    shifts = opened(2)
    shifts.died(0, STEADY_S)
    shifts.stop()
    assert (shifts.due(99.0), shifts.next_s(99.0), shifts.pids) == ([], None, [101])
