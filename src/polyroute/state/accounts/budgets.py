"""Money per calendar window: held before a call, settled after it, never more than the limit. Pure: time is passed in.

For every account and window, settled + held <= limit at every instant, as long as no cost exceeds what was held
for it. A hold belongs to the window it was made in, however late it is settled, so a new window starts from
nothing by itself: there is no reset to miss or to do twice, and a clock that jumps over the border and back finds
the old window as it was. Windows are UTC: days, ISO weeks (from Monday), months, and all time.

The books know of a request once all of it has ended, and perhaps never while this process lives. So each tally knows
what of it they lack: `restore` sets the rest.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Literal

from msgspec import Struct

from polyroute.state.accounts.allowances import Budget
from polyroute.types.money import round_usd, round_usd_up, to_nanos

Period = Literal["daily", "weekly", "monthly", "total", "now"]  # now: what is under way, whose window never ends
PERIODS: tuple[Period, ...] = ("daily", "weekly", "monthly", "total")
_KEPT_WINDOWS = 4  # per period
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_NEVER = datetime(9999, 1, 1, tzinfo=UTC)  # nothing of it was spent before

Account = tuple[str, ...]  # ("team", tenant, team), ("key", name), ...
Settled = Mapping[tuple[Period, Account], int]  # nano-dollars


def window_start(period: Period, now: datetime) -> datetime:
    """When the window that `now` is in began."""
    day = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if period == "daily":
        return day
    if period == "weekly":
        return day - timedelta(days=day.weekday())
    if period == "monthly":
        return day.replace(day=1)
    return BEGINNING if period == "total" else _NEVER


def window_end(period: Period, now: datetime) -> datetime | None:
    """When the next window begins; None where none does."""
    start = window_start(period, now)
    match period:
        case "daily":
            return start + timedelta(days=1)
        case "weekly":
            return start + timedelta(days=7)
        case "monthly":
            return (start + timedelta(days=32)).replace(day=1)
        case "total" | "now":
            return None


class Cap(Struct, frozen=True, kw_only=True):
    """One budget that applies to a request."""

    account: Account
    period: Period
    limit_nanos: int
    name: str  # as the document says it: "per_team_daily_usd"


def caps_of(account: Account, budget: Budget, name: str) -> tuple[Cap, ...]:
    """`name` with `{}` in the period's place."""
    amounts = (budget.daily_usd, budget.weekly_usd, budget.monthly_usd, budget.total_usd)
    return tuple(
        Cap(account=account, period=period, limit_nanos=to_nanos(round_usd(amount)), name=name.format(period))
        for period, amount in zip(PERIODS, amounts, strict=True)
        if amount is not None
    )


class Tally:
    """Nano-dollars of one account in one window."""

    __slots__ = ("held", "settled", "unbooked")

    def __init__(self) -> None:
        self.held = 0
        self.settled = 0
        self.unbooked = 0  # of what is settled: the books lack it


class Hold:
    """Money set aside for one call. Settled or released exactly once, and then booked; what comes after that changes
    nothing.
    """

    __slots__ = ("_amount", "_cost", "_tallies")

    def __init__(self, amount: int, tallies: tuple[Tally, ...]) -> None:
        self._amount = amount
        self._tallies = tallies
        self._cost: int | None = None  # once it is settled
        for tally in tallies:
            tally.held += amount

    def settle(self, cost_usd: Decimal) -> None:
        """Count the true cost in place of the amount held, also where it is more."""
        if not self.is_held:
            return
        self._cost = to_nanos(round_usd(cost_usd))
        for tally in self._tallies:
            tally.held -= self._amount
            tally.settled += self._cost
            tally.unbooked += self._cost

    def release(self) -> None:
        """Nothing was spent."""
        if not self.is_held:
            return
        for tally in self._tallies:
            tally.held -= self._amount
        self._tallies = ()

    def booked(self) -> None:
        """What was settled is in the books from now on."""
        if self._cost is None:
            return
        for tally in self._tallies:
            tally.unbooked -= self._cost
        self._tallies = ()

    @property
    def is_held(self) -> bool:
        return bool(self._tallies) and self._cost is None


class Shortage(Struct, frozen=True, kw_only=True):
    """The budget that has no room."""

    cap: Cap
    settled_nanos: int
    held_nanos: int


class Budgets:
    """The tallies of every account with a budget."""

    def __init__(self) -> None:
        self._tallies: dict[Period, dict[Account, Tally]] = {}  # of the current windows
        self._by_start: dict[Period, dict[datetime, dict[Account, Tally]]] = {period: {} for period in PERIODS}
        self._day: tuple[datetime, datetime] | None = None  # the day all starts were found in

    def hold(self, worst_usd: Decimal, caps: Iterable[Cap], now: datetime) -> Hold | Shortage:
        """Set `worst_usd` aside in every account of `caps`; or in none, and say which has the least left."""
        self._turn(now)
        amount = to_nanos(round_usd_up(worst_usd))
        tallies, least, shortage = [], amount, None
        for cap in caps:
            tally = self._tally(cap)
            left = cap.limit_nanos - tally.settled - tally.held
            if left < least:
                least, shortage = left, Shortage(cap=cap, settled_nanos=tally.settled, held_nanos=tally.held)
            tallies.append(tally)
        if shortage is not None:
            return shortage
        return Hold(amount, tuple(dict.fromkeys(tallies)))  # two limits may bind one account in one window

    def remaining_nanos(self, cap: Cap, now: datetime) -> int:
        """What may still be held; below zero where a provider billed more than was held."""
        self._turn(now)
        tally = self._tally(cap)
        return cap.limit_nanos - tally.settled - tally.held

    def tally(self, cap: Cap, now: datetime) -> Tally:
        self._turn(now)
        return self._tally(cap)

    def settled_nanos(self, now: datetime) -> Settled:
        """What is settled and in the books."""
        self._turn(now)
        return {
            (period, account): tally.settled - tally.unbooked
            for period, tallies in self._tallies.items()
            for account, tally in tallies.items()
        }

    def restore(self, period: Period, settled_usd: Mapping[Account, Decimal], now: datetime, before: Settled) -> None:
        """Set (never add) what accounts have spent in `period`'s window, as the ledger knew it at `before`."""
        self._turn(now)
        for account, amount in settled_usd.items():
            tally = self._tallies[period].setdefault(account, Tally())
            tally.settled = to_nanos(amount) + tally.settled - before.get((period, account), 0)

    def _tally(self, cap: Cap) -> Tally:
        tallies = self._tallies[cap.period]
        tally = tallies.get(cap.account)
        if tally is None:
            tally = tallies[cap.account] = Tally()
        return tally

    def _turn(self, now: datetime) -> None:
        """Make the windows of `now` the current ones. The last few are kept, for a clock that comes back."""
        if self._day is not None and self._day[0] <= now < self._day[1]:
            return
        day = window_start("daily", now)
        self._day = (day, day + timedelta(days=1))
        for period in PERIODS:
            by_start = self._by_start[period]
            self._tallies[period] = by_start.setdefault(window_start(period, now), {})
            if len(by_start) > _KEPT_WINDOWS:
                del by_start[next(iter(by_start))]
