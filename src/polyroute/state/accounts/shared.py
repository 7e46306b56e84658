"""The desk where several replicas share their counters: exact across all of them, one round trip for a leave.

A rate window counts what all replicas admitted. A budget is what all have spent, and hold; each says its own part.
While the shared store is away a replica goes on with its share of what was left (`share`), or refuses whoever has a
limit (`refuse`); what it did meanwhile counts once the store is back.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import partial
from itertools import islice
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from polyroute.errors import StoreError
from polyroute.ports import Monotonic, Sent, SharedCounters
from polyroute.state.accounts.accounts import Accounts, Admission, all_taken, exceeded, priced
from polyroute.state.accounts.allowances import Allowances
from polyroute.state.accounts.applied import Limits, Rate, limits_of, own_caps, own_limits
from polyroute.state.accounts.budgets import Account, Cap, Hold, Period, Shortage, Tally
from polyroute.state.accounts.limits import WINDOW_S, Standing, Windows
from polyroute.state.accounts.link import Link
from polyroute.state.accounts.purse import Mine, Purse, keep_s, tally_name, window_name
from polyroute.state.accounts.turns import Turn
from polyroute.types.access import Caller
from polyroute.types.counters import Booked, BudgetAsk, BudgetLeave, Counted, Forgotten, Heard, RateAsk, RateLeave, Sum
from polyroute.types.money import from_nanos, round_usd, round_usd_up, to_nanos
from polyroute.types.receipt import Spent

WhenAway = Literal["share", "refuse"]
ByReplica = Sequence[tuple[str, Spent]]


class Spending(Struct, frozen=True, kw_only=True):
    """What the books say was spent, of each window by whom; and which processes are dead and wholly in them."""

    since: Mapping[Period, ByReplica]
    dead: tuple[str, ...] = ()


ReadSpending = Callable[[Mapping[Period, datetime]], Awaitable[Spending]]

_TRIES = 5
_MOST_SEEN = 10_000  # rate windows whose standing is remembered
_MOST_HEARD = 500  # budgets asked about in each beat
_MARK = "\x1f"


class SharedAdmission(Admission, frozen=True, kw_only=True):
    grain: int | None = None  # None: counted by this replica alone
    subjects: tuple[str, ...] = ()  # of token windows
    request_subjects: tuple[str, ...] = ()


class SharedHold(Hold):
    __slots__ = ("_tell",)

    def __init__(self, amount: int, tallies: tuple[Tally, ...], tell: Callable[[int, int], None]) -> None:
        """The tallies hold it already; `tell`: of the amount that is free again, and of the cost."""
        self._amount = amount
        self._tallies = tallies
        self._cost = None
        self._tell = tell

    def settle(self, cost_usd: Decimal) -> None:
        if self.is_held:
            super().settle(cost_usd)
            self._tell(self._amount, to_nanos(round_usd(cost_usd)))

    def release(self) -> None:
        if self.is_held:
            super().release()
            self._tell(self._amount, 0)


class SharedAccounts(Accounts):
    """`start` it before its first use, and `aclose` it in the end."""

    def __init__(
        self,
        allowances: Allowances,
        counters: SharedCounters,
        *,
        read_spending: ReadSpending,
        when_away: WhenAway,
        replicas: int,
        monotonic: Monotonic,
        utc_now: Callable[[], datetime],
        window_s: float = WINDOW_S,
    ) -> None:
        """`read_spending`: what the books say since each window began, once they hold what dead processes of this
        machine left; raises StoreError."""
        super().__init__(allowances, monotonic)
        self._windows = Windows(window_s)  # what this replica admitted
        self._admitted_alone = Windows(window_s)
        self._counters = counters
        self._read_spending = read_spending
        self._when_away = when_away
        self._least_replicas = replicas
        self._utc_now = utc_now
        self._purse = Purse()
        self._seen: dict[str, tuple[int, float, float]] = {}  # of a rate window: total, reset, when
        self._learning: asyncio.Task[None] | None = None
        self._is_seed_due = False
        self._link = Link(
            counters,
            standings=self._purse.standings,
            counted=self._counted,
            beat=self._beat,
            heard=self._heard,
            turned=self._turned,
        )

    async def start(self) -> None:
        await self._link.start()

    async def aclose(self) -> None:
        await self._link.aclose()
        if self._learning is not None:
            self._learning.cancel()
            await asyncio.gather(self._learning, return_exceptions=True)

    def allow(self, allowances: Allowances) -> None:
        super().allow(allowances)
        self._is_seed_due = True  # an account that had no budget was not counted until now

    # ── rates ─────────────────────────────────────────────────────────────────────────────────────────

    async def _let_in(self, limits: Limits, tokens: int, now: float, turn: Turn | None) -> Admission:
        self._stay_behind(limits, turn)
        slots = await self._take(limits.slots)
        if slots is None:
            return await self._enter(limits.rates, tokens, now)
        try:
            admission = await self._enter(limits.rates, tokens, now)
        except BaseException:
            slots.release()
            raise
        return replace(admission, held=(slots,), slots=tuple(slot.account for slot in limits.slots))

    async def _take(self, slots: tuple[Cap, ...]) -> Hold | None:
        """A place of each: held as money is, and free again with this replica's lease. Raises RateLimited."""
        if not slots:
            return None
        held = await self._ask(1, self._purse.of(slots, self._utc_now()))
        if isinstance(held, Shortage):
            raise all_taken(held.cap)
        return held

    async def _enter(self, rates: tuple[Rate, ...], tokens: int, now: float) -> Admission:
        if not rates:
            return Admission(tokens=tokens)
        asks = [RateAsk(_name(rate), rate.limit, tokens if rate.counts_tokens else 1) for rate in rates]
        leave = await self._ask_rates(asks)
        if leave is None:
            self._check_alone(rates, tokens, now)
        else:
            for ask, total, reset_s in zip(asks, leave.totals, leave.resets_s, strict=True):
                self._seen.pop(ask.subject, None)  # the latest come last
                self._seen[ask.subject] = (total, reset_s, now)
            while len(self._seen) > _MOST_SEEN:
                del self._seen[next(iter(self._seen))]
            if leave.grain is None:
                raise self._refusal(rates[leave.refusing], leave.wait_s, tokens)
        entries = []
        for rate, ask in zip(rates, asks, strict=True):
            window = self._windows.of(rate.subject, now)
            entries.append((rate, (window, window.add(ask.amount, now))))
            if leave is None:
                self._admitted_alone.of(rate.subject, now).add(ask.amount, now)
        return SharedAdmission(
            tokens=tokens,
            token_entries=tuple(entry for rate, entry in entries if rate.counts_tokens),
            request_entries=tuple(entry for rate, entry in entries if not rate.counts_tokens),
            grain=None if leave is None else leave.grain,
            subjects=tuple(_name(rate) for rate in rates if rate.counts_tokens),
            request_subjects=tuple(_name(rate) for rate in rates if not rate.counts_tokens),
        )

    def correct(self, admission: Admission, tokens: int) -> None:
        super().correct(admission, tokens)
        difference = tokens - admission.tokens
        if not isinstance(admission, SharedAdmission) or admission.grain is None or not difference:
            return
        if admission.subjects and not self._link.is_away:
            self._counters.correct([Counted(name, admission.grain, difference) for name in admission.subjects])

    def annul(self, admission: Admission) -> None:
        super().annul(admission)
        if not isinstance(admission, SharedAdmission) or admission.grain is None:
            return
        if admission.request_subjects and not self._link.is_away:
            self._counters.correct([Counted(name, admission.grain, -1) for name in admission.request_subjects])

    def standing(self, rate: Rate, now: float) -> Standing:
        total, reset_s, at = self._seen.get(_name(rate), (0, 0.0, now))
        return Standing(limit=rate.limit, remaining=max(rate.limit - total, 0), reset_s=max(reset_s - (now - at), 0.0))

    def under_way(self, slot: Cap) -> int:
        """As last heard of the other replicas."""
        return sum(mine.total for mine in self._purse.of((slot,), self._utc_now()))

    async def _ask_rates(self, asks: list[RateAsk]) -> RateLeave | None:
        """None: nobody can be asked. Raises StoreError where then nobody is served."""
        for _ in range(_TRIES):
            if self._link.is_away:
                break
            joins = self._link.joins
            try:
                try:
                    return await self._counters.enter(asks)
                except Forgotten:
                    await self._link.join(joins)
            except StoreError as fault:
                self._link.lost(fault)
        self._refuse_alone()
        return None

    def _check_alone(self, rates: Sequence[Rate], tokens: int, now: float) -> None:
        """Raises RateLimited beyond this replica's share of what was left of each limit."""
        longest_s, refusing = 0.0, None
        for rate in rates:
            total, _, at = self._seen.get(_name(rate), (0, 0.0, now))
            known = total if now - at < self._windows.window_s else 0
            share = max(rate.limit - known, 0) // self._replicas
            amount = tokens if rate.counts_tokens else 1
            wait_s = self._admitted_alone.of(rate.subject, now).wait_s(amount, share, now)
            if wait_s > longest_s:
                longest_s, refusing = wait_s, rate
        if refusing is not None:
            raise self._refusal(refusing, min(longest_s, self._windows.window_s), tokens)

    def _counted(self, now_ms: int, tells_all: bool) -> list[Counted]:
        now = self._monotonic()
        told: dict[tuple[str, int], int] = {}
        for subject, entry in (self._windows if tells_all else self._admitted_alone).counted(now):
            place = (_MARK.join(subject), self._counters.grain(now_ms - (now - entry.at) * 1000))
            told[place] = told.get(place, 0) + entry.amount
        return [Counted(name, grain, amount) for (name, grain), amount in told.items()]

    # ── money ─────────────────────────────────────────────────────────────────────────────────────────

    async def reserve(
        self,
        caller: Caller,
        model: str | None,
        worst_usd: Decimal | None,
        now: datetime,
        deployment: str = "",
        provider: str = "",
        *,
        came_at: datetime | None = None,
    ) -> Hold:
        caps = self._caps_of(caller.tenant, caller.team, caller.user, caller.key_id, model, deployment, provider)
        worst_usd = priced(worst_usd, caps, model)
        if not caps:
            return Hold(0, ())
        held = await self._ask(to_nanos(round_usd_up(worst_usd)), self._purse.of(caps, came_at or now))
        if isinstance(held, Shortage):
            raise exceeded(held, worst_usd)
        return held

    async def _ask(self, amount: int, asked: Mapping[Mine, Cap]) -> Hold | Shortage:
        """An amount of everything asked for, or of nothing."""
        for _ in range(_TRIES):
            if self._link.is_away:
                break
            joins = self._link.joins
            try:
                try:
                    leave = await self._ask_money(amount, asked)
                except Forgotten:
                    await self._link.join(joins)
                    continue
            except StoreError as fault:
                self._link.lost(fault)
                break
            if leave is None:
                await self.seed()
            elif isinstance(leave, float):  # others may not have told yet what they hold
                await asyncio.sleep(leave)
            elif leave.short is not None:
                return _shortage(leave, list(asked.values()))
            else:
                return self._held(amount, list(asked))
        self._refuse_alone()
        if not self._link.is_away:
            raise StoreError("the shared store forgets what it is told")
        return self._hold_alone(amount, asked)

    def remaining_usd(
        self, caller: Caller, model: str | None, now: datetime, deployment: str = "", provider: str = ""
    ) -> Decimal | None:
        """As last heard of the other replicas."""
        caps = self._caps_of(caller.tenant, caller.team, caller.user, caller.key_id, model, deployment, provider)
        if not caps:
            return None
        left = []
        for mine, cap in self._purse.of(caps, now).items():
            alone = mine.left_alone(cap.limit_nanos, self._replicas) if self._link.is_away else None
            left.append(cap.limit_nanos - mine.total if alone is None else alone)
        return from_nanos(max(min(left), 0))

    def _amend(self, caps: Sequence[Cap], nanos: int, now: datetime) -> None:
        mines = list(self._purse.of(caps, now))
        for mine in mines:
            mine.settled += nanos
        self._tell_spent(mines, 0, nanos)

    def known(self, now: datetime) -> set[Account]:
        return {tuple(mine.name.split(_MARK)[1:]) for mine in self._purse.current(now) if mine.period != "now"}

    def tallied(self, cap: Cap, now: datetime) -> tuple[int, int]:
        """Of all replicas, as last heard."""
        (mine,) = self._purse.of((cap,), now)
        return mine.all_settled, max(mine.all_held, 0)

    async def seed(self, dead: Sequence[str] = ()) -> None:
        """Tell the shared store what the books say: of processes that died, and of budgets that are new.

        `dead` are processes whose requests are all in the books. May be said twice. Raises StoreError where the books
        cannot be read.
        """
        starts = self.windows(self._utc_now())
        spending = await self._read_spending(starts)
        dead = (*dead, *spending.dead)
        booked: dict[tuple[str, str], Booked] = {}
        for name, replica, period, nanos in self._by_tally(spending.since, starts):
            before = booked.get((name, replica))
            booked[name, replica] = Booked(name, replica, nanos + (before.settled if before else 0), keep_s(period))
        windows = [window_name(period, start) for period, start in starts.items()]
        joins = self._link.joins
        try:
            try:
                await self._counters.seed(windows, list(booked.values()), dead)
            except Forgotten:
                await self._link.join(joins)
                await self._counters.seed(windows, list(booked.values()), dead)
        except StoreError as fault:
            self._link.lost(fault)
        except Forgotten:
            return  # who needs it asks again
        self._is_seed_due = False

    async def _ask_money(self, amount: int, asked: Mapping[Mine, Cap]) -> BudgetLeave | float | None:
        """As `SharedCounters.held`. What is asked for counts as held here until it is known to be refused."""
        if self._is_seed_due:
            with contextlib.suppress(StoreError):  # the next request tries again
                await self.seed()
        mines, joins = list(asked), self._link.joins
        for mine in mines:
            mine.held += amount
        asks = [BudgetAsk(mine.name, cap.limit_nanos, mine.window) for mine, cap in asked.items()]
        sent = self._counters.hold(amount, asks)
        is_held = False
        try:
            leave = self._counters.held(await asyncio.shield(sent))
            if isinstance(leave, BudgetLeave):
                for mine, settled, held in zip(mines, leave.settled, leave.held, strict=False):
                    mine.hear(Sum(settled, held))
                is_held = leave.short is None
            return leave
        except asyncio.CancelledError:
            sent.add_done_callback(partial(self._undo, mines, amount))
            raise
        finally:
            if not is_held:
                for mine in mines:
                    mine.held -= amount
                if self._link.joins != joins:  # what was told anew meanwhile held it still
                    self._tell(mines, amount, 0)

    def _undo(self, mines: list[Mine], amount: int, sent: Sent) -> None:
        """The caller left before the answer came."""
        if sent.cancelled() or sent.exception() is not None:
            return
        with contextlib.suppress(Forgotten):
            leave = self._counters.held(sent.result())
            if isinstance(leave, BudgetLeave) and leave.short is None:
                self._tell(mines, amount, 0)

    def _held(self, amount: int, mines: list[Mine]) -> Hold:
        return SharedHold(amount, tuple(mines), partial(self._tell_spent, mines))

    def _hold_alone(self, amount: int, asked: Mapping[Mine, Cap]) -> Hold | Shortage:
        """Within this replica's share of what was left. Raises StoreError where nobody knows."""
        for mine, cap in asked.items():
            left = mine.left_alone(cap.limit_nanos, self._replicas)
            if left is None:
                raise StoreError(f"the shared store is away, and what was spent under {cap.name} is not known yet")
            if amount > left:
                return Shortage(cap=cap, settled_nanos=cap.limit_nanos - max(left, 0), held_nanos=0)
        for mine in asked:
            mine.held += amount
        return self._held(amount, list(asked))

    def _tell_spent(self, mines: list[Mine], amount: int, cost: int) -> None:
        for mine in mines:
            mine.all_settled += cost
            mine.all_held -= amount
        self._tell(mines, amount, cost)

    def _tell(self, mines: Sequence[Mine], amount: int, cost: int) -> None:
        if not self._link.is_away:
            self._counters.settle([mine.name for mine in mines], amount, cost).add_done_callback(self._told)

    def _told(self, sent: Sent) -> None:
        if sent.cancelled():
            return
        if (fault := sent.exception()) is not None:
            self._link.lost(fault if isinstance(fault, StoreError) else StoreError(str(fault)))
        elif sent.result() == -1:
            self._link.join_soon()

    # ── the others ────────────────────────────────────────────────────────────────────────────────────

    async def hear(self, caller: Caller | None = None, *, everybody: bool = False) -> None:
        if self._link.is_away:
            return
        if caller is None:
            caps, limits = list(own_caps(self._allowances)), [said for _, said in own_limits(self._allowances)]
        else:
            whose = (caller.tenant, caller.team, caller.user, caller.key_id)
            caps, limits = list(self.caps_of_caller(caller)), [limits_of(self._allowances, *whose)]
        caps += [slot for said in limits for slot in said.slots]
        subjects = [_name(rate) for said in limits for rate in said.rates]
        now = self._utc_now()
        tallies = [mine.name for mine in self._purse.of(caps, now)]
        with contextlib.suppress(Forgotten, StoreError):  # then it is told as it was last heard
            if everybody:
                self._purse.meet(await self._counters.every(), now)
            heard = await self._counters.beat(tallies, subjects)
            for name in subjects:
                self._learn_of(name, heard.admitted.get(name, 0))
            self._heard(heard)

    @property
    def _replicas(self) -> int:
        return max(self._least_replicas, self._counters.replicas)

    def _refuse_alone(self) -> None:
        if self._when_away == "refuse":
            raise StoreError("the shared store is away, and the document says to refuse meanwhile (store.when_away)")

    def _learn_of(self, subject: str, total: int) -> None:
        """Of a rate that nobody asked here for lately: when it is unused again, at the latest."""
        now, window_s = self._monotonic(), self._windows.window_s
        _, _, at = self._seen.get(subject, (0, 0.0, now - window_s))
        if total and now - at >= window_s:
            self._seen[subject] = (total, window_s, now)

    def _beat(self) -> tuple[list[str], list[str]]:
        tallies = [mine.name for mine in self._purse.current(self._utc_now())]
        return tallies[-_MOST_HEARD:], list(islice(reversed(self._seen), _MOST_HEARD))

    def _heard(self, heard: Heard) -> None:
        now = self._monotonic()
        for name in heard.admitted.keys() & self._seen.keys():
            _, reset_s, at = self._seen[name]
            if now - at < self._windows.window_s:
                self._seen[name] = (heard.admitted[name], reset_s, at)
            else:  # nobody asked here for so long: it is forgotten, and known as untouched
                del self._seen[name]
        for mine in self._purse.current(self._utc_now()):
            if (told := heard.spent.get(mine.name)) is not None:
                mine.hear(told)

    def _turned(self, is_away: bool) -> None:
        if not is_away:
            self._purse.rejoin()
            self._admitted_alone = Windows(self._windows.window_s)
            return
        self._purse.cut()
        if self._when_away == "share":
            self._learning = asyncio.get_running_loop().create_task(self._learn())

    async def _learn(self) -> None:
        """What the books say, for budgets that this replica has not asked about."""
        starts = self.windows(self._utc_now())
        with contextlib.suppress(StoreError):
            totals: dict[str, int] = {}
            spending = await self._read_spending(starts)
            for name, _, _, nanos in self._by_tally(spending.since, starts):
                totals[name] = totals.get(name, 0) + nanos
            self._purse.learn(totals)

    def _by_tally(
        self, spending: Mapping[Period, ByReplica], starts: Mapping[Period, datetime]
    ) -> list[tuple[str, str, Period, int]]:
        found = []
        for period, lines in spending.items():
            window = window_name(period, starts[period])
            for replica, line in lines:
                caps = self.caps_of_line(line)
                names = {tally_name(cap.account, window) for cap in caps if cap.period == period}
                found += [(name, replica, period, to_nanos(line.cost_usd)) for name in names]
        return found


def _name(rate: Rate) -> str:
    return _MARK.join(rate.subject)


def _shortage(leave: BudgetLeave, caps: list[Cap]) -> Shortage:
    """Of the one with the least left."""
    seen = range(min(len(leave.settled), len(caps)))
    least = min(seen, key=lambda at: caps[at].limit_nanos - leave.settled[at] - leave.held[at])
    return Shortage(cap=caps[least], settled_nanos=leave.settled[least], held_nanos=leave.held[least])
