import pytest

from polyroute.errors import (
    AuthRejected,
    ContentRefused,
    ContextTooLong,
    MalformedReply,
    Overloaded,
    ProviderError,
    ProviderTimeout,
    Rejected,
    StreamInterrupted,
    Unreachable,
)
from polyroute.state.health.health import Health

DOWN = Overloaded("down", http_status=500)


def failing(health: Health, *deployments: str, now: float = 0.0) -> Health:
    for deployment in deployments:
        for _ in range(5):
            health.failed(deployment, DOWN, now)
    return health


@pytest.mark.parametrize(
    ("error", "counts"),
    [
        (Overloaded("x", http_status=500), True),
        (Overloaded("x", http_status=529), True),
        (Unreachable("x"), True),
        (ProviderTimeout("x", phase="first_token"), True),
        (MalformedReply("x"), True),
        (StreamInterrupted("x"), True),
        (AuthRejected("x", http_status=401), True),  # our own credential
        (Rejected("x", http_status=400), False),
        (Rejected("x", http_status=404), False),
        (ContextTooLong("x", http_status=400), False),
        (ContentRefused("x", http_status=400), False),
    ],
)
def test_what_a_caller_brought_about_never_counts(error: ProviderError, counts: bool) -> None:
    health = Health(0.0)
    for _ in range(1000):
        health.failed("a", error, 0.0)
    assert (health.standing("a", 0.5, 0.0) == "failing") is counts


def test_who_answers_too_many_rests_as_long_as_it_asked_and_its_breaker_stays_closed() -> None:
    health = Health(0.0)
    for _ in range(100):
        health.failed("a", Overloaded("slow down", http_status=429, retry_after_s=7.0), 10.0)
    assert [health.standing("a", now, 0.0) for now in (10.0, 16.9, 17.0)] == ["resting", "resting", "well"]
    health.failed("a", Overloaded("slow down", http_status=429, retry_after_s=86_400.0), 20.0)
    assert health.standing("a", 80.0, 0.0) == "well"
    assert health.states() == {}


def test_the_unwell_are_named_but_never_all_of_them() -> None:
    health = failing(Health(0.0), "a", "b")
    assert health.unwell(("a", "b", "c"), 0.1, 0.0) == {"a": "failing", "b": "failing"}
    assert health.unwell(("a", "b"), 0.1, 0.0) == {}
    assert health.unwell(("a",), 0.1, 0.0) == {}
    assert health.unwell(("c",), 0.1, 0.0) == {}


def test_a_breakers_turns_are_told() -> None:
    told: list[tuple[str, str, str]] = []
    health = failing(Health(0.0, lambda *turn: told.append(turn)), "a")
    health.began("a", 1.0)
    health.succeeded("a", 1.0)
    health.began("a", 6.0)
    assert told == [
        ("a", "closed", "open"),
        ("a", "open", "trying"),
        ("a", "trying", "rising"),
        ("a", "rising", "closed"),
    ]


def test_when_everything_is_down_attempts_stay_below_1_1_per_request() -> None:
    health, now, attempts, requests = failing(Health(0.0), "a", "b", "c"), 0.0, 0, 0
    for _ in range(2000):  # ten seconds at 200 a second
        now += 0.005
        requests += 1
        health.came(now)
        for number, deployment in enumerate(("a", "a", "b", "b", "c", "c")):
            if number and not health.allows_another(deployment):
                break
            attempts += 1
            health.began(deployment, now)
            health.failed(deployment, DOWN, now)
    assert attempts / requests <= 1.10


def test_one_outage_is_carried_in_full_by_a_deployment_that_is_well() -> None:
    health, now = failing(Health(0.0), "a"), 0.0
    for _ in range(2000):
        now += 0.005
        health.came(now)
        assert health.allows_another("b")
        health.succeeded("b", now)


def test_few_requests_may_retry_as_they_like() -> None:
    health, now = failing(Health(0.0), "a", "b"), 0.0
    for _ in range(100):
        now += 3.0
        health.came(now)
        assert health.allows_another("a")
        assert health.allows_another("b")


def test_when_everybody_answers_429_attempts_stay_below_1_1_per_request() -> None:
    health, now, attempts, requests = Health(0.0), 0.0, 0, 0
    limited = Overloaded("too many", http_status=429, retry_after_s=0.5)
    for name in ("a", "b", "c"):
        health.failed(name, limited, now)
    for _ in range(2000):  # ten seconds at 200 a second
        now += 0.005
        requests += 1
        health.came(now)
        for number, deployment in enumerate(("a", "a", "b", "b", "c", "c")):
            if number and not health.allows_another(deployment, now):
                break
            attempts += 1
            health.failed(deployment, limited, now)
    assert attempts / requests <= 1.10


def test_a_rest_that_is_over_is_no_reason_to_spare_another_attempt() -> None:
    health = Health(0.0)
    health.failed("a", Overloaded("too many", http_status=429, retry_after_s=1.0), 0.0)
    for _ in range(100):
        assert health.allows_another("a", 1.0)
