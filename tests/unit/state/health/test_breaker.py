from hypothesis import given
from hypothesis import strategies as st

from polyroute.state.health.breaker import Breaker


def opened(now: float = 100.0) -> Breaker:
    breaker = Breaker()
    for _ in range(5):
        breaker.begin(now)
        breaker.failed(now)
    assert breaker.state == "open"
    return breaker


def test_five_failures_in_a_row_open_it_and_four_do_not() -> None:
    breaker = Breaker()
    for _ in range(4):
        breaker.failed(1.0)
    breaker.succeeded(1.0)
    for _ in range(4):
        breaker.failed(1.0)
    assert breaker.admits(1.0, 0.0)
    breaker.failed(1.0)
    assert not breaker.admits(1.0, 0.0)


def test_half_of_many_calls_open_it_though_never_five_in_a_row() -> None:
    breaker = Breaker()
    for number in range(40):
        (breaker.failed if number % 2 else breaker.succeeded)(number / 10)
        if breaker.state == "open":
            break
    assert number == 19


def test_failures_long_ago_do_not_add_up() -> None:
    breaker = Breaker()
    for number in range(100):  # one failure in three, and one call every ten seconds
        (breaker.failed if number % 3 == 0 else breaker.succeeded)(number * 10.0)
    assert breaker.state == "closed"


def test_while_it_is_open_one_call_is_let_through_each_pause_and_pauses_stay_short() -> None:
    breaker, now, tried = opened(), 100.0, []
    while now < 130:
        now = round(now + 0.01, 2)
        if breaker.admits(now, 0.0):
            breaker.begin(now)
            assert not breaker.admits(now, 0.0)
            breaker.failed(now)
            tried.append(now)
    pauses = [round(later - earlier, 1) for earlier, later in zip([100.0, *tried], tried, strict=False)]
    assert pauses == [1, 2, *[4] * 6]


def test_after_a_success_its_share_rises_to_all_within_five_seconds() -> None:
    breaker = opened()
    breaker.begin(101.0)
    breaker.succeeded(101.0)
    shares = [
        sum(breaker.admits(now, draw / 100) for draw in range(100)) for now in (101.0, 102.0, 103.5, 105.9, 106.0)
    ]
    assert shares == [10, 28, 55, 99, 100]
    breaker.begin(106.0)
    assert breaker.state == "closed"


def test_a_failure_while_it_rises_opens_it_for_longer() -> None:
    breaker = opened()
    breaker.begin(101.0)
    breaker.succeeded(101.0)
    breaker.failed(102.0)
    assert breaker.state == "open"
    assert not breaker.admits(103.9, 0.0)
    assert breaker.admits(104.0, 0.0)


def test_a_trial_that_never_ends_does_not_shut_it_for_ever() -> None:
    breaker = opened()
    breaker.begin(101.0)
    assert not breaker.admits(130.9, 0.0)
    assert breaker.admits(131.0, 0.0)


def test_calls_that_were_under_way_when_it_opened_change_nothing() -> None:
    breaker = opened()
    breaker.failed(100.5)
    breaker.succeeded(100.6)
    assert breaker.state == "open"
    assert breaker.admits(101.0, 0.0)


@given(st.lists(st.tuples(st.floats(0, 3), st.booleans(), st.floats(0, 0.999)), max_size=200))
def test_whatever_happens_it_comes_back_within_ten_seconds_of_good_health(
    story: list[tuple[float, bool, float]],
) -> None:
    breaker, now = Breaker(), 0.0
    for wait_s, succeeds, draw in story:
        now += wait_s
        if breaker.admits(now, draw):
            breaker.begin(now)
            (breaker.succeeded if succeeds else breaker.failed)(now)
    well_at = now
    while breaker.state != "closed" or breaker.is_failing:
        now += 0.05
        if breaker.admits(now, 0.5):
            breaker.begin(now)
            breaker.succeeded(now)
        assert now - well_at < 10
