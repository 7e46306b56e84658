"""What this replica holds and has spent of budgets that it shares, and what it knows of the others' part. Pure.

While the others cannot be asked, this replica may use its share of what was left when they last could be: then all
together stay within the limit, whatever each of them does.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import cast

from polyroute.state.accounts.budgets import Account, Cap, Period, Tally, window_start
from polyroute.types.counters import Standing, Sum

_MARK = "\x1f"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_KEPT: Mapping[Period, timedelta] = {  # a little longer than the window
    "daily": timedelta(days=3),
    "weekly": timedelta(days=9),
    "monthly": timedelta(days=33),
    "total": timedelta(days=3650),
    "now": timedelta(days=3650),
}


def window_name(period: Period, start: datetime) -> str:
    """Ends in the milliseconds of its beginning, which the shared store compares."""
    return f"{period}:{(start - _EPOCH) // timedelta(milliseconds=1)}"


def tally_name(account: Account, window: str) -> str:
    return _MARK.join((window, *account))


def keep_s(period: Period) -> int:
    return round(_KEPT[period].total_seconds())


class Mine(Tally):
    """One account in one window. `held` counts what was asked for, until it is known to be refused."""

    __slots__ = ("all_held", "all_settled", "cut_own", "cut_total", "name", "period", "window")

    def __init__(self, name: str, window: str, period: Period) -> None:
        super().__init__()
        self.name = name
        self.window = window
        self.period = period
        self.all_held = self.all_settled = 0  # by all replicas, as last heard
        self.cut_total: int | None = None  # the same when the others could last be asked; None: not known
        self.cut_own = 0

    @property
    def total(self) -> int:
        return self.all_held + self.all_settled

    def hear(self, told: Sum) -> None:
        self.all_settled, self.all_held = told

    @property
    def own(self) -> int:
        return self.held + self.settled

    def left_alone(self, limit: int, replicas: int) -> int | None:
        """What may still be held without asking; None where nobody knows what was spent."""
        if self.cut_total is None:
            return None
        return max(limit - self.cut_total, 0) // replicas - (self.own - self.cut_own)


class Purse:
    """Every tally this replica has touched in windows that matter still."""

    def __init__(self) -> None:
        self._mine: dict[str, Mine] = {}
        self._booked: Mapping[str, int] | None = None  # while alone: what the books say, of every tally
        self._is_alone = False

    def of(self, caps: Iterable[Cap], now: datetime) -> dict[Mine, Cap]:
        """Each tally once, with the tightest limit on it."""
        found: dict[Mine, Cap] = {}
        for cap in caps:
            mine = self._find(cap.account, cap.period, now)
            tightest = found.get(mine)
            if tightest is None or cap.limit_nanos < tightest.limit_nanos:
                found[mine] = cap
        return found

    def standings(self) -> list[Standing]:
        return [Standing(mine.name, mine.held, mine.settled, keep_s(mine.period)) for mine in self._mine.values()]

    def current(self, now: datetime) -> list[Mine]:
        """Those of the windows of `now`; others are forgotten once nothing is held in them."""
        self._mine = {name: mine for name, mine in self._mine.items() if mine.held or self._is_current(mine, now)}
        return [mine for mine in self._mine.values() if self._is_current(mine, now)]

    def meet(self, sums: Mapping[str, Sum], now: datetime) -> None:
        """Tallies that others touched, of the windows of `now`."""
        for name, told in sums.items():
            window, *account = name.split(_MARK)
            period = cast("Period", window.partition(":")[0])
            if window == window_name(period, window_start(period, now)):
                self._find(tuple(account), period, now).hear(told)

    def cut(self) -> None:
        """From now on the others cannot be asked."""
        self._is_alone, self._booked = True, None
        for mine in self._mine.values():
            mine.cut_total, mine.cut_own = mine.total, mine.own

    def learn(self, booked: Mapping[str, int]) -> None:
        """What the books say was spent, of every tally: for those that this replica did not know."""
        self._booked = booked
        for mine in self._mine.values():
            if mine.cut_total is None:
                self._take_booked(mine)

    def rejoin(self) -> None:
        self._is_alone = False

    def _find(self, account: Account, period: Period, now: datetime) -> Mine:
        window = window_name(period, window_start(period, now))
        name = tally_name(account, window)
        mine = self._mine.get(name)
        if mine is None:
            mine = self._mine[name] = Mine(name, window, period)
            if self._is_alone:
                self._take_booked(mine)
        return mine

    def _take_booked(self, mine: Mine) -> None:
        if mine.period == "now":  # the books know of nothing that is under way
            mine.cut_total, mine.cut_own = 0, 0
        elif self._booked is not None:
            mine.cut_total, mine.cut_own = self._booked.get(mine.name, 0), 0

    @staticmethod
    def _is_current(mine: Mine, now: datetime) -> bool:
        return mine.window == window_name(mine.period, window_start(mine.period, now))


def names_of(mines: Iterable[Mine]) -> Iterator[str]:
    return (mine.name for mine in mines)
