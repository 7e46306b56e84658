"""What the workers of one machine count together, as rows: each call is part of a transaction that its caller began.

Every worker counts under its own name: what it holds, what it has spent. So saying it again changes nothing, whatever
was lost in between. What a worker held is free again when its lease runs out, or its death is told.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import msgspec

from polyroute.stores.sqlite.files import split_statements
from polyroute.types.counters import (
    Booked,
    BudgetAsk,
    BudgetLeave,
    Counted,
    Forgotten,
    Heard,
    RateAsk,
    RateLeave,
    Standing,
    Sum,
)

_MARK = "-- name: "
_GRAINS = 1000  # per window
_KEPT_MS = 40 * 24 * 3600 * 1000  # longer than any window that ends, from its first use
_ENDLESS = ("total:", "now:")


class Moment(msgspec.Struct, frozen=True):
    """Of one transaction."""

    ms: int  # of the machine's monotonic clock
    unix_ms: int


class Queries(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    make: str
    begin_memory: str
    standing: str
    live_on: str
    bury: str
    bury_silent: str
    count_living: str
    is_seeded: str
    note_seeded: str
    sum_spent: str
    move_spent: str
    say_spent: str
    book_spent: str
    forget_spent: str
    list_tallies: str
    find_rate: str
    say_rate: str
    correct_rate: str
    forget_rates: str
    add_grain: str
    correct_grain: str
    drop_grains: str
    sum_gone: str
    forget_grains: str
    first_grain: str
    list_grains: str


@cache
def load_queries() -> Queries:
    text = Path(__file__).with_name("counters.sql").read_text(encoding="utf-8")
    blocks = (block.partition("\n") for block in text.split(_MARK)[1:])
    return msgspec.convert({name.strip(): body.strip() for name, _, body in blocks}, Queries)


def make(connection: sqlite3.Connection) -> None:
    for statement in split_statements(load_queries().make + "\n"):
        connection.execute(statement)


def begin_memory(connection: sqlite3.Connection, generation: str, moment: Moment, grace_ms: int) -> None:
    """Nothing is held before `grace_ms` are over: others may have to say first what they hold."""
    values = (generation, moment.unix_ms, moment.ms + grace_ms)
    connection.execute(load_queries().begin_memory, values)


class Tallies:
    """As one worker sees them. Raises Forgotten where this worker has to join (anew)."""

    def __init__(self, connection: sqlite3.Connection, replica: str, *, window_ms: int, lease_ms: int) -> None:
        self.generation = ""  # the one that was last joined
        self._connection = connection
        self._queries = load_queries()
        self._replica = replica
        self._window_ms = window_ms
        self._lease_ms = lease_ms
        self.grain_ms = max(window_ms // _GRAINS, 1)
        self.current = ""  # generation of what is there, "" where nothing is
        self._born_ms = self._open_ms = 0
        self._until_ms = 0  # of this worker's lease
        self._seeded: set[str] = set()  # of this generation, as far as it is known here

    def look(self) -> None:
        """Once in each transaction, before anything else."""
        row = self._connection.execute(self._queries.standing, (self._replica,)).fetchone()
        self.current, self._born_ms, self._open_ms, until_ms = row or ("", 0, 0, None)
        self._until_ms = until_ms or 0

    def enter(self, asks: Sequence[RateAsk], moment: Moment) -> RateLeave:
        """Does not need a lease: what was admitted counts, whoever it was."""
        self._expect_generation()
        grain = moment.ms // self.grain_ms
        gone = (moment.ms - self._window_ms) // self.grain_ms - 1  # it counts until its last moment left the window
        found = [self._rate(ask.subject, gone) for ask in asks]
        longest_ms, refusing = 0.0, -1
        for at, (ask, (total, _, _)) in enumerate(zip(asks, found, strict=True)):
            if total + ask.amount > ask.limit:
                wait_ms = self._wait_ms(ask, total, moment)
                if wait_ms > longest_ms:
                    longest_ms, refusing = wait_ms, at
        is_counted = refusing < 0
        if is_counted:
            for at, (ask, (total, oldest, _)) in enumerate(zip(asks, found, strict=True)):
                found[at] = (total + ask.amount, oldest or grain, grain)
                self._connection.execute(self._queries.add_grain, (ask.subject, grain, ask.amount))
                self._connection.execute(self._queries.say_rate, (ask.subject, *found[at]))
        return RateLeave(
            grain=grain if is_counted else None,
            refusing=max(refusing, 0),
            wait_s=longest_ms / 1000,
            totals=[total for total, _, _ in found],
            resets_s=[self._reset_s(newest, moment) for _, _, newest in found],
        )

    def correct(self, generation: str, differences: Sequence[Counted]) -> None:
        """What has left its window needs no correction."""
        if generation != self.current:
            return
        for one in differences:
            told = self._connection.execute(self._queries.correct_grain, (one.subject, one.grain, one.amount))
            if told.rowcount:
                self._connection.execute(self._queries.correct_rate, (one.subject, one.amount))

    def hold(self, amount: int, asks: Sequence[BudgetAsk], moment: Moment) -> BudgetLeave | float | None:
        """The leave; or how many seconds to wait first; or None: `seed` a window first."""
        self._expect_lease(moment)
        if moment.ms < self._open_ms:
            return (self._open_ms - moment.ms) / 1000
        if not all(self._is_known(ask.window) for ask in asks):
            return None
        sums = [self._sum(ask.tally, moment) for ask in asks]
        settled, held = [settled for settled, _ in sums], [held for _, held in sums]
        for at, ask in enumerate(asks):
            if settled[at] + held[at] + amount > ask.limit:
                return BudgetLeave(short=at, settled=settled, held=held)
        for ask in asks:
            self._move(ask.tally, amount, 0, moment)
        return BudgetLeave(short=None, settled=settled, held=[one + amount for one in held])

    def settle(self, tallies: Sequence[str], held: int, cost: int, moment: Moment) -> None:
        self._expect_lease(moment)
        for tally in tallies:
            self._move(tally, -held, cost, moment)

    def beat(self, tallies: Sequence[str], subjects: Sequence[str], moment: Moment) -> Heard:
        self._expect_lease(moment)
        if self._until_ms - moment.ms < self._lease_ms * 2 // 3:
            self._connection.execute(self._queries.live_on, (self._replica, moment.ms + self._lease_ms))
        gone = (moment.ms - self._window_ms) // self.grain_ms - 1
        return Heard(
            {tally: self._sum(tally, moment) for tally in tallies},
            {subject: self._rate(subject, gone)[0] for subject in subjects},
        )

    def count_living(self, moment: Moment) -> int:
        (count,) = self._connection.execute(self._queries.count_living, (moment.ms,)).fetchone()
        return int(count)

    def every(self, moment: Moment) -> dict[str, Sum]:
        names = [name for (name,) in self._connection.execute(self._queries.list_tallies).fetchall()]
        return {name: self._sum(name, moment) for name in names}

    def join(
        self,
        generation: str,
        standings: Sequence[Standing],
        counted: Sequence[Counted],
        moment: Moment,
        grace_ms: int,
    ) -> None:
        """Begins a memory of that name where there is none."""
        if not self.current:
            begin_memory(self._connection, generation, moment, grace_ms)
            self.look()
        if generation != self.current:
            raise Forgotten
        if generation != self.generation:
            self._seeded.clear()
        self.generation = generation
        self._until_ms = moment.ms + self._lease_ms
        self._connection.execute(self._queries.live_on, (self._replica, self._until_ms))
        for said in standings:
            values = (said.tally, self._replica, said.held, said.settled, _keep_ms(said.tally, moment))
            self._connection.execute(self._queries.say_spent, values)
        gone = (moment.ms - self._window_ms) // self.grain_ms - 1
        for one in counted:
            total, oldest, newest = self._rate(one.subject, gone)
            self._connection.execute(self._queries.add_grain, (one.subject, one.grain, one.amount))
            spread = (min(oldest or one.grain, one.grain), max(newest, one.grain))
            self._connection.execute(self._queries.say_rate, (one.subject, total + one.amount, *spread))

    def seed(self, windows: Sequence[str], booked: Sequence[Booked], dead: Sequence[str], moment: Moment) -> None:
        """Sets to the maximum, never adds: saying it twice changes nothing."""
        self._expect_generation()
        for said in booked:
            values = (said.tally, said.replica, said.settled, _keep_ms(said.tally, moment))
            self._connection.execute(self._queries.book_spent, values)
        for window in windows:
            self._connection.execute(self._queries.note_seeded, (window,))
        for name in dead:  # what they held is spent by now, as the books say it
            self._connection.execute(self._queries.bury, (name,))

    def tidy(self, moment: Moment) -> None:
        """Let go of what counts no more. Every minute or so."""
        gone = (moment.ms - 2 * self._window_ms) // self.grain_ms - 1
        for query, limit in (
            (self._queries.bury_silent, moment.ms),
            (self._queries.forget_spent, moment.unix_ms),
            (self._queries.forget_grains, gone),
            (self._queries.forget_rates, gone),
        ):
            self._connection.execute(query, (limit,))

    def _expect_generation(self) -> None:
        if not self.current or self.current != self.generation:
            raise Forgotten

    def _expect_lease(self, moment: Moment) -> None:
        self._expect_generation()
        if self._until_ms <= moment.ms:
            raise Forgotten

    def _is_known(self, window: str) -> bool:
        """Of a window that began after this memory did, nothing was spent before."""
        if window in self._seeded or int(window.rpartition(":")[2]) > self._born_ms:
            return True
        if self._connection.execute(self._queries.is_seeded, (window,)).fetchone() is None:
            return False
        self._seeded.add(window)
        return True

    def _sum(self, tally: str, moment: Moment) -> Sum:
        return Sum(*self._connection.execute(self._queries.sum_spent, (tally, moment.ms)).fetchone())

    def _move(self, tally: str, held: int, settled: int, moment: Moment) -> None:
        values = (tally, self._replica, held, settled, _keep_ms(tally, moment))
        self._connection.execute(self._queries.move_spent, values)

    def _rate(self, subject: str, gone: int) -> tuple[int, int, int]:
        """Total, oldest grain and newest, without what has left the window; zeros where nothing counts."""
        row = self._connection.execute(self._queries.find_rate, (subject,)).fetchone()
        if row is None:
            return 0, 0, 0
        total, oldest, newest = row
        if oldest > gone:
            return total, oldest, newest
        (left,) = self._connection.execute(self._queries.sum_gone, (subject, gone)).fetchone()
        self._connection.execute(self._queries.drop_grains, (subject, gone))
        (first,) = self._connection.execute(self._queries.first_grain, (subject,)).fetchone()
        found = (0, 0, 0) if first is None else (total - left, first, newest)
        self._connection.execute(self._queries.say_rate, (subject, *found))
        return found

    def _wait_ms(self, ask: RateAsk, total: int, moment: Moment) -> float:
        if ask.amount > ask.limit:
            return float("inf")
        excess = total + ask.amount - ask.limit
        for grain, amount in self._grains(ask.subject):
            excess -= amount
            if excess <= 0:
                return (grain + 1) * self.grain_ms + self._window_ms - moment.ms
        return self._window_ms

    def _grains(self, subject: str) -> Iterator[tuple[int, int]]:
        yield from self._connection.execute(self._queries.list_grains, (subject,)).fetchall()

    def _reset_s(self, newest: int, moment: Moment) -> float:
        return max((newest + 1) * self.grain_ms + self._window_ms - moment.ms, 0) / 1000 if newest else 0.0


def _keep_ms(tally: str, moment: Moment) -> int | None:
    """Until when a row may matter; None: always."""
    return None if tally.startswith(_ENDLESS) else moment.unix_ms + _KEPT_MS
