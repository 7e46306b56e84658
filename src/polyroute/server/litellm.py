"""LiteLLM's management paths, for tools that were written for them: its field names, our directory.

What it asks for and has no counterpart here is refused by name, never ignored. Who may do what is decided as on our own
paths. Names and shapes: LiteLLM's API reference, "Virtual Keys", "Users", "Teams" and "Spend", 2025.
"""

import asyncio
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TypeVar

from polyroute.authorisation import Action, Resource, allowed
from polyroute.errors import InvalidRequest, UnknownObject
from polyroute.server.endpoints import Endpoint, Handler
from polyroute.server.exchange import Exchange
from polyroute.server.litellm_words import (
    Allowed,
    KeyBody,
    Names,
    Removed,
    TeamBody,
    UserBody,
    account_of,
    budget_of,
    count_in,
    day_in,
    expiry,
    key_order,
    known,
    models_of,
    pace_of,
    shown_account,
    shown_key,
)
from polyroute.server.services import Services
from polyroute.state.directory import AccountKind, KeyChange, KeyOrder, taken
from polyroute.stores.usage import Usage, add_up
from polyroute.types.access import Caller
from polyroute.types.encoding import to_json
from polyroute.types.identity import KeyRecord
from polyroute.types.money import ZERO_USD

_BODY_BYTES = 64_000
_EVER, _NEVER = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)
_PAGE = 100

_T = TypeVar("_T", bound=Allowed)


def endpoints() -> list[Endpoint]:
    rows: tuple[tuple[str, str, Handler, str, Action], ...] = (
        ("POST", "/key/generate", _generate, "A new key, as LiteLLM", "keys:write"),
        ("GET", "/key/info", _key_info, "One key, as LiteLLM: ?key=", "keys:read"),
        ("POST", "/key/update", _key_update, "Change a key, as LiteLLM", "keys:write"),
        ("POST", "/key/delete", _key_delete, "End keys, as LiteLLM", "keys:write"),
        ("GET", "/key/list", _key_list, "The keys within reach, as LiteLLM", "keys:read"),
        ("POST", "/user/new", _user_new, "A new user, as LiteLLM", "users:write"),
        ("POST", "/user/update", _user_update, "Change a user, as LiteLLM", "users:write"),
        ("GET", "/user/info", _user_info, "One user, as LiteLLM: ?user_id=", "users:read"),
        ("POST", "/team/new", _team_new, "A new team, as LiteLLM", "teams:write"),
        ("POST", "/team/update", _team_update, "Change a team, as LiteLLM", "teams:write"),
        ("GET", "/team/info", _team_info, "One team, as LiteLLM: ?team_id=", "teams:read"),
        ("GET", "/team/list", _team_list, "The teams within reach, as LiteLLM", "teams:read"),
        ("GET", "/spend/logs", _spend_logs, "Spending per day, key and model, as LiteLLM", "usage:read"),
        ("GET", "/global/spend", _global_spend, "Spending in all, as LiteLLM", "usage:read"),
    )
    return [Endpoint(method=m, path=p, handler=h, summary=s, action=a) for m, p, h, s, a in rows]


# ── keys ──────────────────────────────────────────────────────────────────────────────────────────────


async def _generate(exchange: Exchange, services: Services) -> None:
    body = await _body(exchange, KeyBody, without=("key", "blocked"))
    issued = await asyncio.to_thread(
        services.directory.create_key, exchange.caller, key_order(body, services.utc_now())
    )
    await services.refresh()
    await _told(exchange, {**shown_key(issued.record, ZERO_USD), "key": issued.key})


async def _key_info(exchange: Exchange, services: Services) -> None:
    named = exchange.query.get("key", exchange.caller.key_id or "")
    found = await asyncio.to_thread(_find_key, exchange.caller, services, named)
    spent = await _spent(exchange, services, "key")
    await _told(exchange, {"key": found.id, "info": shown_key(found, spent.get(found.id, ZERO_USD))})


async def _key_update(exchange: Exchange, services: Services) -> None:
    body = await _body(exchange, KeyBody, without=("key_alias", "user_id", "team_id", "blocked"))
    caller, directory = exchange.caller, services.directory
    found = await asyncio.to_thread(_find_key, caller, services, body.key or "")
    change = KeyChange(
        models=models_of(body.models),
        budget=None if body.max_budget is None else budget_of(body),
        limits=pace_of(body, found.limits),
        metadata=body.metadata,
        expires=expiry(body.duration, services.utc_now()),
    )
    changed = await asyncio.to_thread(directory.change_key, caller, found.id, change)
    await services.refresh()
    await _told(exchange, {"key": changed.id, **shown_key(changed, ZERO_USD)})


async def _key_delete(exchange: Exchange, services: Services) -> None:
    body = taken(Removed, known(await exchange.json(_BODY_BYTES), Removed.__struct_fields__))
    caller, directory = exchange.caller, services.directory

    def end() -> list[str]:
        aliased = [key.id for key in directory.keys(caller) if key.name in body.key_aliases]
        ended = [_find_key(caller, services, named).id for named in body.keys] + aliased
        return [directory.revoke_key(caller, key_id).id for key_id in dict.fromkeys(ended)]

    gone = await asyncio.to_thread(end)
    await services.refresh()
    await _told(exchange, {"deleted_keys": gone})


async def _key_list(exchange: Exchange, services: Services) -> None:
    query = known(exchange.query, ("user_id", "team_id", "key_alias", "page", "size", "return_full_object"))
    page, size = count_in(query, "page", 1), min(count_in(query, "size", _PAGE), _PAGE)
    wanted = {
        name: query[theirs]
        for name, theirs in (("user", "user_id"), ("team", "team_id"), ("name", "key_alias"))
        if theirs in query
    }
    every = await asyncio.to_thread(services.directory.keys, exchange.caller)
    found = [key for key in every if all(getattr(key, name) == value for name, value in wanted.items())]
    shown = found[(page - 1) * size : page * size]
    spent = await _spent(exchange, services, "key")
    is_full = str(query.get("return_full_object", "")).lower() == "true"
    keys: list[object] = [shown_key(key, spent.get(key.id, ZERO_USD)) if is_full else key.id for key in shown]
    pages = -(-len(found) // size)
    await _told(exchange, {"keys": keys, "total_count": len(found), "current_page": page, "total_pages": pages})


# ── users and teams ───────────────────────────────────────────────────────────────────────────────────


async def _user_new(exchange: Exchange, services: Services) -> None:
    body = await _body(exchange, UserBody, without=())
    names = Names(id=body.user_id or services.new_request_id().replace("req", "user"), team=body.team_id)
    user = account_of(names, body, exchange.caller, email=body.user_email, alias=body.user_alias)
    made = await asyncio.to_thread(services.directory.put_account, exchange.caller, "user", user)
    told = shown_account(made, "user_id", ZERO_USD)
    if body.auto_create_key:
        order = KeyOrder(
            name=body.key_alias,
            user=made.id,
            team=body.team_id,
            models=models_of(body.models),
            expires=expiry(body.duration, services.utc_now()),
        )
        issued = await asyncio.to_thread(services.directory.create_key, exchange.caller, order)
        told |= {"key": issued.key, "token_id": issued.record.id, "expires": issued.record.expires_at}
    await services.refresh()
    await _told(exchange, told)


async def _user_update(exchange: Exchange, services: Services) -> None:
    body = await _body(exchange, UserBody, without=("auto_create_key", "key_alias", "duration"))
    await _update(exchange, services, "user", body.user_id, body, body.team_id, body.user_email, body.user_alias)


async def _team_new(exchange: Exchange, services: Services) -> None:
    body = await _body(exchange, TeamBody, without=())
    name = body.team_id or services.new_request_id().replace("req", "team")
    team = account_of(Names(id=name), body, exchange.caller, alias=body.team_alias)
    made = await asyncio.to_thread(services.directory.put_account, exchange.caller, "team", team)
    await services.refresh()
    await _told(exchange, shown_account(made, "team_id", ZERO_USD))


async def _team_update(exchange: Exchange, services: Services) -> None:
    body = await _body(exchange, TeamBody, without=())
    await _update(exchange, services, "team", body.team_id, body, None, None, body.team_alias)


async def _user_info(exchange: Exchange, services: Services) -> None:
    await _info(exchange, services, "user")


async def _team_info(exchange: Exchange, services: Services) -> None:
    await _info(exchange, services, "team")


async def _team_list(exchange: Exchange, services: Services) -> None:
    found = await asyncio.to_thread(services.directory.accounts, exchange.caller, "team")
    spent = await _spent(exchange, services, "team")
    await _told(exchange, [shown_account(team, "team_id", spent.get(team.id, ZERO_USD)) for team in found])


async def _info(exchange: Exchange, services: Services, kind: AccountKind) -> None:
    caller, directory = exchange.caller, services.directory
    name = exchange.query.get(f"{kind}_id", getattr(caller, kind))
    found = await asyncio.to_thread(directory.account, caller, kind, caller.tenant, name)
    keys = [key for key in await asyncio.to_thread(directory.keys, caller) if getattr(key, kind) == name]
    spent, of_keys = await _spent(exchange, services, kind), await _spent(exchange, services, "key")
    shown = shown_account(found, f"{kind}_id", spent.get(name, ZERO_USD))
    told = {
        f"{kind}_id": name,
        f"{kind}_info": shown,
        "keys": [shown_key(k, of_keys.get(k.id, ZERO_USD)) for k in keys],
    }
    await _told(exchange, {**told, "teams": [found.team] if found.team else []} if kind == "user" else told)


async def _update(
    exchange: Exchange,
    services: Services,
    kind: AccountKind,
    name: str | None,
    body: Allowed,
    team: str | None,
    email: str | None,
    alias: str | None,
) -> None:
    caller, directory = exchange.caller, services.directory
    if not name:
        raise InvalidRequest(f"`{kind}_id` says which {kind} to change", field=f"{kind}_id")
    found = await asyncio.to_thread(directory.account, caller, kind, caller.tenant, name)
    changed = account_of(Names(id=name, team=team), body, caller, before=found, email=email, alias=alias)
    made = await asyncio.to_thread(directory.put_account, caller, kind, changed)
    await services.refresh()
    await _told(exchange, {"data": shown_account(made, f"{kind}_id", ZERO_USD)})


# ── spending ──────────────────────────────────────────────────────────────────────────────────────────


async def _spend_logs(exchange: Exchange, services: Services) -> None:
    query = known(exchange.query, ("start_date", "end_date", "api_key", "user_id", "request_id", "summarize"))
    if "request_id" in query:
        raise InvalidRequest("`request_id` has no counterpart here: ask GET /v1/receipts/ID", field="request_id")
    since, until = day_in(query, "start_date", _EVER), day_in(query, "end_date", _NEVER - timedelta(days=1))
    lines = await _lines(exchange, services, since, until + timedelta(days=1))
    if "api_key" in query:
        key = await asyncio.to_thread(_find_key, exchange.caller, services, query["api_key"])
        lines = [line for line in lines if line.key == key.id]
    if "user_id" in query:
        lines = [line for line in lines if line.user == query["user_id"]]
    told = [
        {
            "startTime": line.day,
            "api_key": line.key,
            "user": line.user,
            "team_id": line.team,
            "model": line.model,
            "spend": line.cost_usd,
            "requests": line.calls,
            "prompt_tokens": line.input_tokens,
            "completion_tokens": line.output_tokens,
            "total_tokens": line.input_tokens + line.output_tokens,
        }
        for line in add_up(lines, ("day", "key", "user", "team", "model"))
    ]
    await _told(exchange, told)


async def _global_spend(exchange: Exchange, services: Services) -> None:
    lines = await _lines(exchange, services, _EVER, _NEVER)
    await _told(exchange, {"spend": sum((line.cost_usd for line in lines), ZERO_USD), "max_budget": None})


async def _lines(exchange: Exchange, services: Services, since: datetime, until: datetime) -> list[Usage]:
    """Within reach."""
    caller = exchange.caller
    return [
        line
        for line in await asyncio.to_thread(services.usage, since, until)
        if allowed(caller, "usage:read", Resource(tenant=line.tenant, team=line.team, user=line.user))
    ]


async def _spent(exchange: Exchange, services: Services, of: str) -> Mapping[str | None, Decimal]:
    lines = await _lines(exchange, services, _EVER, _NEVER)
    return {getattr(line, of): line.cost_usd for line in add_up(lines, (of,))}


async def _body(exchange: Exchange, kind: type[_T], *, without: Iterable[str]) -> _T:
    """Raises InvalidRequest for what has no counterpart."""
    told = known(await exchange.json(_BODY_BYTES), set(kind.__struct_fields__) - set(without))
    if told.get("metadata") == {}:
        del told["metadata"]
    return taken(kind, told)


def _find_key(caller: Caller, services: Services, named: str) -> KeyRecord:
    """By its id, or by the key itself. Synchronous; raises UnknownObject."""
    directory = services.directory
    found = directory.presented(caller, named)
    if found is None and not named:
        raise InvalidRequest("`key` says which key: its id, or the key itself", field="key")
    if found is None and named.startswith("sk-"):
        raise UnknownObject("there is no such key")
    return found or directory.key(caller, named)


async def _told(exchange: Exchange, value: object) -> None:
    headers = [(b"x-polyroute-request-id", exchange.request_id.encode()), (b"cache-control", b"no-store")]
    await exchange.reply(200, to_json(value), headers)
