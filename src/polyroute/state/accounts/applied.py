"""Which limits and budgets apply to a caller, or to the place where a call goes. Pure; the names are the document's."""

from collections.abc import Iterator

from msgspec import Struct

from polyroute.state.accounts.allowances import Allowance, Allowances, Budget, Rates
from polyroute.state.accounts.budgets import Account, Cap, caps_of

PLACES = ("model", "deployment", "provider", "gateway")  # what all callers share: another place may have room

_NOTHING_MORE = Allowance()


class Rate(Struct, frozen=True, kw_only=True):
    """One rate limit that applies."""

    subject: tuple[str, ...]
    limit: int
    name: str  # as the document says it
    counts_tokens: bool


class Limits(Struct, frozen=True, kw_only=True):
    """All that apply together."""

    rates: tuple[Rate, ...] = ()
    slots: tuple[Cap, ...] = ()  # requests under way

    def __bool__(self) -> bool:
        return bool(self.rates or self.slots)


class _Owner(Struct, frozen=True):
    """Whose allowance it is, and how the document names it."""

    account: Account
    name: str  # "teams.blue"
    allowance: Allowance


def limits_of(allowances: Allowances, tenant: str, team: str, user: str, key_id: str | None) -> Limits:
    per_user, per_team, of_each = ("user", tenant, user), ("team", tenant, team), allowances.of_each(tenant)
    rates = [
        *_rates(per_user, of_each.per_user, "per_user_{}per_minute"),
        *_rates(per_team, of_each.per_team, "per_team_{}per_minute"),
    ]
    slots = [
        *_slots(per_user, of_each.per_user, "per_user_parallel"),
        *_slots(per_team, of_each.per_team, "per_team_parallel"),
    ]
    for owner in _callers_own(allowances, tenant, team, user, key_id):
        subject, own = _own(owner.account), owner.allowance.rates
        rates += _rates(subject, own, f"{owner.name}.limits.{{}}per_minute")
        slots += _slots(subject, own, f"{owner.name}.limits.parallel")
    return Limits(rates=tuple(rates), slots=tuple(slots))


def limits_at(allowances: Allowances, model: str, deployment: str, provider: str) -> Limits:
    owners = list(_of_place(allowances, model, deployment, provider))
    return Limits(
        rates=tuple(
            rate
            for owner in owners
            for rate in _rates(owner.account, owner.allowance.rates, f"{owner.name}.limits.{{}}per_minute")
        ),
        slots=tuple(
            slot
            for owner in owners
            for slot in _slots(owner.account, owner.allowance.rates, f"{owner.name}.limits.parallel")
        ),
    )


def limits_of_gateway(allowances: Allowances) -> Limits:
    return Limits(slots=_slots(("gateway", "gateway"), allowances.gateway, "limits.parallel"))


def caps_for(
    allowances: Allowances, tenant: str, team: str, user: str, key_id: str | None, model: str | None,
    deployment: str = "", provider: str = "",
) -> tuple[Cap, ...]:  # fmt: skip
    """Every budget that a call counts towards; `model` None: the caller's own only."""
    owners, of_each = list(_callers_own(allowances, tenant, team, user, key_id)), allowances.of_each(tenant)
    if model is not None:
        owners += _of_place(allowances, model, deployment, provider)
    return (
        *caps_of(("user", tenant, user), of_each.user_budget, "per_user_{}_usd"),
        *caps_of(("team", tenant, team), of_each.team_budget, "per_team_{}_usd"),
        *(cap for owner in owners for cap in caps_of(owner.account, owner.allowance.budget, _budget(owner))),
    )


def own_caps(allowances: Allowances) -> Iterator[Cap]:
    """Every budget that somebody or something has by itself."""
    for owner in _everyone(allowances):
        yield from caps_of(owner.account, owner.allowance.budget, _budget(owner))


def own_limits(allowances: Allowances) -> Iterator[tuple[Account, Limits]]:
    """Every limit that somebody or something has by itself, with whose it is."""
    for owner in _everyone(allowances):
        place = owner.account[0] in PLACES
        subject, own = owner.account if place else _own(owner.account), owner.allowance.rates
        limits = Limits(
            rates=_rates(subject, own, f"{owner.name}.limits.{{}}per_minute"),
            slots=_slots(subject, own, f"{owner.name}.limits.parallel"),
        )
        if limits:
            yield owner.account, limits
    if gateway := limits_of_gateway(allowances):
        yield ("gateway", "gateway"), gateway


def all_budgets(allowances: Allowances) -> Iterator[Budget]:
    for of_each in (allowances, *allowances.of_tenants.values()):
        yield of_each.user_budget
        yield of_each.team_budget
    for owner in _everyone(allowances):
        yield owner.allowance.budget


def weight_of(allowances: Allowances, tenant: str, team: str) -> int:
    return allowances.teams.get((tenant, team), _NOTHING_MORE).weight


def _callers_own(allowances: Allowances, tenant: str, team: str, user: str, key_id: str | None) -> Iterator[_Owner]:
    if key_id is not None:
        yield from _one(("key", key_id), allowances.keys.get(key_id))
    yield from _one(("user", tenant, user), allowances.users.get((tenant, user)))
    yield from _one(("team", tenant, team), allowances.teams.get((tenant, team)))
    yield from _one(("tenant", tenant), allowances.tenants.get(tenant))


def _of_place(allowances: Allowances, model: str, deployment: str, provider: str) -> Iterator[_Owner]:
    yield from _one(("model", model), allowances.models.get(model))
    yield from _one(("deployment", deployment), allowances.deployments.get(deployment))
    yield from _one(("provider", provider), allowances.providers.get(provider))


def _one(account: Account, allowance: Allowance | None) -> Iterator[_Owner]:
    if allowance is not None:
        yield _Owner(account, f"{account[0]}s.{account[-1]}", allowance)


def _everyone(allowances: Allowances) -> Iterator[_Owner]:
    for kind, accounts in (("user", allowances.users), ("team", allowances.teams)):
        for (tenant, name), allowance in accounts.items():
            yield from _one((kind, tenant, name), allowance)
    for kind, named in (
        ("key", allowances.keys),
        ("tenant", allowances.tenants),
        ("model", allowances.models),
        ("deployment", allowances.deployments),
        ("provider", allowances.providers),
    ):
        for name, allowance in named.items():
            yield from _one((kind, name), allowance)


def _own(account: Account) -> Account:
    """A user's own limit is counted apart from the one that holds for every user; a tenant has only its own."""
    return account if account[0] in ("tenant", *PLACES) else (f"own {account[0]}", *account[1:])


def _budget(owner: _Owner) -> str:
    return f"{owner.name}.budget.{{}}_usd"


def _rates(subject: Account, rates: Rates, name: str) -> tuple[Rate, ...]:
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


def _slots(subject: Account, rates: Rates, name: str) -> tuple[Cap, ...]:
    if rates.parallel is None:
        return ()
    return (Cap(account=("slots", *subject), period="now", limit_nanos=rates.parallel, name=name),)
