from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from polyroute.state.accounts.allowances import Budget
from polyroute.state.accounts.budgets import Budgets, Cap, Hold, Period, Shortage, caps_of, window_start
from polyroute.types.money import from_nanos

NOON = datetime(2026, 3, 4, 12, 30, 15, 999, tzinfo=UTC)  # a Wednesday
NANOS = st.integers(0, 3_000)


@pytest.mark.parametrize(
    ("period", "start"),
    [
        ("daily", datetime(2026, 3, 4, tzinfo=UTC)),
        ("weekly", datetime(2026, 3, 2, tzinfo=UTC)),
        ("monthly", datetime(2026, 3, 1, tzinfo=UTC)),
        ("total", datetime(1970, 1, 1, tzinfo=UTC)),
    ],
)
def test_windows_begin_where_the_calendar_says(period: Period, start: datetime) -> None:
    assert window_start(period, NOON) == start


@pytest.mark.parametrize("day", [datetime(2028, 2, 29, 23, 59, tzinfo=UTC), datetime(2026, 12, 31, 23, 59, tzinfo=UTC)])
def test_leap_days_and_year_ends_have_windows(day: datetime) -> None:
    assert window_start("monthly", day).day == 1
    assert window_start("daily", day + timedelta(minutes=1)) == day + timedelta(minutes=1)


def caps(daily: int) -> tuple[Cap, ...]:
    return caps_of(("user", "t", "u"), Budget(daily_usd=from_nanos(daily)), "per_user_{}_usd")


def held(outcome: Hold | Shortage) -> Hold:
    assert isinstance(outcome, Hold)
    return outcome


def test_a_hold_leaves_the_rest_and_gives_back_what_was_not_spent() -> None:
    budgets = Budgets()
    (cap,) = caps(100)
    hold = held(budgets.hold(from_nanos(60), (cap,), NOON))
    assert isinstance(budgets.hold(from_nanos(41), (cap,), NOON), Shortage)
    hold.settle(from_nanos(10))
    assert budgets.remaining_nanos(cap, NOON) == 90


def test_a_hold_ends_once() -> None:
    budgets = Budgets()
    (cap,) = caps(100)
    hold = held(budgets.hold(from_nanos(60), (cap,), NOON))
    hold.settle(from_nanos(10))
    hold.release()
    hold.settle(from_nanos(10))
    assert budgets.remaining_nanos(cap, NOON) == 90


def test_all_accounts_hold_or_none_does() -> None:
    budgets = Budgets()
    (rich,) = caps_of(("team", "t"), Budget(total_usd=Decimal(1)), "{}")
    (poor,) = caps(10)
    assert isinstance(budgets.hold(from_nanos(11), (rich, poor), NOON), Shortage)
    assert budgets.remaining_nanos(rich, NOON) == 1_000_000_000


def test_what_is_held_before_the_border_is_booked_before_it_and_a_clock_that_returns_finds_it() -> None:
    budgets = Budgets()
    (cap,) = caps(100)
    evening = datetime(2026, 3, 4, 23, 59, 59, tzinfo=UTC)
    morning = evening + timedelta(seconds=1)
    hold = held(budgets.hold(from_nanos(80), (cap,), evening))
    held(budgets.hold(from_nanos(30), (cap,), morning)).settle(from_nanos(30))
    hold.settle(from_nanos(70))
    assert budgets.remaining_nanos(cap, morning) == 70
    assert budgets.remaining_nanos(cap, evening) == 30
    assert budgets.remaining_nanos(cap, morning) == 70


def test_restoring_sets_and_never_adds() -> None:
    budgets = Budgets()
    (cap,) = caps(100)
    for _ in range(3):
        budgets.restore("daily", {cap.account: from_nanos(25)}, NOON, budgets.settled_nanos(NOON))
    assert budgets.remaining_nanos(cap, NOON) == 75


def test_restoring_keeps_what_was_spent_and_is_not_in_the_books_yet() -> None:
    budgets = Budgets()
    (cap,) = caps(100)
    hold = held(budgets.hold(from_nanos(60), (cap,), NOON))
    hold.settle(from_nanos(25))
    for _ in range(2):
        budgets.restore("daily", {cap.account: from_nanos(40)}, NOON, budgets.settled_nanos(NOON))
        assert budgets.remaining_nanos(cap, NOON) == 100 - 40 - 25
    for _ in range(2):
        hold.booked()
        budgets.restore("daily", {cap.account: from_nanos(65)}, NOON, budgets.settled_nanos(NOON))
        assert budgets.remaining_nanos(cap, NOON) == 100 - 65


def test_what_is_booked_while_the_books_are_read_is_counted() -> None:
    budgets = Budgets()
    (cap,) = caps(100)
    hold = held(budgets.hold(from_nanos(60), (cap,), NOON))
    hold.settle(from_nanos(25))
    before = budgets.settled_nanos(NOON)
    hold.booked()
    budgets.restore("daily", {cap.account: from_nanos(40)}, NOON, before)
    assert budgets.remaining_nanos(cap, NOON) == 100 - 40 - 25, "the books were read before, and lack it"


def test_what_is_held_is_in_no_books() -> None:
    budgets = Budgets()
    (cap,) = caps(100)
    hold = held(budgets.hold(from_nanos(60), (cap,), NOON))
    hold.booked()
    hold.settle(from_nanos(25))
    budgets.restore("daily", {cap.account: from_nanos(0)}, NOON, budgets.settled_nanos(NOON))
    assert budgets.remaining_nanos(cap, NOON) == 75


def test_old_windows_are_forgotten() -> None:
    budgets = Budgets()
    (cap,) = caps(100)
    for day in range(50):
        held(budgets.hold(from_nanos(1), (cap,), NOON + timedelta(days=day))).release()
    assert len(budgets._by_start["daily"]) <= 4


class NeverAboveTheLimit(RuleBasedStateMachine):
    """Holds, settlements, releases and jumps of the clock in any order, against a plain account of the same."""

    def __init__(self) -> None:
        super().__init__()
        self.budgets = Budgets()
        self.now = NOON
        self.caps = (
            *caps(5_000),
            *caps_of(("team", "t"), Budget(daily_usd=from_nanos(9_000), weekly_usd=from_nanos(20_000)), "{}"),
        )
        self.open: list[tuple[Hold, int, datetime]] = []
        self.spent: list[tuple[datetime, int]] = []  # when it was held, and what it cost

    @rule(worst=NANOS)
    def hold(self, worst: int) -> None:
        fits = all(self.used(cap) + worst <= cap.limit_nanos for cap in self.caps)
        outcome = self.budgets.hold(from_nanos(worst), self.caps, self.now)
        assert isinstance(outcome, Hold) == fits, "refused exactly where it would not fit"
        if isinstance(outcome, Hold):
            self.open.append((outcome, worst, self.now))

    @rule(share=st.floats(0, 1), index=st.integers(0, 50))
    def settle(self, share: float, index: int) -> None:
        if self.open:
            hold, worst, at = self.open.pop(index % len(self.open))
            cost = int(worst * share)
            hold.settle(from_nanos(cost))
            self.spent.append((at, cost))

    @rule(index=st.integers(0, 50))
    def release(self, index: int) -> None:
        if self.open:
            self.open.pop(index % len(self.open))[0].release()

    @rule(hours=st.sampled_from([-25, -24, -1, 1, 5, 24]))
    def jump(self, hours: int) -> None:
        days = {self.now.date() + timedelta(days=d) for d in (-1, 0, 1)}
        moved = self.now + timedelta(hours=hours)
        # Within the windows that are kept for a clock that comes back.
        if abs((moved.date() - NOON.date()).days) <= 1 and moved.date() in days:
            self.now = moved

    def used(self, cap: Cap) -> int:
        start = window_start(cap.period, self.now)
        held = sum(worst for _, worst, at in self.open if window_start(cap.period, at) == start)
        return held + sum(cost for at, cost in self.spent if window_start(cap.period, at) == start)

    @invariant()
    def settled_and_held_stay_within_the_limit(self) -> None:
        for cap in self.caps:
            remaining = self.budgets.remaining_nanos(cap, self.now)
            assert remaining >= 0
            assert remaining == cap.limit_nanos - self.used(cap)


TestNeverAboveTheLimit = NeverAboveTheLimit.TestCase
