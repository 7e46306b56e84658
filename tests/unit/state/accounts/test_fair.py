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


@given(st.data())
def test_whatever_comes_and_goes_the_one_that_had_least_is_next(data: st.DataObject) -> None:
    teams = [("t", name) for name in "abc"]
    queue: FairQueue[int] = FairQueue()
    waiting: dict[Team, list[int]] = {team: [] for team in teams}
    had = dict.fromkeys(teams, 0.0)
    weights = dict.fromkeys(teams, 1)
    now = 0.0
    for number in range(data.draw(st.integers(1, 60))):
        team = data.draw(st.sampled_from(teams))
        match data.draw(st.sampled_from(["push", "push", "pop", "back", "drop"])):
            case "push":
                if not waiting[team]:
                    had[team] = max(had[team], now)
                weights[team] = data.draw(st.integers(1, 5))
                queue.push(number, team, weights[team])
                waiting[team].append(number)
            case "drop" if waiting[team] and sum(map(len, waiting.values())) > 1:  # an empty queue forgets
                queue.drop(waiting[team].pop(), team)
            case "pop" | "back" as move if any(waiting.values()):
                item, served = queue.pop()
                assert item == waiting[served][0]
                assert had[served] == min(had[name] for name in teams if waiting[name])
                now = had[served]
                if move == "pop":
                    had[served] += 1 / weights[served]
                    waiting[served].pop(0)
                else:
                    had[served] = had[served] + 1 / weights[served] - 1 / weights[served]
                    queue.put_back(item, served)
            case _:
                continue
        assert len(queue) == sum(map(len, waiting.values()))
        assert queue.weight_waiting() == sum(weights[name] for name in teams if waiting[name])
        assert {name: queue.of(name) for name in teams} == {name: len(items) for name, items in waiting.items()}


def test_it_is_known_whether_somebody_gets_all_that_is_asked_for() -> None:
    queue: FairQueue[int] = FairQueue()
    queue.push(1, BLUE, 1)
    assert not queue.serves_some()
    queue.push(2, RED, 1)
    queue.push(3, BLUE, 1)
    assert not queue.serves_some()
    assert [queue.pop()[1], queue.pop()[1]] == [BLUE, RED]
    assert queue.serves_some()
