"""Shares of what there is not enough of."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from polyroute.state.accounts.fair import FairQueue, Team

BLUE, RED = ("default", "blue"), ("default", "red")
Weights = st.dictionaries(st.sampled_from([("t", name) for name in "abcdef"]), st.integers(1, 20), min_size=1)


def served(queue: FairQueue[int], times: int) -> Counter[Team]:
    """A line that is always full on: who leaves is followed by another of the same team."""
    seen: Counter[Team] = Counter()
    for number in range(times):
        _, team = queue.pop()
        queue.push(number, team, WEIGHTS[team])
        seen[team] += 1
    return seen


WEIGHTS: dict[Team, int] = {}


@given(weights=Weights)
def test_teams_that_always_wait_get_their_shares_within_five_percent(weights: dict[Team, int]) -> None:
    WEIGHTS.clear()
    WEIGHTS.update(weights)
    queue: FairQueue[int] = FairQueue()
    for team, weight in weights.items():
        for number in range(3):
            queue.push(number, team, weight)
    total = 40 * sum(weights.values())
    seen = served(queue, total)
    for team, weight in weights.items():
        fair = total * weight / sum(weights.values())
        assert abs(seen[team] - fair) <= 0.05 * fair


@given(weights=Weights)
def test_nobody_waits_longer_than_a_round(weights: dict[Team, int]) -> None:
    WEIGHTS.clear()
    WEIGHTS.update(weights)
    queue: FairQueue[int] = FairQueue()
    for team, weight in weights.items():
        queue.push(0, team, weight)
    lightest = min(weights.values())
    round_ = sum(-(-weight // lightest) + 1 for weight in weights.values())
    assert set(served(queue, round_)) == set(weights)


def test_a_team_keeps_its_own_order() -> None:
    queue: FairQueue[str] = FairQueue()
    for item in "abc":
        queue.push(item, BLUE, 1)
    assert [queue.pop()[0] for _ in range(3)] == ["a", "b", "c"]


def test_a_team_that_did_nothing_has_saved_nothing_up() -> None:
    queue: FairQueue[str] = FairQueue()
    for number in range(100):
        queue.push(f"blue{number}", BLUE, 1)
    for _ in range(50):
        queue.pop()
    for number in range(50):
        queue.push(f"red{number}", RED, 1)
    assert abs(Counter(queue.pop()[1] for _ in range(20))[BLUE] - 10) <= 1


def test_who_leaves_unserved_costs_the_team_nothing() -> None:
    queue: FairQueue[int] = FairQueue()
    for number in range(20):
        queue.push(number, BLUE, 1)
        queue.push(number, RED, 1)
    for number in range(10):
        queue.drop(number, BLUE)
    assert queue.of(BLUE) == 10
    assert Counter(queue.pop()[1] for _ in range(20)) == {BLUE: 10, RED: 10}


def test_who_was_called_in_vain_stays_the_first() -> None:
    queue: FairQueue[str] = FairQueue()
    queue.push("b", BLUE, 1)
    queue.push("r", RED, 1)
    item, team = queue.pop()
    queue.put_back(item, team)
    assert queue.pop() == (item, team)
    assert len(queue) == 1
