"""The document over HTTP: shown with its secrets as they are named, checked, put in force, taken back.

A document with a mistake is answered 400 with every problem and changes nothing. One that is put is written to its
file, and in force in this process when the answer leaves; other processes on the same file take it within two seconds.
"""

import asyncio

from msgspec import Struct

from polyroute.authorisation import Action
from polyroute.errors import ConfigError, InvalidRequest, Unsupported
from polyroute.server import strict_json
from polyroute.server.desk import ConfigDesk
from polyroute.server.endpoints import Endpoint, Handler
from polyroute.server.exchange import Exchange
from polyroute.server.services import Services
from polyroute.state.directory import taken
from polyroute.types.encoding import to_json

_BODY_BYTES = 16_000_000
_ORDER_BYTES = 4_000
_YES = ("true", "1", "yes")


class Rollback(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    policy: str


def endpoints() -> list[Endpoint]:
    def config(method: str, path: str, handler: Handler, summary: str) -> Endpoint:
        action: Action = "config:read" if method == "GET" else "config:write"
        return Endpoint(method=method, path=f"/admin/config{path}", handler=handler, summary=summary, action=action)

    return [
        config("GET", "", _show, "The document in force, its secrets as they are named"),
        config("PUT", "", _put, "Another document; `?check=true` only looks at it"),
        config("GET", "/history", _history, "The documents that were in force"),
        config("GET", "/history/{id}", _kept, "One of them, by its policy"),
        config("POST", "/rollback", _rollback, "Put one of them in force again: {policy}"),
    ]


async def _show(exchange: Exchange, services: Services) -> None:
    standing = _desk(services).shown()
    (file, text), *included = standing.texts.items()
    told = {"policy": standing.policy, "since": standing.since, "file": file, "text": text, "included": dict(included)}
    await _told(exchange, told)


async def _history(exchange: Exchange, services: Services) -> None:
    kept = await asyncio.to_thread(_desk(services).history.every)
    await _told(exchange, {"data": [{"policy": one.policy, "since": one.since, "by": one.by} for one in kept]})


async def _kept(exchange: Exchange, services: Services) -> None:
    await _told(exchange, await asyncio.to_thread(_desk(services).history.find, exchange.variables["id"]))


async def _put(exchange: Exchange, services: Services) -> None:
    desk, text = _desk(services), _document(await exchange.body(_BODY_BYTES))
    try:
        if exchange.query.get("check", "").lower() in _YES:
            await _told(exchange, {"ok": True, "policy": await desk.check(text), "in_force": False})
            return
        expected = exchange.headers.get("if-match")
        policy = await desk.put(exchange.caller, text, instead_of=expected and expected.strip('" '))
    except ConfigError as exc:
        await _refused(exchange, exc)
        return
    await _told(exchange, {"ok": True, "policy": policy, "in_force": True})


async def _rollback(exchange: Exchange, services: Services) -> None:
    order = taken(Rollback, await exchange.json(_ORDER_BYTES))
    try:
        policy = await _desk(services).rollback(exchange.caller, order.policy)
    except ConfigError as exc:
        await _refused(exchange, exc)
        return
    await _told(exchange, {"ok": True, "policy": policy, "in_force": True})


def _desk(services: Services) -> ConfigDesk:
    if services.config is None:
        raise Unsupported("this gateway was not started from a document's file")
    return services.config


def _document(body: bytes) -> str:
    """The body is the document, or JSON that holds it under `text`. Raises InvalidRequest."""
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise InvalidRequest(f"the byte 0x{body[exc.start]:02x} at {exc.start} is not UTF-8", field="body") from exc
    if not text.strip():
        raise InvalidRequest("the body is empty: send the whole document", field="body")
    if text.lstrip().startswith("{"):
        try:
            given = strict_json.loads(body)
        except InvalidRequest:
            return text  # YAML in its flow form
        if given.keys() == {"text"}:
            if not isinstance(given["text"], str):
                raise InvalidRequest("`text` must be the document's text", field="text")
            return given["text"]
    return text


async def _refused(exchange: Exchange, error: ConfigError) -> None:
    first = error.problems[0]
    count = len(error.problems)
    message = (
        f"the document has {count} problem{'s' if count > 1 else ''}; the first is at {first.path}: {first.message}"
    )
    told = {"message": message, "type": "invalid_request_error", "param": first.path, "code": "invalid_document"}
    await _told(exchange, {"ok": False, "error": told, "problems": error.problems}, status=400)


async def _told(exchange: Exchange, value: object, *, status: int = 200) -> None:
    headers = [(b"x-polyroute-request-id", exchange.request_id.encode()), (b"cache-control", b"no-store")]
    await exchange.reply(status, to_json(value), headers)
