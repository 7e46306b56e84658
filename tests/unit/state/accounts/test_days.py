from datetime import UTC, datetime, timedelta

import pytest

from polyroute.state.accounts.days import Days

EVE = datetime(2028, 2, 28, 23, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    ("wall_s", "monotonic_s", "was_set"),
    [
        pytest.param(2, 2, False, id="midnight of a leap day comes by itself"),
        pytest.param(3600, 3600, False, id="nobody asked for an hour"),
        pytest.param(86_400, 1, True, id="set a day forward"),
        pytest.param(-86_400, 1, True, id="set a day back"),
        pytest.param(-3600, 1, False, id="set back within the day: its windows are the same"),
        pytest.param(3600, 1, True, id="set an hour forward, over the border"),
    ],
)
def test_a_clock_that_was_set_is_told_from_a_day_that_came(wall_s: int, monotonic_s: float, was_set: bool) -> None:
    days = Days()
    assert not days.was_set(EVE, 10.0)
    assert days.was_set(EVE + timedelta(seconds=wall_s), 10.0 + monotonic_s) is was_set
    assert not days.was_set(EVE + timedelta(seconds=wall_s), 10.0 + monotonic_s), "it is told once"


@pytest.mark.parametrize(("wall_s", "was_set"), [(1, False), (2, True)])
def test_a_day_that_the_books_know_already_is_not_one_that_came(wall_s: int, was_set: bool) -> None:
    """The clock had been there before it was set back, in the life of another process."""
    days = Days()
    days.note(EVE - timedelta(seconds=1), 10.0, knows_later=True)
    assert days.was_set(EVE - timedelta(seconds=1) + timedelta(seconds=wall_s), 10.0 + wall_s) is was_set


def test_what_the_books_say_later_holds() -> None:
    days = Days()
    days.note(EVE, 10.0, knows_later=True)
    days.note(EVE, 10.0)
    assert not days.was_set(EVE + timedelta(seconds=2), 12.0)


def test_a_process_that_began_on_the_wrong_day_knows_the_day_it_began_on() -> None:
    days = Days()
    days.note(EVE, 10.0)
    assert days.was_set(EVE + timedelta(days=1), 11.0)
