"""Caches over HTTP: what they did and how full they are, one answer's facts, and what is to go. JSON out.

What an answer says is shown nowhere: its facts are. A purge is in force in this process when its answer leaves, and in
others within two seconds.
"""

import asyncio
from datetime import UTC, datetime, timedelta

from polyroute.authorisation import Action
from polyroute.errors import InvalidRequest, UnknownObject
from polyroute.server.endpoints import Endpoint, Handler
from polyroute.server.exchange import Exchange
from polyroute.server.services import Services
from polyroute.state.purges import check_key
from polyroute.stores.hits import hits_of
from polyroute.types.caching import Found, Place, Purge
from polyroute.types.encoding import to_json

_MOST_DAYS = 3650
_FIELDS = ("tenant", "route")


def endpoints() -> list[Endpoint]:
    def cache(method: str, path: str, handler: Handler, summary: str) -> Endpoint:
        action: Action = "cache:read" if method == "GET" else "cache:write"
        return Endpoint(method=method, path=f"/admin/cache{path}", handler=handler, summary=summary, action=action)

    return [
        cache("GET", "", _stats, "Hit rate and money saved per route and tier; how full the cache is (?days=30)"),
        cache("DELETE", "", _purge, "Empties it: all, or what is of ?tenant= and ?route="),
        cache("GET", "/{key}", _inspect, "One kept answer's facts, by its receipt's cache_key"),
        cache("DELETE", "/{key}", _purge, "Forgets one answer"),
    ]


async def _stats(exchange: Exchange, services: Services) -> None:
    asked = _asked(exchange, ("days", *_FIELDS))
    days = asked.get("days", "30")
    if not days.isdecimal() or not 0 < int(days[:5]) <= _MOST_DAYS:
        raise InvalidRequest(f"`days` must be a whole number of 1 to {_MOST_DAYS}", field="days")
    since = services.utc_now() - timedelta(days=int(days))
    lines = await asyncio.to_thread(services.cache_lines, since)
    routes = hits_of(lines, tenant=asked.get("tenant"), route=asked.get("route"))
    standing = await services.path.recalling.standing()
    await _told(exchange, {"since": since.astimezone(UTC), "cache": standing, "routes": routes})


async def _inspect(exchange: Exchange, services: Services) -> None:
    key = exchange.variables["key"]
    check_key(key)
    found = await services.path.recalling.inspect(key)
    if found is None:
        raise UnknownObject(f"no answer is kept under `{key}` here")
    await _told(exchange, shown(*found, services.utc_now()))


async def _purge(exchange: Exchange, services: Services) -> None:
    asked = _asked(exchange, _FIELDS)
    what = Purge(tenant=asked.get("tenant"), route=asked.get("route"), key=exchange.variables.get("key"))
    number = await asyncio.to_thread(services.purges.ask, exchange.caller, what)
    removed = await services.path.recalling.purge(what)
    await services.refresh()
    await _told(exchange, {"purge": number, "removed": removed})


def shown(place: Place, found: Found, now: datetime) -> dict[str, object]:
    answer = found.answer
    return {
        "key": place.key,
        "tenant": place.tenant,
        "route": place.route,
        "request_id": answer.request_id,
        "model": answer.model,
        "provider": answer.provider,
        "stop": answer.stop.value,
        "usage": answer.usage,
        "cost_usd": answer.cost_usd,
        "age_s": round(found.age_s, 3),
        "expires_at": now + timedelta(seconds=found.left_s),
        "bytes": sum(len(part or b"") for part in (answer.wire, answer.events, answer.tail)),
    }


def _asked(exchange: Exchange, names: tuple[str, ...]) -> dict[str, str]:
    """Raises InvalidRequest for what is not known: a mistyped name must not empty more than was meant."""
    for name in exchange.query:
        if name not in names:
            raise InvalidRequest(f"`{name[:60]}` is not known here: {', '.join(names)}", field=name[:60])
    return exchange.query


async def _told(exchange: Exchange, value: object) -> None:
    headers = [(b"x-polyroute-request-id", exchange.request_id.encode()), (b"cache-control", b"no-store")]
    await exchange.reply(200, to_json(value), headers)
