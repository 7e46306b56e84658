"""How budgets, limits and usage stand: a caller's own, and what its role reaches.

What it reaches of users, teams and tenants the directory decides; of keys likewise. What all callers share (models,
deployments, providers) is told to whoever reaches everything.
"""

import asyncio
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

from polyroute.authorisation import NOBODYS, Action, Resource, allowed
from polyroute.errors import InvalidRequest
from polyroute.server.endpoints import Endpoint
from polyroute.server.exchange import Exchange
from polyroute.server.services import Services
from polyroute.state.accounts import standing
from polyroute.state.accounts.standing import BudgetLine, LimitLine, Owner
from polyroute.state.directory import AccountKind, taken
from polyroute.stores.usage import NAMES, add_up
from polyroute.types.encoding import to_json
from polyroute.types.identity import Money, Pace

_BODY_BYTES = 4_000
_PAGE, _LONGEST_PAGE = 100, 1000
_USUAL_SPAN = timedelta(days=30)
_ACCOUNTS: tuple[AccountKind, ...] = ("user", "team", "tenant")


def endpoints() -> list[Endpoint]:
    return [
        Endpoint(
            method="GET", path="/v1/limits", handler=_own, summary="The caller's own standing", action="limits:read"
        ),
        Endpoint(
            method="GET",
            path="/admin/budgets",
            handler=_budgets,
            summary="Budgets within reach, with what is spent and left",
            action="budgets:read",
        ),
        Endpoint(
            method="GET",
            path="/admin/limits",
            handler=_limits,
            summary="Limits within reach, with what is left",
            action="limits:read",
        ),
        Endpoint(
            method="PUT",
            path="/admin/budgets/{kind}/{id}",
            handler=_set_budget,
            summary="Another budget for a key, user, team or tenant",
            action="keys:write",
        ),
        Endpoint(
            method="PUT",
            path="/admin/limits/{kind}/{id}",
            handler=_set_limits,
            summary="Other limits for a key, user, team or tenant",
            action="keys:write",
        ),
        Endpoint(
            method="GET",
            path="/admin/usage",
            handler=_usage,
            summary="Calls, tokens and money: ?by=team,model,day&since=2026-01-01&team=blue&limit=N&after=N",
            action="usage:read",
        ),
    ]


async def _own(exchange: Exchange, services: Services) -> None:
    accounts, caller = services.accounts, exchange.caller
    await accounts.hear(caller)
    await _told(
        exchange,
        {
            "tenant": caller.tenant,
            "team": caller.team,
            "user": caller.user,
            "key": caller.key_id,
            "budgets": standing.budgets_of(accounts, caller, services.utc_now()),
            "limits": standing.limits_now(accounts, caller, services.path.monotonic()),
        },
    )


async def _budgets(exchange: Exchange, services: Services) -> None:
    sees = await asyncio.to_thread(_reach, exchange, services, "budgets:read")
    await services.accounts.hear(everybody=True)
    lines = standing.all_budgets(services.accounts, services.utc_now())
    await _told(exchange, {"data": _picked(exchange, lines, sees)})


async def _limits(exchange: Exchange, services: Services) -> None:
    sees = await asyncio.to_thread(_reach, exchange, services, "limits:read")
    await services.accounts.hear()
    lines = standing.all_limits(services.accounts, services.path.monotonic())
    await _told(exchange, {"data": _picked(exchange, lines, sees)})


async def _set_budget(exchange: Exchange, services: Services) -> None:
    budget = taken(Money, await exchange.json(_BODY_BYTES))
    await _set(exchange, services, budget=budget)


async def _set_limits(exchange: Exchange, services: Services) -> None:
    limits = taken(Pace, await exchange.json(_BODY_BYTES))
    await _set(exchange, services, limits=limits)


async def _set(
    exchange: Exchange, services: Services, *, budget: Money | None = None, limits: Pace | None = None
) -> None:
    kind, name, caller = exchange.variables["kind"], exchange.variables["id"], exchange.caller
    tenant = exchange.query.get("tenant", caller.tenant)
    allow = services.directory.allow
    changed = await asyncio.to_thread(lambda: allow(caller, kind, tenant, name, budget=budget, limits=limits))
    await services.refresh()
    await _told(exchange, changed)


async def _usage(exchange: Exchange, services: Services) -> None:
    query, caller, now = exchange.query, exchange.caller, services.utc_now()
    by = tuple(name for name in query.get("by", ",".join(NAMES)).split(",") if name)
    if unknown := next((name for name in by if name not in NAMES), None):
        raise InvalidRequest(f"`by` may name {', '.join(NAMES)}; got `{unknown[:40]}`", field="by")
    since, until = _time(exchange, "since", now - _USUAL_SPAN), _time(exchange, "until", now + timedelta(days=1))
    limit, after = _count(exchange, "limit", _PAGE), _count(exchange, "after", 0)
    wanted = {name: query[name] for name in NAMES if name in query}
    lines = [
        line
        for line in await asyncio.to_thread(services.usage, since, until)
        if allowed(caller, "usage:read", Resource(tenant=line.tenant, team=line.team, user=line.user))
        and all(str(getattr(line, name)) == value for name, value in wanted.items())
    ]
    found = add_up(lines, by)
    limit = min(max(limit, 1), _LONGEST_PAGE)
    page = found[after : after + limit]
    total = next(iter(add_up(lines, ())), None)
    following = after + limit if after + limit < len(found) else None
    await _told(exchange, {"data": page, "total": total, "next": following, "since": since, "until": until})


def _reach(exchange: Exchange, services: Services, action: Action) -> Callable[[Owner], bool]:
    """Whether the caller may see what belongs to somebody. Synchronous: it reads the directory."""
    caller, directory = exchange.caller, services.directory
    if allowed(caller, action, NOBODYS):
        return lambda owner: True
    seen: set[tuple[str, str | None, str]] = {("key", None, key.id) for key in directory.keys(caller)}
    seen |= {(kind, account.tenant, account.id) for kind in _ACCOUNTS for account in directory.accounts(caller, kind)}
    if allowed(caller, action, Resource(tenant=caller.tenant, team=caller.team, user=caller.user)):
        seen |= {("key", None, caller.key_id or ""), ("user", caller.tenant, caller.user)}
    if allowed(caller, action, Resource(tenant=caller.tenant, team=caller.team)):
        seen.add(("team", caller.tenant, caller.team))
    return lambda owner: (owner.kind, owner.tenant, owner.id) in seen


def _picked(
    exchange: Exchange, lines: Iterable[BudgetLine] | Iterable[LimitLine], sees: Callable[[Owner], bool]
) -> list[BudgetLine | LimitLine]:
    """Those within reach that the query asks for: ?kind=team&id=blue&tenant=acme."""
    wanted = {name: exchange.query[name] for name in ("kind", "id", "tenant") if name in exchange.query}
    return [
        line
        for line in lines
        if sees(line.owner) and all(getattr(line.owner, name) == value for name, value in wanted.items())
    ]


def _time(exchange: Exchange, name: str, default: datetime) -> datetime:
    """A date or a time; without a zone it is UTC."""
    given = exchange.query.get(name)
    if given is None:
        return default
    try:
        at = datetime.fromisoformat(given.replace(" ", "+"))  # a plus in an address stands for a space
    except ValueError:
        message = f"`{name}` must be a date or time such as 2026-01-31, got {given[:40]!r}"
        raise InvalidRequest(message, field=name) from None
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def _count(exchange: Exchange, name: str, default: int) -> int:
    given = exchange.query.get(name)
    if given is None:
        return default
    if not given.isdecimal() or len(given) > 12:
        raise InvalidRequest(f"`{name}` must be a whole number, got {given[:40]!r}", field=name)
    return int(given)


async def _told(exchange: Exchange, value: object) -> None:
    headers = [(b"x-polyroute-request-id", exchange.request_id.encode()), (b"cache-control", b"no-store")]
    await exchange.reply(200, to_json(value), headers)
