"""How budgets and limits stand, for people to read. Nothing here decides."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import Literal

from msgspec import Struct

from polyroute.state.accounts.accounts import Accounts
from polyroute.state.accounts.applied import PLACES, Limits, limits_of, own_caps, own_limits
from polyroute.state.accounts.budgets import Account, Cap, Period, caps_of, window_end
from polyroute.types.access import Caller
from polyroute.types.money import from_nanos


class Owner(Struct, frozen=True, kw_only=True):
    """Whose it is. `tenant` is None of keys, and of what all callers share."""

    kind: str  # key, user, team, tenant, model, deployment, provider, gateway
    id: str
    tenant: str | None = None


class BudgetLine(Struct, frozen=True, kw_only=True):
    name: str  # as the document and refusals say it
    owner: Owner
    period: Period
    limit_usd: Decimal
    spent_usd: Decimal
    held_usd: Decimal  # by calls under way
    remaining_usd: Decimal  # never negative
    resets_at: datetime | None  # None: never

    @property
    def spent_share(self) -> float:
        return float(self.spent_usd / self.limit_usd) if self.limit_usd else 1.0


class LimitLine(Struct, frozen=True, kw_only=True):
    name: str
    owner: Owner
    counts: Literal["requests", "tokens", "parallel"]
    limit: int
    remaining: int
    reset_s: float | None  # None: when a request under way ends


def budgets_of(accounts: Accounts, caller: Caller, now: datetime) -> list[BudgetLine]:
    """Those that apply to a caller's requests, whatever model they ask for; the least left first."""
    lines = _budget_lines(accounts, accounts.caps_of_caller(caller), now)
    return sorted(lines, key=lambda line: line.remaining_usd)


def all_budgets(accounts: Accounts, now: datetime) -> list[BudgetLine]:
    """What somebody has by itself, and each user's and team's share of what all have."""
    allowances = accounts.allowances
    caps = list(own_caps(allowances))
    for account in accounts.known(now):
        if account[0] == "user":
            caps += caps_of(account, allowances.of_each(account[1]).user_budget, "per_user_{}_usd")
        elif account[0] == "team":
            caps += caps_of(account, allowances.of_each(account[1]).team_budget, "per_team_{}_usd")
    return sorted(
        _budget_lines(accounts, caps, now), key=lambda line: (line.name, line.owner.tenant or "", line.owner.id)
    )


def limits_now(accounts: Accounts, caller: Caller, now_s: float) -> list[LimitLine]:
    """Those that apply to a caller's requests, whatever model they ask for."""
    limits = limits_of(accounts.allowances, caller.tenant, caller.team, caller.user, caller.key_id)
    return list(_limit_lines(accounts, limits, now_s))


def all_limits(accounts: Accounts, now_s: float) -> list[LimitLine]:
    """What somebody or something has by itself."""
    found = (line for _, limits in own_limits(accounts.allowances) for line in _limit_lines(accounts, limits, now_s))
    return sorted(found, key=lambda line: (line.name, line.owner.tenant or ""))


def owner_of(account: Account) -> Owner:
    kind = account[0].removeprefix("own ")
    tenant = account[1] if len(account) > 2 else account[-1] if kind == "tenant" else None
    return Owner(kind=kind, id=account[-1], tenant=tenant)


def is_shared(owner: Owner) -> bool:
    """By callers who have nothing to do with each other."""
    return owner.kind in PLACES


def _budget_lines(accounts: Accounts, caps: Iterable[Cap], now: datetime) -> Iterator[BudgetLine]:
    for cap in caps:
        settled, held = accounts.tallied(cap, now)
        yield BudgetLine(
            name=cap.name,
            owner=owner_of(cap.account),
            period=cap.period,
            limit_usd=from_nanos(cap.limit_nanos),
            spent_usd=from_nanos(settled),
            held_usd=from_nanos(held),
            remaining_usd=from_nanos(max(cap.limit_nanos - settled - held, 0)),
            resets_at=window_end(cap.period, now),
        )


def _limit_lines(accounts: Accounts, limits: Limits, now_s: float) -> Iterator[LimitLine]:
    for rate in limits.rates:
        standing = accounts.standing(rate, now_s)
        yield LimitLine(
            name=rate.name,
            owner=owner_of(rate.subject[1:]),
            counts="tokens" if rate.counts_tokens else "requests",
            limit=rate.limit,
            remaining=standing.remaining,
            reset_s=round(standing.reset_s, 3),
        )
    for slot in limits.slots:
        taken = accounts.under_way(slot)
        yield LimitLine(
            name=slot.name,
            owner=owner_of(slot.account[1:]),
            counts="parallel",
            limit=slot.limit_nanos,
            remaining=max(slot.limit_nanos - taken, 0),
            reset_s=None,
        )
