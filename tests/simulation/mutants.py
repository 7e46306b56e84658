"""Seeded bugs, each put into the real code from outside: what the simulation is worth is how many of them it finds."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

from msgspec import json
from msgspec.structs import replace

from polyroute import gateway
from polyroute.server import idempotency
from polyroute.stages.execution import costs, meter
from polyroute.state.accounts import budgets, limits
from polyroute.state.accounts.accounts import Accounts
from polyroute.state.health import breaker, retries
from polyroute.stores import drain, ledger, recovery
from polyroute.stores.journal import files, journal, lines
from polyroute.stores.sqlite import booking
from polyroute.types.money import ZERO_USD, round_usd, round_usd_up, to_nanos
from polyroute.wiring import upkeep

Patch = tuple[Any, str, Any]
_kept: list[Any] = []  # tasks that nobody else holds
MUTANTS: dict[str, Callable[[], list[Patch]]] = {}


def mutant(make: Callable[[], list[Patch]]) -> Callable[[], list[Patch]]:
    MUTANTS[make.__name__.replace("_", " ")] = make
    return make


@contextmanager
def mutated(name: str) -> Iterator[None]:
    patches = MUTANTS[name]()
    before = [(owner, attribute, owner.__dict__[attribute]) for owner, attribute, _ in patches]
    for owner, attribute, value in patches:
        setattr(owner, attribute, value)
    try:
        yield
    finally:
        for owner, attribute, value in before:
            setattr(owner, attribute, value)


# ── money ─────────────────────────────────────────────────────────────────────────────────────────────────


@mutant
def a_settled_hold_stays_held() -> list[Patch]:
    def settle(self: Any, cost_usd: Decimal) -> None:
        for tally in self._tallies:
            tally.settled += to_nanos(round_usd(cost_usd))
        self._tallies = ()

    return [(budgets.Hold, "settle", settle)]


@mutant
def a_released_hold_stays_held() -> list[Patch]:
    return [(budgets.Hold, "release", lambda self: None)]


@mutant
def a_settlement_is_lost() -> list[Patch]:
    return [(budgets.Hold, "settle", lambda self, cost_usd: self.release())]


@mutant
def a_settlement_counts_twice() -> list[Patch]:
    settle = budgets.Hold.settle

    def twice(self: Any, cost_usd: Decimal) -> None:
        settle(self, cost_usd * 2)

    return [(budgets.Hold, "settle", twice)]


@mutant
def what_is_held_is_not_seen() -> list[Patch]:
    def hold(self: Any, worst_usd: Decimal, caps: Any, now: Any) -> Any:
        self._turn(now)
        amount, tallies = to_nanos(round_usd_up(worst_usd)), []
        for cap in caps:
            tally = self._tally(cap)
            if tally.settled + amount > cap.limit_nanos:
                return budgets.Shortage(cap=cap, settled_nanos=tally.settled, held_nanos=tally.held)
            tallies.append(tally)
        return budgets.Hold(amount, tuple(tallies))

    def remaining(self: Any, cap: Any, now: Any) -> int:
        self._turn(now)
        return int(cap.limit_nanos - self._tally(cap).settled)

    return [(budgets.Budgets, "hold", hold), (budgets.Budgets, "remaining_nanos", remaining)]


@mutant
def half_the_worst_case_is_held() -> list[Patch]:
    init = budgets.Hold.__init__
    return [(budgets.Hold, "__init__", lambda self, amount, tallies: init(self, amount // 2, tallies))]


@mutant
def money_is_checked_and_taken_later() -> list[Patch]:
    reserve = Accounts.reserve

    async def later(self: Any, *given: Any, **named: Any) -> Any:
        hold = await reserve(self, *given, **named)
        amount, tallies = hold._amount, hold._tallies
        hold.release()
        await asyncio.sleep(0.01)
        return budgets.Hold(amount, tallies)

    return [(Accounts, "reserve", later)]


@mutant
def a_failed_attempt_costs_nothing() -> list[Patch]:
    cost_of = costs.cost_of

    def free(usage: Any, deployment: Any, day: Any) -> Any:
        return ZERO_USD if usage is not None and usage.estimated else cost_of(usage, deployment, day)

    return [(costs, "cost_of", free)]


@mutant
def what_was_spent_before_is_forgotten() -> list[Patch]:
    async def nothing(kept: Any, dead: Any = ()) -> None:
        kept.accounts.open_budgets()

    return [(upkeep, "restore_budgets", nothing)]


@mutant
def restoring_adds() -> list[Patch]:
    restore = budgets.Budgets.restore

    def twice(self: Any, period: Any, settled: Any, now: Any, before: Any) -> None:
        restore(self, period, settled, now, before)
        restore(self, period, settled, now, {})

    return [(budgets.Budgets, "restore", twice)]


@mutant
def restoring_forgets_what_the_books_lack() -> list[Patch]:
    settle = budgets.Hold.settle

    def booked_at_once(self: Any, cost_usd: Decimal) -> None:
        settle(self, cost_usd)
        self.booked()

    return [(budgets.Hold, "settle", booked_at_once)]


@mutant
def what_is_booked_stays_on_top() -> list[Patch]:
    return [(budgets.Hold, "booked", lambda self: None)]


@mutant
def a_day_is_an_hour() -> list[Patch]:
    return [(budgets, "window_start", lambda period, now: now.replace(minute=0, second=0, microsecond=0))]


@mutant
def the_answer_is_not_clamped() -> list[Patch]:
    def end(self: Any, candidate: Any, left_usd: Any, *more: Any) -> Any:
        return min(candidate.worst_usd, left_usd) if left_usd is not None else candidate.worst_usd, None

    return [(meter.Meter, "_affordable", end)]


# ── rates ─────────────────────────────────────────────────────────────────────────────────────────────────


@mutant
def one_more_is_let_through() -> list[Patch]:
    wait_s = limits.SlidingWindow.wait_s
    return [(limits.SlidingWindow, "wait_s", lambda self, amount, limit, now: wait_s(self, amount, limit + 1, now))]


@mutant
def one_fewer_is_let_through() -> list[Patch]:
    wait_s = limits.SlidingWindow.wait_s
    return [(limits.SlidingWindow, "wait_s", lambda self, amount, limit, now: wait_s(self, amount, limit - 1, now))]


@mutant
def the_window_ends_early() -> list[Patch]:
    forget = limits.SlidingWindow._forget
    return [(limits.SlidingWindow, "_forget", lambda self, now: forget(self, now + 15))]


@mutant
def the_window_ends_late() -> list[Patch]:
    init = limits.SlidingWindow.__init__
    return [(limits.SlidingWindow, "__init__", lambda self, window_s=60.0: init(self, window_s + 15))]


@mutant
def a_fixed_window_in_place_of_a_sliding_one() -> list[Patch]:
    def forget(self: Any, now: float) -> None:
        while self._entries and self._entries[0].at // 60 != now // 60:
            self._total -= self._entries.popleft().amount

    return [(limits.SlidingWindow, "_forget", forget)]


@mutant
def what_was_let_through_is_not_counted() -> list[Patch]:
    def add(self: Any, amount: int, now: float) -> limits.Entry:
        return limits.Entry(now, now, amount)

    return [(limits.SlidingWindow, "add", add)]


@mutant
def tokens_are_never_corrected() -> list[Patch]:
    return [(limits.SlidingWindow, "correct", lambda self, entry, difference: None)]


@mutant
def tokens_are_corrected_twice() -> list[Patch]:
    correct = limits.SlidingWindow.correct
    return [(limits.SlidingWindow, "correct", lambda self, entry, difference: correct(self, entry, 2 * difference))]


# ── books ─────────────────────────────────────────────────────────────────────────────────────────────────


@mutant
def an_opening_is_only_in_memory() -> list[Patch]:
    append = journal.Journal._append
    return [
        (journal.Journal, "_append", lambda self, line: None if line[:1] == b"R" else append(self, line)),
    ]


@mutant
def a_further_attempt_is_only_in_memory() -> list[Patch]:
    append = journal.Journal._append
    return [(journal.Journal, "_append", lambda self, line: None if line[:1] == b"A" else append(self, line))]


@mutant
def a_settlement_is_only_in_memory() -> list[Patch]:
    append = journal.Journal._append
    return [(journal.Journal, "_append", lambda self, line: None if line[:1] == b"S" else append(self, line))]


@mutant
def nobody_waits_for_the_disk() -> list[Patch]:
    async def at_once(self: Any) -> None:
        return None

    return [(journal.Journal, "until_synced", at_once)]


@mutant
def marked_before_it_is_booked() -> list[Patch]:
    take = drain.Drain._take

    async def marks_first(self: Any) -> None:
        if self._journal.sealed:
            await take(self)
            return
        batch = self._journal.oldest_settled(256)
        self._journal.booked(batch)
        await asyncio.get_running_loop().run_in_executor(self._executor, self._book, batch)

    return [(drain.Drain, "_take", marks_first)]


@mutant
def a_mark_reaches_too_far() -> list[Patch]:
    return [(journal, "booked_line", lambda reach: lines.booked_line(reach + 1_000_000))]


@mutant
def a_refused_batch_is_dropped() -> list[Patch]:
    fail = drain.Drain._fail

    def drop(self: Any, fault: Any) -> None:
        self._journal._settled.clear()
        fail(self, fault)

    return [(drain.Drain, "_fail", drop)]


@mutant
def half_a_line_stays() -> list[Patch]:
    def leave(self: Any) -> None:
        self._is_torn = False

    return [(journal.Journal, "_mend", leave)]


@mutant
def a_shorter_journal_forgets_what_is_open() -> list[Patch]:
    shorten = journal.Journal._replace_file

    def forget(self: Any) -> None:
        kept, self._open = self._open, {}
        shorten(self)
        self._open = kept

    return [(journal.Journal, "_replace_file", forget)]


@mutant
def a_shorter_journal_forgets_what_is_settled() -> list[Patch]:
    shorten = journal.Journal._replace_file

    def forget(self: Any) -> None:
        kept, self._settled = self._settled, {}
        shorten(self)
        self._settled = kept

    return [(journal.Journal, "_replace_file", forget)]


@mutant
def what_is_left_open_is_closed_at_nothing() -> list[Patch]:

    def free(opening: Any, later: Any, at: Any) -> Any:
        settlement = recovery.recover(opening, later, at)
        without = tuple(replace(attempt, cost_usd=ZERO_USD) for attempt in settlement.receipt.attempts)
        return replace(settlement, receipt=replace(settlement.receipt, attempts=without, cost_usd=ZERO_USD))

    return [(ledger, "recover", free)]


@mutant
def a_dead_journal_is_thrown_away() -> list[Patch]:
    return [(files.DeadJournal, "read", lambda self: lines.Contents([], []))]


@mutant
def only_what_was_settled_is_recovered() -> list[Patch]:
    read = files.DeadJournal.read
    return [(files.DeadJournal, "read", lambda self: lines.Contents([], read(self).settled))]


@mutant
def only_what_was_open_is_recovered() -> list[Patch]:
    read = files.DeadJournal.read
    return [(files.DeadJournal, "read", lambda self: lines.Contents(read(self).requests, []))]


@mutant
def a_living_process_is_taken_for_dead() -> list[Patch]:
    return [(files, "_lock", lambda descriptor, kind: True)]


@mutant
def attempts_are_booked_without_their_first() -> list[Patch]:
    rows = booking._attempts
    return [(booking, "_attempts", lambda entries: (row for row in rows(entries) if row[2] != 0))]


# ── the path ──────────────────────────────────────────────────────────────────────────────────────────────


@mutant
def answered_before_it_is_settled() -> list[Patch]:
    settle = gateway.RequestPath._settle

    async def later(self: Any, journey: Any, state: Any, **named: Any) -> Any:
        async def soon() -> None:
            await asyncio.sleep(0.001)
            await settle(self, journey, state, **named)

        _kept.append(asyncio.ensure_future(soon()))
        return journey.prepared.draft.receipt(state, journey.run.log.attempts, 0.0)

    return [(gateway.RequestPath, "_settle", later)]


@mutant
def called_before_it_is_opened() -> list[Patch]:
    write = meter.Meter._write

    async def soon(self: Any, *given: Any) -> None:
        async def wait() -> None:
            await asyncio.sleep(0.001)
            await write(self, *given)

        _kept.append(asyncio.ensure_future(wait()))

    return [(meter.Meter, "_write", soon)]


@mutant
def who_leaves_is_not_settled() -> list[Patch]:
    async def nothing(self: Any, journey: Any, cause: Any) -> None:
        return None

    return [(gateway.RequestPath, "_settle_for_nobody", nothing)]


# ── health ────────────────────────────────────────────────────────────────────────────────────────────────


@mutant
def a_breaker_that_never_opens() -> list[Patch]:
    return [(breaker.Breaker, "_open", lambda self, now: None)]


@mutant
def an_open_breaker_admits() -> list[Patch]:
    return [(breaker.Breaker, "admits", lambda self, now, draw: True)]


@mutant
def a_retry_budget_without_end() -> list[Patch]:
    return [(retries.RetryBudget, "spend", lambda self: True)]


# ── idempotency ───────────────────────────────────────────────────────────────────────────────────────────


@mutant
def a_key_is_looked_up_and_then_taken() -> list[Patch]:
    def begin(self: Any, fresh: Any) -> Any:
        found = None
        row = self._services.notes._connection.execute(
            "SELECT body FROM notes WHERE space = ? AND name = ?", (self._space, self._key)
        ).fetchone()
        if row is not None:
            found = json.decode(row[0], type=idempotency.Kept) if row[0] else None
        if found is not None and found.status:
            return found
        now = self._services.utc_now()
        self._services.notes.drop(self._space, self._key)
        self._services.notes.keep(self._space, self._key, json.encode(fresh), now=now, until=now + idempotency.KEPT_FOR)
        return None

    return [(idempotency._Place, "begin", begin)]


@mutant
def tenants_share_their_keys() -> list[Patch]:
    init = idempotency._Place.__init__
    return [(idempotency._Place, "__init__", lambda self, services, space, key: init(self, services, "all", key))]


@mutant
def tenants_share_keys_and_prints() -> list[Patch]:
    init = idempotency._Place.__init__
    return [
        (idempotency._Place, "__init__", lambda self, services, space, key: init(self, services, "all", key)),
        (idempotency, "fingerprint", lambda method, path, caller, body: body.decode()),
    ]


@mutant
def any_body_fits_a_key() -> list[Patch]:
    return [(idempotency, "fingerprint", lambda method, path, caller, body: "same")]


@mutant
def a_failure_always_frees_its_key() -> list[Patch]:
    async def free(services: Any, place: Any, fresh: Any) -> None:
        await asyncio.to_thread(place.free)

    return [(idempotency, "_give_up", free)]


@mutant
def an_answer_is_not_kept() -> list[Patch]:
    return [(idempotency._Place, "replace", lambda self, old, new: True)]


@mutant
def who_leaves_takes_the_work_along() -> list[Patch]:
    async def first(exchange: Any, services: Any, place: Any, fresh: Any, handler: Any, body: bytes) -> None:
        await idempotency._work(exchange, services, place, fresh, handler, body)

    return [(idempotency, "_first", first)]
