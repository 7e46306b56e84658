from collections import Counter

import pytest

from polyroute.stages.selection.split import Arm, Split, SplitBy
from polyroute.types.access import Caller
from polyroute.types.request import ask

REQUEST = ask("trial", "hi")


def trial(*weights: float, by: SplitBy | None = "user", name: str = "trial") -> Split:
    return Split(name=name, arms=tuple(Arm(route=f"r{at}", weight=w) for at, w in enumerate(weights)), by=by)


def arm_of(split: Split, user: str, request_id: str = "req_1") -> str:
    return split.assign(REQUEST, Caller(user=user), None, request_id).arm


def test_a_user_stays_with_one_arm_whatever_is_asked() -> None:
    split = trial(1, 1)
    for user in map(str, range(50)):
        assert len({arm_of(split, user, f"req_{n}") for n in range(20)}) == 1


def test_each_arm_gets_its_share() -> None:
    counted = Counter(arm_of(trial(90, 10), str(n)) for n in range(20_000))
    assert counted["r1"] / 20_000 == pytest.approx(0.1, abs=0.007)  # over three standard errors


def test_a_changed_weight_moves_units_to_its_arm_only() -> None:
    before, after = trial(1, 1, 1), trial(1, 1, 2)
    moved = [(arm_of(before, str(n)), arm_of(after, str(n))) for n in range(3000)]
    assert {new for old, new in moved if old != new} == {"r2"}


def test_without_anything_to_stick_by_each_request_is_drawn_for() -> None:
    alone = trial(1, 1, by=None)
    assert {arm_of(alone, "ann", f"req_{n}") for n in range(50)} == {"r0", "r1"}
    for by in ("session", "key"):
        told = trial(1, 1, by=by).assign(REQUEST, Caller(), None, "req_1")
        assert told.unit is None


def test_trials_do_not_go_together() -> None:
    one, other = trial(1, 1), trial(1, 1, name="other")
    same = sum(arm_of(one, str(n)) == arm_of(other, str(n)) for n in range(4000))
    assert same / 4000 == pytest.approx(0.5, abs=0.035)


def test_a_unit_is_a_hash_that_tells_users_apart() -> None:
    split = trial(1, 1)
    units = {
        split.assign(REQUEST, Caller(user=user, tenant=tenant), None, "req_1").unit for user in "ab" for tenant in "xy"
    }
    assert len(units) == 4
    assert all(unit is not None and len(unit) == 16 for unit in units)


@pytest.mark.parametrize("by", ["team", "key"])
def test_a_team_or_a_key_stays_together(by: SplitBy) -> None:
    split = trial(1, 1, by=by)
    told = {split.assign(REQUEST, Caller(user=str(n), team="red", key_id="k"), None, f"req_{n}").arm for n in range(30)}
    assert len(told) == 1
