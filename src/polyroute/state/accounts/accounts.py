"""The desk every request passes: may this caller ask now, and is there money for the call. One per process.

Rates are counted by monotonic time, money by UTC windows; both are passed in. A refusal counts nothing and holds
nothing, and names the limit as the document does. Of several limits in the way of a request, the one that stays
in the way longest is named, so that its `retry_after_s` is right.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from polyroute.errors import BudgetExceeded, PriceUnknown, RateLimited, StoreError
from polyroute.ports import Monotonic
from polyroute.state.accounts.allowances import Allowances
from polyroute.state.accounts.applied import (
    PLACES,
    Limits,
    Rate,
    all_budgets,
    caps_for,
    limits_at,
    limits_of,
    limits_of_gateway,
    weight_of,
)
from polyroute.state.accounts.budgets import (
    PERIODS,
    Account,
    Budgets,
    Cap,
    Hold,
    Period,
    Settled,
    Shortage,
    caps_of,
    window_start,
)
from polyroute.state.accounts.days import Days
from polyroute.state.accounts.limits import Entry, SlidingWindow, Standing, Windows
from polyroute.state.accounts.slots import Slots
from polyroute.state.accounts.turns import Turn, Turns
from polyroute.types.access import Caller
from polyroute.types.money import ZERO_USD, format_usd, from_nanos, round_usd, to_nanos
from polyroute.types.receipt import Spent

_KNOWN_CALLERS = 4096  # whose list of budgets is kept made
_SLOT_WAIT_S = 1.0  # nobody knows when a request under way ends
_WORDS: Mapping[Period, str] = {
    "daily": "today",
    "weekly": "this week",
    "monthly": "this month",
    "total": "in all",
}


class Held(Protocol):
    def release(self) -> None: ...


class Admission(Struct, frozen=True, kw_only=True):
    """Leave to send one request; its tokens are an estimate until corrected. `leave` gives back what it takes up."""

    tokens: int
    token_entries: tuple[tuple[SlidingWindow, Entry], ...] = ()
    request_entries: tuple[tuple[SlidingWindow, Entry], ...] = ()
    held: tuple[Held, ...] = ()
    slots: tuple[Account, ...] = ()  # that are free again when it leaves


class RateStandings(Struct, frozen=True, kw_only=True):
    """The tightest request limit and the tightest token limit of a caller; None: no such limit."""

    requests: Standing | None
    tokens: Standing | None


class Accounts:
    def __init__(self, allowances: Allowances, monotonic: Monotonic = time.monotonic) -> None:
        self._allowances = allowances
        self._monotonic = monotonic
        self._windows = Windows()
        self._slots = Slots()
        self._turns = Turns(monotonic)
        self._budgets = Budgets()
        self._days = Days()
        self._closed_for: str | None = None
        self._gateway = limits_of_gateway(allowances)
        # Per caller and model these never change, and making them costs more than checking them.
        self._limits_of = lru_cache(_KNOWN_CALLERS)(self._find_limits)
        self._limits_at = lru_cache(_KNOWN_CALLERS)(self._find_limits_at)
        self._caps_of = lru_cache(_KNOWN_CALLERS)(self._find_caps)

    @property
    def allowances(self) -> Allowances:
        return self._allowances

    def allow(self, allowances: Allowances) -> None:
        """From now on `allowances` hold. What was counted and is held stays; `restore` the windows next."""
        self._allowances = allowances
        self._gateway = limits_of_gateway(allowances)
        self._limits_of.cache_clear()
        self._limits_at.cache_clear()
        self._caps_of.cache_clear()

    @property
    def knows_spending(self) -> bool:
        return self._closed_for is None

    def close_budgets(self, reason: str) -> None:
        """What was spent is not known: whoever a budget applies to is refused with a StoreError until it is."""
        self._closed_for = reason

    def open_budgets(self) -> None:
        self._closed_for = None

    # ── rates, and requests under way ─────────────────────────────────────────────────────────────────

    def admit(self, caller: Caller, tokens: int, now: float) -> Admission:
        """Count one request of about `tokens` tokens. Raises RateLimited, then nothing is counted."""
        limits = self._limits_of(caller.tenant, caller.team, caller.user, caller.key_id)
        return self._admit(limits, tokens, now, None) if limits else Admission(tokens=tokens)

    async def enter(self, caller: Caller, tokens: int, now: float, until_s: float | None = None) -> Admission:
        """`admit`, where others may have to be asked, and the gateway itself may be full. `until_s`: the end of the
        request's time; without one it waits for nothing.
        """
        inside = await self._come_in(caller, now, until_s) if self._gateway else None
        limits = self._limits_of(caller.tenant, caller.team, caller.user, caller.key_id)
        if not limits:
            return inside or Admission(tokens=tokens)
        try:
            admission = await self._let_in(limits, tokens, now, None)
        except BaseException:
            if inside is not None:
                self.leave(inside)
            raise
        if inside is None:
            return admission
        return replace(admission, held=admission.held + inside.held, slots=admission.slots + inside.slots)

    async def occupy(
        self, model: str, deployment: str, provider: str, tokens: int, now: float, turn: Turn | None = None
    ) -> Admission:
        """Count one call there. Raises RateLimited whose `elsewhere` is True; then nothing is counted."""
        limits = self._limits_at(model, deployment, provider)
        if not limits:
            return Admission(tokens=tokens)
        admission = await self._let_in(limits, tokens, now, turn)
        if turn is not None:
            self._turns.done(turn, served=True)
        return admission

    async def wait(self, refused: RateLimited, caller: Caller, turn: Turn | None, until_s: float) -> Turn:
        """The caller's turn under the limit that refused. Raises RateLimited. Whoever has a turn uses it: `occupy`,
        `wait` again, or `pass_on`.
        """
        waiting, team = self._allowances.waiting, (caller.tenant, caller.team)
        weight = weight_of(self._allowances, *team)
        return await self._turns.wait(refused, team, weight, turn, waiting, until_s)

    def pass_on(self, turn: Turn) -> None:
        self._turns.done(turn, served=False)

    @property
    def longest_wait_s(self) -> float:
        return self._allowances.waiting.longest_s

    def correct(self, admission: Admission, tokens: int) -> None:
        """The request took `tokens` tokens in truth. At most once per admission."""
        for window, entry in admission.token_entries:
            window.correct(entry, tokens - admission.tokens)

    def leave(self, admission: Admission) -> None:
        """It is under way no longer. To say it twice is to say it once."""
        for held in admission.held:
            held.release()
        if admission.slots:
            self._turns.freed(admission.slots)

    def annul(self, admission: Admission) -> None:
        """It was never sent."""
        self.correct(admission, 0)
        for window, entry in admission.request_entries:
            window.correct(entry, -1)
        self.leave(admission)

    async def hear(self, caller: Caller | None = None, *, everybody: bool = False) -> None:
        """For people's eyes: how a caller, else whatever has limits by itself, stands at this moment, where others
        count too; with `everybody`, accounts that only others know.
        """

    def standings(self, caller: Caller, now: float) -> RateStandings:
        requests: Standing | None = None
        tokens: Standing | None = None
        for rate in self._limits_of(caller.tenant, caller.team, caller.user, caller.key_id).rates:
            standing = self.standing(rate, now)
            if rate.counts_tokens:
                tokens = standing if tokens is None or standing.remaining < tokens.remaining else tokens
            else:
                requests = standing if requests is None or standing.remaining < requests.remaining else requests
        return RateStandings(requests=requests, tokens=tokens)

    def standing(self, rate: Rate, now: float) -> Standing:
        return self._windows.of(rate.subject, now).standing(rate.limit, now)

    def under_way(self, slot: Cap) -> int:
        return self._slots.taken(slot.account)

    async def _let_in(self, limits: Limits, tokens: int, now: float, turn: Turn | None) -> Admission:
        return self._admit(limits, tokens, now, turn)

    def _admit(self, limits: Limits, tokens: int, now: float, turn: Turn | None) -> Admission:
        self._stay_behind(limits, turn)
        full = self._slots.full(limits.slots)
        if full is not None:
            raise all_taken(full)
        counted = [
            (rate, self._windows.of(rate.subject, now), tokens if rate.counts_tokens else 1) for rate in limits.rates
        ]
        longest_s, refusing = 0.0, None
        for rate, window, amount in counted:
            wait_s = window.wait_s(amount, rate.limit, now)
            if wait_s > longest_s:
                longest_s, refusing = wait_s, rate
        if refusing is not None:
            raise self._refusal(refusing, longest_s, tokens)
        entries = [(rate.counts_tokens, (window, window.add(amount, now))) for rate, window, amount in counted]
        return Admission(
            tokens=tokens,
            token_entries=tuple(pair for counts_tokens, pair in entries if counts_tokens),
            request_entries=tuple(pair for counts_tokens, pair in entries if not counts_tokens),
            held=(self._slots.take(limits.slots),) if limits.slots else (),
            slots=tuple(slot.account for slot in limits.slots),
        )

    def _stay_behind(self, limits: Limits, turn: Turn | None) -> None:
        """Raises RateLimited where others wait already."""
        subjects = (*(rate.subject for rate in limits.rates), *(slot.account for slot in limits.slots))
        subject = self._turns.blocked(subjects, turn)
        if subject is not None:
            slot = next((slot for slot in limits.slots if slot.account == subject), None)
            if slot is not None:
                raise all_taken(slot)
            raise self._refusal(next(rate for rate in limits.rates if rate.subject == subject), _SLOT_WAIT_S, 0)

    async def _come_in(self, caller: Caller, now: float, until_s: float | None) -> Admission:
        """Room in this process, in the team's turn."""
        turn: Turn | None = None
        until_s = None if until_s is None else min(until_s, now + self.longest_wait_s)
        while True:
            try:
                admission = self._admit(self._gateway, 0, now, turn)
            except RateLimited as refused:
                if until_s is None:
                    raise
                turn = await self.wait(refused, caller, turn, until_s)
                continue
            if turn is not None:
                self._turns.done(turn, served=True)
            return admission

    def _refusal(self, rate: Rate, wait_s: float, tokens: int) -> RateLimited:
        who = f"{rate.subject[1].removeprefix('own ')} `{rate.subject[-1]}`"
        if wait_s == float("inf") and rate.counts_tokens:
            return RateLimited(
                f"this request of about {tokens} tokens is more than {rate.name} allows {who} in any minute"
                f" ({rate.limit}): shorten it",
                limit=rate.name,
                retry_after_s=self._windows.window_s,
                elsewhere=rate.subject[1] in PLACES,
            )
        wait_s = min(wait_s, self._windows.window_s)
        what = "tokens" if rate.counts_tokens else "requests"
        return RateLimited(
            f"{who} has used its {rate.limit} {what} per minute ({rate.name}): try again in {wait_s:.1f} s",
            limit=rate.name,
            retry_after_s=wait_s,
            elsewhere=rate.subject[1] in PLACES,
            subject=rate.subject,
        )

    def _find_limits(self, tenant: str, team: str, user: str, key_id: str | None) -> Limits:
        return limits_of(self._allowances, tenant, team, user, key_id)

    def _find_limits_at(self, model: str, deployment: str, provider: str) -> Limits:
        return limits_at(self._allowances, model, deployment, provider)

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
        """`hold`, where others may have to be asked."""
        return self.hold(caller, model, worst_usd, now, deployment, provider, came_at=came_at)

    def hold(
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
        """Set the worst case aside in every budget that applies, in the windows that the request came in; else of now.

        Raises BudgetExceeded, naming the one with the least left, or PriceUnknown where a budget applies and
        `worst_usd` is None; then nothing is held.
        """
        caps = self._caps_of(caller.tenant, caller.team, caller.user, caller.key_id, model, deployment, provider)
        worst_usd = priced(worst_usd, caps, model)
        if caps and self._days.was_set(now, self._monotonic()):
            self.close_budgets("the clock was set to another day; the books are read again")
        if caps and self._closed_for is not None:
            raise StoreError(f"what was spent under {caps[0].name} is not known: {self._closed_for}")
        held = self._budgets.hold(worst_usd, caps, came_at or now)
        if isinstance(held, Shortage):
            raise exceeded(held, worst_usd)
        return held

    def remaining_usd(
        self, caller: Caller, model: str | None, now: datetime, deployment: str = "", provider: str = ""
    ) -> Decimal | None:
        """The smallest amount left of any budget that applies, never negative; None where none does.

        `model` None: of the caller's own budgets only.
        """
        caps = self._caps_of(caller.tenant, caller.team, caller.user, caller.key_id, model, deployment, provider)
        if not caps:
            return None
        return from_nanos(max(min(self._budgets.remaining_nanos(cap, now) for cap in caps), 0))

    def windows(self, now: datetime) -> dict[Period, datetime]:
        """The windows in use and when each began: what `restore` wants to be told of at start."""
        used = {cap.period for budget in all_budgets(self._allowances) for cap in caps_of((), budget, "{}")}
        return {period: window_start(period, now) for period in PERIODS if period in used}

    def settled_nanos(self, now: datetime) -> Settled:
        """What is counted as spent in the windows of `now`, and in the books."""
        return self._budgets.settled_nanos(now)

    def restore(
        self,
        period: Period,
        spent: Iterable[Spent],
        now: datetime,
        before: Settled | None = None,
        *,
        knows_later: bool = False,
    ) -> None:
        """Start from what the ledger says was spent since `period`'s window began. Sets, never adds.

        What is settled and not in the books counts on top. `before`: `settled_nanos` when the ledger was asked; what
        was settled since then counts on top too. `knows_later`: the ledger has something of a day to come.
        """
        self._days.note(now, self._monotonic(), knows_later=knows_later)
        sums: dict[Account, Decimal] = {}
        for line in spent:
            caps = self.caps_of_line(line)
            for account in {cap.account for cap in caps if cap.period == period}:
                sums[account] = sums.get(account, ZERO_USD) + line.cost_usd
        self._budgets.restore(period, sums, now, self.settled_nanos(now) if before is None else before)

    def amend(self, line: Spent, at: datetime, now: datetime) -> None:
        """So much more (or less) was spent by a call of `at` than it was settled with: in windows that go on still."""
        caps = [cap for cap in self.caps_of_line(line) if window_start(cap.period, at) == window_start(cap.period, now)]
        self._amend(caps, to_nanos(round_usd(line.cost_usd)), now)

    def _amend(self, caps: Sequence[Cap], nanos: int, now: datetime) -> None:
        for tally in dict.fromkeys(self._budgets.tally(cap, now) for cap in caps):
            tally.settled += nanos

    def caps_of_line(self, line: Spent) -> tuple[Cap, ...]:
        """What a line of the books counts towards."""
        return self._caps_of(line.tenant, line.team, line.user, line.key_id, line.model, line.deployment, line.provider)

    def caps_of_caller(self, caller: Caller) -> tuple[Cap, ...]:
        """Whatever model it asks for."""
        return self._caps_of(caller.tenant, caller.team, caller.user, caller.key_id, None)

    def known(self, now: datetime) -> set[Account]:
        """Whose spending in the windows of `now` is known here."""
        return {account for _, account in self._budgets.settled_nanos(now)}

    def tallied(self, cap: Cap, now: datetime) -> tuple[int, int]:
        """What is spent and what is held under a budget, in nano-dollars."""
        tally = self._budgets.tally(cap, now)
        return tally.settled, tally.held

    def _find_caps(
        self,
        tenant: str,
        team: str,
        user: str,
        key_id: str | None,
        model: str | None,
        deployment: str = "",
        provider: str = "",
    ) -> tuple[Cap, ...]:
        return caps_for(self._allowances, tenant, team, user, key_id, model, deployment, provider)


def priced(worst_usd: Decimal | None, caps: Sequence[Cap], model: str | None) -> Decimal:
    """Raises PriceUnknown where it matters."""
    model = model or "…"
    if worst_usd is not None:
        return worst_usd
    if caps:
        raise PriceUnknown(
            f"the price of `{model}` is not known and {caps[0].name} limits what may be spent:"
            f" write models.{model}.price, or `price: free`",
            model=model,
        )
    return ZERO_USD


def all_taken(slot: Cap) -> RateLimited:
    kind, name = slot.account[1].removeprefix("own "), slot.account[-1]
    who = "the gateway" if kind == "gateway" else f"{kind} `{name}`"
    return RateLimited(
        f"{who} has {slot.limit_nanos} requests under way, as many as {slot.name} allows: try again when one has ended",
        limit=slot.name,
        retry_after_s=_SLOT_WAIT_S,
        elsewhere=kind in PLACES,
        subject=slot.account,
    )


def exceeded(shortage: Shortage, worst_usd: Decimal) -> BudgetExceeded:
    cap = shortage.cap
    limit = from_nanos(cap.limit_nanos)
    spent = from_nanos(shortage.settled_nanos)
    held = (
        f", {format_usd(from_nanos(shortage.held_nanos))} USD is held by calls under way" if shortage.held_nanos else ""
    )
    return BudgetExceeded(
        f"{cap.account[0]} `{cap.account[-1]}` has spent {format_usd(spent)} of {format_usd(limit)} USD"
        f" {_WORDS[cap.period]} ({cap.name}){held}; this request may cost {format_usd(worst_usd)} USD",
        budget=cap.name,
        spent_usd=spent,
        limit_usd=limit,
        elsewhere=cap.account[0] in PLACES,
    )
