"""Places of requests under way."""

from hypothesis import given
from hypothesis import strategies as st

from polyroute.state.accounts.budgets import Cap
from polyroute.state.accounts.slots import Slots, Taken

ONE, TWO = (
    Cap(account=("slots", name), period="now", limit_nanos=limit, name=name) for name, limit in (("a", 2), ("b", 3))
)


def test_the_one_without_room_is_told() -> None:
    slots = Slots()
    for _ in range(2):
        assert slots.full((ONE, TWO)) is None
        slots.take((ONE, TWO))
    assert slots.full((TWO, ONE)) is ONE
    assert slots.full((TWO,)) is None


@given(steps=st.lists(st.integers(-1, 5)))
def test_never_more_than_the_limit_and_nothing_is_left_when_all_have_left(steps: list[int]) -> None:
    slots, inside = Slots(), list[Taken]()
    for step in steps:
        if step < 0:
            if slots.full((ONE, TWO)) is None:
                inside.append(slots.take((ONE, TWO)))
        elif step < len(inside):
            inside[step].release()  # perhaps once more: that changes nothing
        assert 0 <= slots.taken(ONE.account) <= ONE.limit_nanos
    for taken in inside:
        taken.release()
    assert slots.taken(ONE.account) == slots.taken(TWO.account) == 0
