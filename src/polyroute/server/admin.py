"""Management over HTTP: keys, users, teams, tenants and the audit log. JSON in, JSON out.

The table says what each endpoint's caller must be granted; whose record it is is asked again by the directory. A change
is in force in this process when its answer leaves, and in others within two seconds.
"""

import asyncio

from msgspec.structs import asdict, replace

from polyroute.authorisation import Action
from polyroute.errors import InvalidRequest
from polyroute.server.endpoints import Endpoint, Handler
from polyroute.server.exchange import Exchange
from polyroute.server.services import Services
from polyroute.state.directory import AccountKind, KeyChange, KeyOrder, taken
from polyroute.stores.records.chain import check
from polyroute.types.encoding import to_json
from polyroute.types.identity import Account, shown

_MOST_ENTRIES = 1000
_BODY_BYTES = 64_000  # no order is longer


_KINDS: dict[AccountKind, tuple[Action, Action]] = {
    "user": ("users:read", "users:write"),
    "team": ("teams:read", "teams:write"),
    "tenant": ("tenants:read", "tenants:write"),
}


def endpoints() -> list[Endpoint]:
    def key(method: str, path: str, handler: Handler, summary: str) -> Endpoint:
        action: Action = "keys:read" if method == "GET" else "keys:write"
        return Endpoint(method=method, path=f"/admin/keys{path}", handler=handler, summary=summary, action=action)

    return [
        key("GET", "", _keys, "The keys within reach"),
        key("POST", "", _create_key, "A new key, shown once"),
        key("GET", "/{id}", _key, "One key"),
        key("PATCH", "/{id}", _change_key, "Other models, limits, budget, expiry"),
        key("DELETE", "/{id}", _revoke_key, "End a key"),
        key("POST", "/{id}/rotate", _rotate_key, "A new secret for a key, shown once"),
        *(endpoint for kind in _KINDS for endpoint in _accounts(kind)),
        Endpoint(
            method="GET",
            path="/admin/audit-log",
            handler=_audit_log,
            summary="Who did what, in order: ?after=SEQ&limit=N",
            action="audit_log:read",
        ),
        Endpoint(
            method="GET",
            path="/admin/audit-log/verify",
            handler=_verify,
            summary="Whether the audit log is whole",
            action="audit_log:read",
        ),
    ]


def _accounts(kind: AccountKind) -> list[Endpoint]:
    reads, writes = _KINDS[kind]

    async def every(exchange: Exchange, services: Services) -> None:
        found = await asyncio.to_thread(services.directory.accounts, exchange.caller, kind)
        await _told(exchange, {"data": found})

    async def one(exchange: Exchange, services: Services) -> None:
        place = (_tenant(exchange), exchange.variables["id"])
        await _told(exchange, await asyncio.to_thread(services.directory.account, exchange.caller, kind, *place))

    async def put(exchange: Exchange, services: Services) -> None:
        body = await exchange.json(_BODY_BYTES)
        named = exchange.variables.get("id")
        if named is not None and body.setdefault("id", named) != named:
            raise InvalidRequest("`id` in the body is not the one in the path", field="id")
        account = taken(Account, body)
        if kind == "tenant":
            account = replace(account, tenant=account.id)
        elif "tenant" not in body:
            account = replace(account, tenant=_tenant(exchange))
        made = await asyncio.to_thread(services.directory.put_account, exchange.caller, kind, account)
        await services.refresh()
        await _told(exchange, made)

    async def remove(exchange: Exchange, services: Services) -> None:
        place = (_tenant(exchange), exchange.variables["id"])
        await asyncio.to_thread(services.directory.remove_account, exchange.caller, kind, *place)
        await services.refresh()
        await _told(exchange, {"id": exchange.variables["id"], "removed": True})

    path = f"/admin/{kind}s"
    return [
        Endpoint(method="GET", path=path, handler=every, summary=f"The {kind}s within reach", action=reads),
        Endpoint(method="POST", path=path, handler=put, summary=f"Make or change a {kind}", action=writes),
        Endpoint(method="GET", path=f"{path}/{{id}}", handler=one, summary=f"One {kind}", action=reads),
        Endpoint(method="PUT", path=f"{path}/{{id}}", handler=put, summary=f"Make or change a {kind}", action=writes),
        Endpoint(method="DELETE", path=f"{path}/{{id}}", handler=remove, summary=f"Forget a {kind}", action=writes),
    ]


async def _keys(exchange: Exchange, services: Services) -> None:
    found = await asyncio.to_thread(services.directory.keys, exchange.caller)
    await _told(exchange, {"data": list(map(shown, found))})


async def _key(exchange: Exchange, services: Services) -> None:
    key = await asyncio.to_thread(services.directory.key, exchange.caller, exchange.variables["id"])
    await _told(exchange, shown(key))


async def _create_key(exchange: Exchange, services: Services) -> None:
    order = taken(KeyOrder, await exchange.json(_BODY_BYTES))
    issued = await asyncio.to_thread(services.directory.create_key, exchange.caller, order)
    await services.refresh()
    await _told(exchange, issued.shown(), status=201)


async def _change_key(exchange: Exchange, services: Services) -> None:
    change = taken(KeyChange, await exchange.json(_BODY_BYTES))
    changed = await asyncio.to_thread(services.directory.change_key, exchange.caller, exchange.variables["id"], change)
    await services.refresh()
    await _told(exchange, shown(changed))


async def _rotate_key(exchange: Exchange, services: Services) -> None:
    issued = await asyncio.to_thread(services.directory.rotate_key, exchange.caller, exchange.variables["id"])
    await services.refresh()
    await _told(exchange, issued.shown())


async def _revoke_key(exchange: Exchange, services: Services) -> None:
    revoked = await asyncio.to_thread(services.directory.revoke_key, exchange.caller, exchange.variables["id"])
    await services.refresh()
    await _told(exchange, shown(revoked))


async def _audit_log(exchange: Exchange, services: Services) -> None:
    after, limit = _count(exchange, "after", 0), min(_count(exchange, "limit", 100), _MOST_ENTRIES)
    entries = await asyncio.to_thread(lambda: services.records.entries(after=after, limit=limit))
    data = [{"seq": entry.seq, "hash": entry.hash.hex(), **asdict(entry.act)} for entry in entries]
    await _told(exchange, {"data": data})


async def _verify(exchange: Exchange, services: Services) -> None:
    audit = await asyncio.to_thread(check, services.records)
    await _told(exchange, {"whole": audit.whole, **asdict(audit)})


def _tenant(exchange: Exchange) -> str:
    return exchange.query.get("tenant", exchange.caller.tenant)


def _count(exchange: Exchange, name: str, default: int) -> int:
    given = exchange.query.get(name)
    if given is None:
        return default
    if not given.isdecimal() or len(given) > 18:
        raise InvalidRequest(f"`{name}` must be a whole number, got {given[:40]!r}", field=name)
    return int(given)


async def _told(exchange: Exchange, value: object, *, status: int = 200) -> None:
    headers = [(b"x-polyroute-request-id", exchange.request_id.encode()), (b"cache-control", b"no-store")]
    await exchange.reply(status, to_json(value), headers)
