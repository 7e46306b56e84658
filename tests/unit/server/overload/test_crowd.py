"""Who comes in, who waits, who is sent away: decided at once, and over simulated minutes of too much."""

import random
from dataclasses import dataclass, field

import pytest
from tests.unit.server.overload.one_core import BLUE, CAPACITY, RED, Core, Seen, steady, together

from polyroute.server.overload.crowd import Bounds, Crowd, Refusal
from polyroute.server.overload.limit import Limit
from polyroute.state.accounts.fair import Team
from polyroute.stores.figures import quantile

GOOD_S = 0.13  # twice what it takes without load


@dataclass
class Guest:
    name: str
    came: list[str]
    team: Team = BLUE
    weight: int = 1
    is_patient: bool = False
    is_inside: bool = False
    waits: bool = False
    refusal: Refusal | None = field(default=None)

    def enter(self) -> None:
        self.came.append(self.name)

    def refuse(self, refusal: Refusal) -> None:
        self.refusal = refusal


def full(requests: int = 3, bounds: Bounds | None = None) -> tuple[Crowd, list[str]]:
    """As many are under way as may be; who comes in is listed."""
    crowd, came = Crowd(bounds or Bounds()), list[str]()
    crowd.is_calm = False
    crowd.limit = Limit(least=1, late_s=0.005, requests=requests)
    crowd.under_way = lambda: requests + len(came)
    return crowd, came


def after_one_left(crowd: Crowd, came: list[str]) -> list[str]:
    before = len(came)
    crowd.under_way = lambda: 2 + len(came) - before
    crowd.call()
    return came


def test_while_nothing_is_limited_everybody_comes_in() -> None:
    crowd, came = full()
    crowd.limit = Limit(least=1, late_s=0.005)
    assert crowd.come(Guest("a", came), 0.0) is None
    assert came == ["a"]


def test_teams_take_turns_by_their_weights() -> None:
    crowd, came = full()
    for number in range(6):
        crowd.come(Guest(f"blue{number}", came, weight=2), 0.0)
    for number in range(3):
        crowd.come(Guest(f"red{number}", came, RED), 0.0)
    crowd.under_way = lambda: 0
    crowd.limit = Limit(least=1, late_s=0.005, requests=6)
    crowd.call()
    assert sorted(came) == ["blue0", "blue1", "blue2", "blue3", "red0", "red1"]


def test_those_that_are_patient_let_all_others_go_first() -> None:
    crowd, came = full()
    crowd.come(Guest("batch", came, is_patient=True), 0.0)
    crowd.come(Guest("chat", came, RED), 0.0)
    assert list(after_one_left(crowd, came)) == ["chat"]
    assert after_one_left(crowd, came) == ["chat", "batch"]


def test_patient_work_that_waits_inside_takes_no_place() -> None:
    crowd, came = full()
    crowd.under_way = lambda: 3
    inside = Guest("inside", came, is_patient=True, is_inside=True)
    crowd.come(inside, 0.0)
    crowd.come(Guest("chat", came), 0.0)
    assert came == ["chat"]
    crowd.leave(inside)
    assert crowd.waiting == 0


def test_who_leaves_is_not_let_in() -> None:
    crowd, came = full()
    first, second = Guest("first", came), Guest("second", came)
    crowd.come(first, 0.0)
    crowd.come(second, 0.0)
    crowd.leave(first)
    crowd.leave(first)
    assert after_one_left(crowd, came) == ["second"]


def test_nobody_waits_longer_than_the_bound() -> None:
    crowd, came = full(bounds=Bounds(burst_s=1.0))
    guest = Guest("a", came)
    crowd.come(guest, 0.0)
    crowd.look(0.1, 0.9)
    assert crowd.waiting == 1
    crowd.look(0.1, 1.01)
    assert guest.refusal == Refusal(retry_after_s=1.0)
    assert (crowd.waiting, crowd.refused, came) == (0, 1, [])


def test_switched_off_nothing_is_limited() -> None:
    core = Core(Bounds(sheds=False))
    core.live(steady(CAPACITY * 2, 2), 2)
    assert not core.seen[BLUE].refusals
    assert core.crowd.is_calm


def test_another_document_holds_from_then_on() -> None:
    core = Core()
    core.live(steady(CAPACITY * 3, 2), 2)
    core.crowd.follow(Bounds(sheds=False))
    core.live(steady(CAPACITY, 6), 6)
    assert core.crowd.is_calm


@pytest.mark.parametrize("provider_s", [0.06, 2.0, 20.0])
def test_slow_providers_limit_nothing_however_many_wait_for_them(provider_s: float) -> None:
    core = Core(provider_s=provider_s)
    core.live(steady(CAPACITY * 0.7, 25), 25)
    assert not core.seen[BLUE].refusals
    assert core.crowd.is_calm
    assert core.most_under_way > CAPACITY * 0.69 * provider_s


@pytest.mark.parametrize("times", [1.5, 3.0])
def test_at_more_than_it_can_serve_nine_tenths_of_the_peak_are_served_well(times: float) -> None:
    core, began_s = Core(), 100.0
    core.live(steady(CAPACITY * times, 10), 10)
    seen = core.seen[BLUE]
    # Sending two away for each that is served costs a fifteenth of the core by itself.
    assert seen.good(GOOD_S, began_s + 2, began_s + 10) >= 0.88 * CAPACITY
    assert quantile(sorted(seen.refusal_s), 0.99) <= 0.05
    assert quantile(sorted(taken for at_s, taken in seen.answer_s if at_s > began_s + 2), 0.99) <= 3 * 0.061
    assert all(refusal.retry_after_s >= 1 for refusal in seen.refusals)
    assert all(not refusal.is_own for refusal in seen.refusals), "nobody else is served"


def test_a_team_that_floods_does_not_starve_another_and_is_told_that_its_share_is_used_up() -> None:
    core = Core()
    core.live(together(steady(CAPACITY * 3, 10), steady(20, 10, RED)), 10)
    flood, quiet = core.seen[BLUE], core.seen[RED]
    assert not quiet.refusals
    assert len(quiet.answer_s) >= 195
    assert quantile(sorted(taken for _, taken in quiet.answer_s), 0.95) <= 0.2
    told = [refusal.is_own for refusal in flood.refusals[len(flood.refusals) // 2 :]]
    assert sum(told) >= 0.5 * len(told)


def test_a_rush_that_is_soon_over_is_served_and_not_refused() -> None:
    core = Core()
    burst = ((0.0, BLUE) for _ in range(int(CAPACITY * 1.5)))
    core.live(burst, 3)
    assert not core.seen[BLUE].refusals
    assert len(core.seen[BLUE].answer_s) == int(CAPACITY * 1.5)


def test_after_two_seconds_without_too_much_everything_is_as_before() -> None:
    core = Core()
    core.live(steady(CAPACITY * 3, 3), 3)
    core.live(steady(100, 2), 2)
    assert core.crowd.is_calm
    assert core.crowd.waiting == 0
    before = len(core.seen[BLUE].refusals)
    core.live(steady(CAPACITY * 0.8, 3), 3)
    assert len(core.seen[BLUE].refusals) == before


def test_who_is_sent_away_is_asked_to_stay_away_longer_the_more_come() -> None:
    core = Core()
    core.live(steady(CAPACITY * 5, 4), 4)
    later = core.seen[BLUE].refusals[-1000:]
    assert 4 <= sum(refusal.retry_after_s for refusal in later) / len(later) <= 7


def test_whatever_comes_and_goes_nobody_is_lost_or_answered_twice() -> None:
    draw = random.Random(11)
    arrivals = sorted((draw.random() * 4, draw.choice([BLUE, RED, ("u", "green")])) for _ in range(int(CAPACITY * 8)))
    core = Core()
    core.live(iter(arrivals), 12)
    everybody: list[Seen] = list(core.seen.values())
    assert sum(len(seen.answer_s) + len(seen.refusals) for seen in everybody) == len(arrivals)
    assert (core.under_way, core.crowd.waiting) == (0, 0)
