"""Overrides over HTTP: what is laid over the document for one tenant. JSON in, JSON out.

A layer is checked as the document is before it is kept: every problem at once. It is in force in this process when its
answer leaves, and in others within two seconds.
"""

import asyncio

from polyroute.authorisation import Action
from polyroute.config.layer import differences
from polyroute.errors import ConfigError, InvalidRequest
from polyroute.server.endpoints import Endpoint, Handler
from polyroute.server.exchange import Exchange
from polyroute.server.services import Services
from polyroute.state.directory import taken
from polyroute.state.overrides import Override, OverrideOrder
from polyroute.types.encoding import to_json

_BODY_BYTES = 512_000
_MOST_TOLD = 8  # problems in one error


def endpoints() -> list[Endpoint]:
    def override(method: str, path: str, handler: Handler, summary: str) -> Endpoint:
        action: Action = "config:read" if method == "GET" else "config:write"
        return Endpoint(method=method, path=f"/admin/overrides{path}", handler=handler, summary=summary, action=action)

    return [
        override("GET", "", _every, "Every tenant's override, the expired ones too"),
        override("GET", "/{tenant}", _one, "One, and what it makes other than the document"),
        override("PUT", "/{tenant}", _put, "Lay something over the document: {owner, expires, routes, limits, policy}"),
        override("DELETE", "/{tenant}", _remove, "Take it away"),
    ]


async def _every(exchange: Exchange, services: Services) -> None:
    found = await asyncio.to_thread(services.overrides.every, exchange.caller)
    await _told(exchange, {"data": [_shown(override, services) for override in found]})


async def _one(exchange: Exchange, services: Services) -> None:
    override = await asyncio.to_thread(services.overrides.find, exchange.caller, exchange.variables["tenant"])
    await _told(exchange, await _whole(override, services))


async def _put(exchange: Exchange, services: Services) -> None:
    tenant = exchange.variables["tenant"]
    order = taken(OverrideOrder, await exchange.json(_BODY_BYTES))
    services.overrides.checked(tenant, order)
    laid = await asyncio.to_thread(services.lay, tenant, order.layer)
    if laid.problems:
        told = "; ".join(map(str, laid.problems[:_MOST_TOLD]))
        more = len(laid.problems) - _MOST_TOLD
        message = f"the override does not fit the document: {told}" + (f"; and {more} more" if more > 0 else "")
        raise InvalidRequest(message, field=laid.problems[0].path, code="invalid_override") from ConfigError(
            laid.problems
        )
    made = await asyncio.to_thread(services.overrides.put, exchange.caller, tenant, order)
    await services.refresh()
    await _told(exchange, await _whole(made, services))


async def _remove(exchange: Exchange, services: Services) -> None:
    tenant = exchange.variables["tenant"]
    await asyncio.to_thread(services.overrides.remove, exchange.caller, tenant)
    await services.refresh()
    await _told(exchange, {"tenant": tenant, "removed": True})


def _shown(override: Override, services: Services) -> dict[str, object]:
    return {
        "tenant": override.tenant,
        "owner": override.owner,
        "state": override.state(services.utc_now()),
        "expires_at": override.expires_at,
        "made_at": override.made_at,
        "made_by": override.made_by,
        **override.layer,
    }


async def _whole(override: Override, services: Services) -> dict[str, object]:
    laid = await asyncio.to_thread(services.lay, override.tenant, override.layer)
    diff = differences(services.document, laid, override.tenant)
    return {**_shown(override, services), "diff": diff, "problems": [str(problem) for problem in laid.problems]}


async def _told(exchange: Exchange, value: object) -> None:
    headers = [(b"x-polyroute-request-id", exchange.request_id.encode()), (b"cache-control", b"no-store")]
    await exchange.reply(200, to_json(value), headers)
