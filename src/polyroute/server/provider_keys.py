"""Providers' keys over HTTP: set, listed by their last characters, forgotten. No answer holds a key.

A change is in force in this process when its answer leaves, and in others within two seconds.
"""

import asyncio

from msgspec import Struct
from msgspec.structs import asdict

from polyroute.errors import UnknownObject
from polyroute.server.endpoints import Endpoint
from polyroute.server.exchange import Exchange
from polyroute.server.services import Services
from polyroute.state.directory import taken
from polyroute.types.encoding import to_json

_BODY_BYTES = 64_000


class NewKey(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    key: str


def endpoints() -> list[Endpoint]:
    return [
        Endpoint(
            method="GET",
            path="/admin/providers",
            handler=_every,
            summary="The providers, and where their keys come from",
            action="providers:read",
        ),
        Endpoint(
            method="PUT",
            path="/admin/providers/{id}/key",
            handler=_put,
            summary="Give a provider's key, kept sealed",
            action="providers:write",
        ),
        Endpoint(
            method="DELETE",
            path="/admin/providers/{id}/key",
            handler=_forget,
            summary="Forget a provider's key that was given here",
            action="providers:write",
        ),
    ]


async def _every(exchange: Exchange, services: Services) -> None:
    managed = {key.provider: key for key in await asyncio.to_thread(services.provider_keys.every, exchange.caller)}
    data: list[dict[str, object]] = []
    for name, source in services.keyed_providers.items():
        entry: dict[str, object] = {"provider": name, "key": source}
        if name in managed:
            entry |= {**asdict(managed[name]), "key": "sealed"}
        data.append(entry)
    await _told(exchange, {"data": data})


async def _put(exchange: Exchange, services: Services) -> None:
    order = taken(NewKey, await exchange.json(_BODY_BYTES))
    name = exchange.variables["id"]
    if name not in services.keyed_providers:
        raise UnknownObject(f"the document declares no provider `{name[:80]}` that takes a key")
    shown = await asyncio.to_thread(services.provider_keys.put, exchange.caller, name, order.key)
    await services.refresh()
    await _told(exchange, shown)


async def _forget(exchange: Exchange, services: Services) -> None:
    name = exchange.variables["id"]
    await asyncio.to_thread(services.provider_keys.forget, exchange.caller, name)
    await services.refresh()
    await _told(exchange, {"provider": name, "forgotten": True})


async def _told(exchange: Exchange, value: object) -> None:
    headers = [(b"x-polyroute-request-id", exchange.request_id.encode()), (b"cache-control", b"no-store")]
    await exchange.reply(200, to_json(value), headers)
