"""Prompts over HTTP: read all of them, add versions to the managed ones, move their labels. JSON in, JSON out.

A version never changes and never goes; a rollback moves a label. What the document declares is read here and changed
there. A change is in force in this process when its answer leaves, and in others within two seconds.
"""

import asyncio

from msgspec import Struct

from polyroute.authorisation import Action
from polyroute.errors import Conflict, InvalidRequest, UnknownObject
from polyroute.prompts.reference import parse_reference
from polyroute.prompts.shelf import Actor, Shelf
from polyroute.prompts.show import listed, shown
from polyroute.server.endpoints import Endpoint, Handler
from polyroute.server.exchange import Exchange
from polyroute.server.services import Services
from polyroute.state.directory import taken
from polyroute.types.encoding import to_json
from polyroute.types.prompts import Kept, Prompt, Variable, Variant, Wordings

_BODY_BYTES = 1_000_000


class NewVersion(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of a new version. `labels` are set to it in the same act."""

    variants: dict[str, Variant]
    variables: dict[str, Variable] = {}
    labels: tuple[str, ...] = ()
    name: str | None = None


class Pointing(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    version: int


def endpoints() -> list[Endpoint]:
    def prompt(method: str, path: str, handler: Handler, summary: str) -> Endpoint:
        action: Action = "prompts:read" if method == "GET" else "prompts:write"
        return Endpoint(method=method, path=f"/admin/prompts{path}", handler=handler, summary=summary, action=action)

    return [
        prompt("GET", "", _every, "Every prompt, the document's and the managed ones"),
        prompt("POST", "", _add, "A new prompt, or a new version of one"),
        prompt("GET", "/{id}", _one, "One prompt with its versions, labels and history"),
        prompt("POST", "/{id}/versions", _add, "A new version"),
        prompt("GET", "/{id}/versions/{version}", _version, "One version"),
        prompt("PUT", "/{id}/labels/{label}", _point, "Set or move a label: a rollback"),
        prompt("DELETE", "/{id}/labels/{label}", _unpoint, "Take a label away"),
    ]


async def _every(exchange: Exchange, services: Services) -> None:
    managed = await asyncio.to_thread(Shelf(services.records).every)
    await _told(exchange, {"data": listed(services.prompts.declared, managed)})


async def _one(exchange: Exchange, services: Services) -> None:
    name = exchange.variables["id"]
    await _told(exchange, shown(name, await _found(name, services)))


async def _version(exchange: Exchange, services: Services) -> None:
    name, version = exchange.variables["id"], exchange.variables["version"]
    told = shown(name, await _found(name, services)).versions.get(version)
    if told is None:
        raise UnknownObject(f"the prompt `{name}` has no version `{version[:40]}`")
    await _told(exchange, told)


async def _add(exchange: Exchange, services: Services) -> None:
    order = taken(NewVersion, await exchange.json(_BODY_BYTES))
    name = exchange.variables.get("id", order.name)
    if name is None:
        raise InvalidRequest("`name` is missing: what the prompt is called", field="name")
    if order.name not in (None, name):
        raise InvalidRequest("`name` in the body is not the one in the path", field="name")
    _refuse_declared(name, services)
    for variant, words in order.variants.items():
        if words.file is not None:
            at = f"variants.{variant}.file"
            raise InvalidRequest(f"`{at}`: only the document names files; send the text as `system`", field=at)
    wordings = Wordings(variants=order.variants, variables=order.variables)
    shelf = Shelf(services.records)
    number = await asyncio.to_thread(shelf.add, name, wordings, order.labels, _actor(exchange, services))
    services.prompts.refresh()
    told = {"name": name, "version": number, "id": f"{name}@{number}", "labels": list(order.labels)}
    await _told(exchange, told, status=201)


async def _point(exchange: Exchange, services: Services) -> None:
    name, label = exchange.variables["id"], exchange.variables["label"]
    version = taken(Pointing, await exchange.json(_BODY_BYTES)).version
    _refuse_declared(name, services)
    kept = await asyncio.to_thread(Shelf(services.records).point, name, label, version, _actor(exchange, services))
    await _moved(exchange, services, name, kept)


async def _unpoint(exchange: Exchange, services: Services) -> None:
    name, label = exchange.variables["id"], exchange.variables["label"]
    _refuse_declared(name, services)
    for route in services.path.routes.names:
        wanted = services.path.routes.find(route).prompt if services.path.routes.is_route(route) else None
        if wanted is not None and (reference := parse_reference(wanted)).label == label and reference.name == name:
            raise Conflict(f"route `{route}` goes by `{wanted}`: move the label instead, or change the route")
    kept = await asyncio.to_thread(Shelf(services.records).unpoint, name, label, _actor(exchange, services))
    await _moved(exchange, services, name, kept)


async def _moved(exchange: Exchange, services: Services, name: str, kept: Kept) -> None:
    services.prompts.refresh()
    await _told(exchange, {"name": name, "labels": kept.labels})


async def _found(name: str, services: Services) -> Prompt | Kept:
    declared = services.prompts.declared.get(name)
    if declared is not None:
        return declared
    kept = await asyncio.to_thread(Shelf(services.records).find, name)
    if kept is None:
        raise UnknownObject(f"there is no prompt `{name[:80]}`")
    return kept


def _refuse_declared(name: str, services: Services) -> None:
    if name in services.prompts.declared:
        raise Conflict(f"the prompt `{name}` is the document's: change it there, or take another name")


def _actor(exchange: Exchange, services: Services) -> Actor:
    caller = exchange.caller
    return Actor(name=caller.key_id or caller.user, role=caller.role, now=services.utc_now())


async def _told(exchange: Exchange, value: object, *, status: int = 200) -> None:
    headers = [(b"x-polyroute-request-id", exchange.request_id.encode()), (b"cache-control", b"no-store")]
    await exchange.reply(status, to_json(value), headers)
