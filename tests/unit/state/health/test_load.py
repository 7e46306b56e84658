import pytest

from polyroute.errors import Overloaded
from polyroute.state.health.health import Health
from polyroute.state.health.load import Load
from polyroute.types.quota import Left, Quota

DOWN = Overloaded("down", http_status=500)


def quota(
    remaining: int, *, limit: int | None = None, reset_s: float | None = None, tokens: int | None = None
) -> Quota:
    return Quota(
        requests=Left(remaining=remaining, limit=limit, reset_s=reset_s),
        tokens=None if tokens is None else Left(remaining=tokens, limit=tokens, reset_s=reset_s),
    )


def test_a_slower_call_counts_at_once_and_a_faster_one_only_slowly() -> None:
    load = Load()
    load.took(100.0, 0.0)
    load.took(5000.0, 0.0)
    assert load.latency_ms(0.0) == 5000.0
    load.took(100.0, 1.0)
    assert 4000.0 < load.latency_ms(1.0) < 5000.0


def test_silence_wears_a_peak_down_so_that_a_slow_one_is_tried_again() -> None:
    load = Load()
    load.took(5000.0, 0.0)
    assert load.latency_ms(30.0) == pytest.approx(5000.0 / 2.71828, rel=0.001)
    assert load.latency_ms(300.0) < 1.0


def test_whoever_never_answered_is_tried_by_one_call_at_a_time() -> None:
    load, known = Load(), Load()
    known.took(800.0, 0.0)
    assert load.cost(0.0) < known.cost(0.0)
    load.sent(0)
    assert load.cost(0.0) > known.cost(0.0)


def test_calls_under_way_make_one_more_dearer() -> None:
    load = Load()
    load.took(100.0, 0.0)
    load.sent(10)
    load.sent(10)
    assert load.cost(0.0) == 300.0


def test_a_call_that_never_answered_counts_as_having_taken_at_least_so_long() -> None:
    load = Load()
    load.took(100.0, 0.0)
    load.waited(50.0, 0.0)
    assert load.latency_ms(0.0) == 100.0
    load.waited(60_000.0, 0.0)
    assert load.latency_ms(0.0) == 60_000.0


@pytest.mark.parametrize(
    ("told", "tokens", "after_s", "carries"),
    [
        pytest.param(quota(1), 10, 0.0, True, id="one request is left"),
        pytest.param(quota(0), 10, 0.0, False, id="none is left"),
        pytest.param(quota(0), 10, 60.0, True, id="a minute later nothing is known"),
        pytest.param(quota(0, limit=60, reset_s=30.0), 10, 0.4, False, id="it fills up evenly: not yet"),
        pytest.param(quota(0, limit=60, reset_s=30.0), 10, 0.5, True, id="it fills up evenly: one is there"),
        pytest.param(quota(9, tokens=100, reset_s=9.0), 101, 0.0, False, id="its tokens do not reach"),
        pytest.param(quota(9, tokens=100, reset_s=9.0), 100, 0.0, True, id="its tokens reach"),
        pytest.param(Quota(), 10, 0.0, True, id="nothing was said"),
    ],
)
def test_a_quota_carries_what_it_has_room_for(told: Quota, tokens: int, after_s: float, carries: bool) -> None:
    load = Load()
    load.told(told, 0.0)
    assert load.carries(tokens, after_s) is carries


def test_what_was_sent_since_is_taken_off_until_the_provider_says_more() -> None:
    load = Load()
    load.told(quota(2, tokens=1000, reset_s=60.0), 0.0)
    load.sent(400)
    assert load.remaining(0.0) == (1.0, 600.0)
    load.sent(400)
    assert not load.carries(1, 0.0)
    load.told(quota(5, tokens=500, reset_s=60.0), 0.0)
    assert load.remaining(0.0) == (5.0, 500.0)


def test_one_without_room_is_asked_after_others_before_it_answers_429() -> None:
    health = Health(0.0)
    health.told("a", quota(3, tokens=1000, reset_s=60.0), 0.0)
    assert health.unwell(("a", "b"), 0.0, 0.0, 1000) == {}
    assert health.unwell(("a", "b"), 0.0, 0.0, 1001) == {"a": "short of quota"}


def test_where_nobody_is_well_a_short_quota_comes_before_a_broken_one() -> None:
    health = Health(0.0)
    health.told("a", quota(0, reset_s=60.0), 0.0)
    health.told("b", quota(0, reset_s=60.0), 0.0)
    assert health.unwell(("a", "b"), 0.0, 0.0) == {}
    for _ in range(5):
        health.failed("b", DOWN, 0.0)
    assert health.unwell(("a", "b"), 0.0, 0.0) == {"b": "failing"}


def test_calls_under_way_are_counted_until_they_end() -> None:
    health = Health(0.0)
    health.began("a", 0.0)
    health.began("a", 0.0)
    assert health.loads["a"].in_flight == 2
    health.ended("a")
    assert health.loads["a"].in_flight == 1
