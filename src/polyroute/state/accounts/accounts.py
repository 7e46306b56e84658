"""The desk every request passes: may this caller ask now, and is there money for the call. One per process.

Rates are counted by monotonic time, money by UTC windows; both are passed in. A refusal counts nothing and holds
nothing, and names the limit as the document does. Of several limits in the way of a request, the one that stays
in the way longest is named, so that its `retry_after_s` is right.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from functools import lru_cache

from msgspec import Struct

from polyroute.errors import BudgetExceeded, PriceUnknown, RateLimited, StoreError
from polyroute.state.accounts.allowances import Allowance, Allowances, Budget, Rates
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
from polyroute.state.accounts.limits import Entry, SlidingWindow, Standing, Windows
from polyroute.types.access import Caller
from polyroute.types.money import ZERO_USD, format_usd, from_nanos
from polyroute.types.receipt import Spent

_KNOWN_CALLERS = 4096  # whose list of budgets is kept made
_NOTHING_MORE = Allowance()
_WORDS: dict[Period, str] = {"daily": "today", "weekly": "this week", "monthly": "this month", "total": "in all"}


class Admission(Struct, frozen=True, kw_only=True):
    """Leave to send one request; its tokens are an estimate until corrected."""

    tokens: int
    token_entries: tuple[tuple[SlidingWindow, Entry], ...] = ()


class RateStandings(Struct, frozen=True, kw_only=True):
    """The tightest request limit and the tightest token limit of a caller; None: no such limit."""

    requests: Standing | None
    tokens: Standing | None


class Rate(Struct, frozen=True, kw_only=True):
    """One rate limit that applies to a caller."""

    subject: tuple[str, ...]
    limit: int
    name: str  # as the document says it
    counts_tokens: bool


class Accounts:
    def __init__(self, allowances: Allowances) -> None:
        self._allowances = allowances
        self._windows = Windows()
        self._budgets = Budgets()
        self._closed_for: str | None = None
        # Per caller and model these never change, and making them costs more than checking them.
        self._rates_of = lru_cache(_KNOWN_CALLERS)(self._find_rates)
        self._caps_of = lru_cache(_KNOWN_CALLERS)(self._find_caps)

    def allow(self, allowances: Allowances) -> None:
        """From now on `allowances` hold. What was counted and is held stays; `restore` the windows next."""
        self._allowances = allowances
        self._rates_of.cache_clear()
        self._caps_of.cache_clear()

    @property
    def knows_spending(self) -> bool:
        return self._closed_for is None

    def close_budgets(self, reason: str) -> None:
        """What was spent is not known: whoever a budget applies to is refused with a StoreError until it is."""
        self._closed_for = reason

    def open_budgets(self) -> None:
        self._closed_for = None

    # ── rates ─────────────────────────────────────────────────────────────────────────────────────────

    def admit(self, caller: Caller, tokens: int, now: float) -> Admission:
        """Count one request of about `tokens` tokens. Raises RateLimited, then nothing is counted."""
        rates = self._rates_of(caller.tenant, caller.team, caller.user, caller.key_id)
        if not rates:
            return Admission(tokens=tokens)
        counted = [(rate, self._windows.of(rate.subject, now), tokens if rate.counts_tokens else 1) for rate in rates]
        longest_s, refusing = 0.0, None
        for rate, window, amount in counted:
            wait_s = window.wait_s(amount, rate.limit, now)
            if wait_s > longest_s:
                longest_s, refusing = wait_s, rate
        if refusing is not None:
            raise self._refusal(refusing, longest_s, tokens)
        entries = [(window, window.add(amount, now)) for _, window, amount in counted]
        return Admission(
            tokens=tokens,
            token_entries=tuple(pair for pair, rate in zip(entries, rates, strict=True) if rate.counts_tokens),
        )

    async def enter(self, caller: Caller, tokens: int, now: float) -> Admission:
        """`admit`, where others may have to be asked."""
        return self.admit(caller, tokens, now)

    def correct(self, admission: Admission, tokens: int) -> None:
        """The request took `tokens` tokens in truth. At most once per admission."""
        for window, entry in admission.token_entries:
            window.correct(entry, tokens - admission.tokens)

    def standings(self, caller: Caller, now: float) -> RateStandings:
        requests: Standing | None = None
        tokens: Standing | None = None
        for rate in self._rates_of(caller.tenant, caller.team, caller.user, caller.key_id):
            standing = self._windows.of(rate.subject, now).standing(rate.limit, now)
            if rate.counts_tokens:
                tokens = standing if tokens is None or standing.remaining < tokens.remaining else tokens
            else:
                requests = standing if requests is None or standing.remaining < requests.remaining else requests
        return RateStandings(requests=requests, tokens=tokens)

    def _refusal(self, rate: Rate, wait_s: float, tokens: int) -> RateLimited:
        who = f"{rate.subject[1].removeprefix('own ')} `{rate.subject[-1]}`"
        if wait_s == float("inf") and rate.counts_tokens:
            return RateLimited(
                f"this request of about {tokens} tokens is more than {rate.name} allows {who} in any minute"
                f" ({rate.limit}): shorten it",
                limit=rate.name,
                retry_after_s=self._windows.window_s,
            )
        wait_s = min(wait_s, self._windows.window_s)
        what = "tokens" if rate.counts_tokens else "requests"
        return RateLimited(
            f"{who} has used its {rate.limit} {what} per minute ({rate.name}): try again in {wait_s:.1f} s",
            limit=rate.name,
            retry_after_s=wait_s,
        )

    def _find_rates(self, tenant: str, team: str, user: str, key_id: str | None) -> tuple[Rate, ...]:
        allowances = self._allowances
        return (
            *_rates(("user", tenant, user), allowances.per_user, "per_user_{}per_minute"),
            *_rates(("team", tenant, team), allowances.per_team, "per_team_{}per_minute"),
            *_rates(("own key", key_id or ""), self._key(key_id).rates, f"keys.{key_id}.limits.{{}}per_minute"),
            *_rates(
                ("own user", tenant, user),
                allowances.users.get((tenant, user), _NOTHING_MORE).rates,
                f"users.{user}.limits.{{}}per_minute",
            ),
            *_rates(
                ("own team", tenant, team),
                allowances.teams.get((tenant, team), _NOTHING_MORE).rates,
                f"teams.{team}.limits.{{}}per_minute",
            ),
            *_rates(
                ("tenant", tenant),
                allowances.tenants.get(tenant, _NOTHING_MORE).rates,
                f"tenants.{tenant}.limits.{{}}per_minute",
            ),
        )

    # ── money ─────────────────────────────────────────────────────────────────────────────────────────

    async def reserve(self, caller: Caller, model: str, worst_usd: Decimal | None, now: datetime) -> Hold:
        """`hold`, where others may have to be asked."""
        return self.hold(caller, model, worst_usd, now)

    def hold(self, caller: Caller, model: str, worst_usd: Decimal | None, now: datetime) -> Hold:
        """Set the worst case aside in every budget that applies.

        Raises BudgetExceeded, naming the first without room, or PriceUnknown where a budget applies and
        `worst_usd` is None; then nothing is held.
        """
        caps = self._caps_of(caller.tenant, caller.team, caller.user, caller.key_id, model)
        worst_usd = priced(worst_usd, caps, model)
        if caps and self._closed_for is not None:
            raise StoreError(f"what was spent under {caps[0].name} is not known: {self._closed_for}")
        held = self._budgets.hold(worst_usd, caps, now)
        if isinstance(held, Shortage):
            raise exceeded(held, worst_usd)
        return held

    def remaining_usd(self, caller: Caller, model: str | None, now: datetime) -> Decimal | None:
        """The smallest amount left of any budget that applies, never negative; None where none does.

        `model` None: of the caller's own budgets only.
        """
        caps = self._caps_of(caller.tenant, caller.team, caller.user, caller.key_id, model)
        if not caps:
            return None
        return from_nanos(max(min(self._budgets.remaining_nanos(cap, now) for cap in caps), 0))

    def windows(self, now: datetime) -> dict[Period, datetime]:
        """The windows in use and when each began: what `restore` wants to be told of at start."""
        allowances = self._allowances
        budgets = (
            allowances.user_budget,
            allowances.team_budget,
            *(
                allowance.budget
                for own in (allowances.keys, allowances.users, allowances.teams, allowances.tenants)
                for allowance in own.values()
            ),
            *allowances.model_budgets.values(),
        )
        used = {cap.period for budget in budgets for cap in caps_of((), budget, "{}")}
        return {period: window_start(period, now) for period in PERIODS if period in used}

    def settled_nanos(self, now: datetime) -> Settled:
        """What is counted as spent in the windows of `now`."""
        return self._budgets.settled_nanos(now)

    def restore(self, period: Period, spent: Iterable[Spent], now: datetime, before: Settled | None = None) -> None:
        """Start from what the ledger says was spent since `period`'s window began. Sets, never adds.

        `before`: what was counted when the ledger was asked; what was settled since then counts on top.
        """
        sums: dict[Account, Decimal] = {}
        for line in spent:
            caps = self._find_caps(line.tenant, line.team, line.user, line.key_id, line.model)
            for account in {cap.account for cap in caps if cap.period == period}:
                sums[account] = sums.get(account, ZERO_USD) + line.cost_usd
        self._budgets.restore(period, sums, now, before or self.settled_nanos(now))

    def _find_caps(self, tenant: str, team: str, user: str, key_id: str | None, model: str | None) -> tuple[Cap, ...]:
        allowances = self._allowances
        of_model = allowances.model_budgets.get(model, _NO_BUDGET) if model is not None else _NO_BUDGET
        return (
            *caps_of(("user", tenant, user), allowances.user_budget, "per_user_{}_usd"),
            *caps_of(("team", tenant, team), allowances.team_budget, "per_team_{}_usd"),
            *caps_of(("key", key_id or ""), self._key(key_id).budget, f"keys.{key_id}.budget.{{}}_usd"),
            *caps_of(
                ("user", tenant, user),
                allowances.users.get((tenant, user), _NOTHING_MORE).budget,
                f"users.{user}.budget.{{}}_usd",
            ),
            *caps_of(
                ("team", tenant, team),
                allowances.teams.get((tenant, team), _NOTHING_MORE).budget,
                f"teams.{team}.budget.{{}}_usd",
            ),
            *caps_of(
                ("tenant", tenant),
                allowances.tenants.get(tenant, _NOTHING_MORE).budget,
                f"tenants.{tenant}.budget.{{}}_usd",
            ),
            *caps_of(("model", model or ""), of_model, f"models.{model}.budget.{{}}_usd"),
        )

    def _key(self, key_id: str | None) -> Allowance:
        return self._allowances.keys.get(key_id, _NOTHING_MORE) if key_id is not None else _NOTHING_MORE


_NO_BUDGET = Budget()


def priced(worst_usd: Decimal | None, caps: Sequence[Cap], model: str) -> Decimal:
    """Raises PriceUnknown where it matters."""
    if worst_usd is not None:
        return worst_usd
    if caps:
        raise PriceUnknown(
            f"the price of `{model}` is not known and {caps[0].name} limits what may be spent:"
            f" write models.{model}.price, or `price: free`",
            model=model,
        )
    return ZERO_USD


def _rates(subject: tuple[str, ...], rates: Rates, name: str) -> tuple[Rate, ...]:
    found = []
    if rates.requests_per_minute is not None:
        found.append(
            Rate(
                subject=("requests", *subject),
                limit=rates.requests_per_minute,
                name=name.format(""),
                counts_tokens=False,
            )
        )
    if rates.tokens_per_minute is not None:
        found.append(
            Rate(
                subject=("tokens", *subject),
                limit=rates.tokens_per_minute,
                name=name.format("tokens_"),
                counts_tokens=True,
            )
        )
    return tuple(found)


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
    )
