import random
from collections.abc import Iterator

import pytest

from polyroute.learning.trial import Seen, report


def seen(arm: str, chance: float, number: int, *, users: int | None = None, usd: float = 1.0) -> Iterator[Seen]:
    draw = random.Random(f"{arm} {chance}")
    for n in range(number):
        yield Seen(
            arm=arm,
            unit=None if users is None else str(n % users),
            score=float(draw.random() < chance),
            cost=usd * draw.uniform(0.9, 1.1),
            latency=draw.uniform(10, 20),
        )


def test_a_better_arm_ends_the_trial_and_what_it_is_worse_in_is_told() -> None:
    told = report([*seen("a", 0.5, 800), *seen("b", 0.9, 800, usd=2)])
    assert (told.verdict, told.better, told.worse_in) == ("stop: better", "b", ("cost",))
    cheap = report([*seen("a", 0.5, 800), *seen("b", 0.9, 800, usd=2)], by="cost")
    assert (cheap.better, cheap.worse_in) == ("a", ("score",))


def test_a_trial_of_equals_goes_on_and_stops_only_within_a_margin() -> None:
    equals = [*seen("a", 0.5, 3000), *seen("b", 0.5, 3000)]
    assert report(equals).verdict == "go on"
    assert report(equals, margin=0.01).verdict == "go on"
    assert report(equals, margin=0.2).verdict == "stop: alike"


def test_many_requests_of_few_users_are_little_evidence() -> None:
    assert report([*seen("a", 0.4, 2000, users=5), *seen("b", 0.6, 2000, users=5)]).verdict == "go on"
    assert report([*seen("a", 0.4, 2000), *seen("b", 0.6, 2000)]).verdict == "stop: better"


@pytest.mark.parametrize("arms", [(), ("a",)])
def test_one_arm_proves_nothing(arms: tuple[str, ...]) -> None:
    told = report([one for arm in arms for one in seen(arm, 0.9, 500)])
    assert (told.verdict, told.better) == ("go on", None)


def test_looking_after_every_hundred_requests_calls_equals_different_in_few_trials() -> None:
    """n 30 trials of 10 looks; the promise is at most 5 %."""
    wrong = 0
    for seed in range(30):
        draw = random.Random(seed)
        both = [Seen(arm="ab"[n % 2], unit=None, score=float(draw.random() < 0.5)) for n in range(1000)]
        wrong += any(report(both[:n]).verdict == "stop: better" for n in range(100, 1001, 100))
    assert wrong <= 4
