"""The ASGI application: finds the endpoint, authenticates before the body is read, and answers every error shaped.

Authorisation hangs on the matched endpoint, never on a path string read a second time.
"""

import asyncio
import logging

from polyroute import errors
from polyroute.authorisation import may_ever
from polyroute.ports import Monotonic, NamesErrors
from polyroute.server.admission import caller_of
from polyroute.server.endpoints import Found, Table
from polyroute.server.errors import Mapped, map_error
from polyroute.server.exchange import CallerLeft, Exchange, Receive, Scope, Send
from polyroute.server.headers import encode
from polyroute.server.idempotency import HEADER, once
from polyroute.server.reviews import answer_held
from polyroute.server.services import Services

_log = logging.getLogger("polyroute.server")
_INTERNAL = Mapped(
    status=500,
    kind="internal_error",
    code="internal_error",
    field=None,
    message="an error inside the gateway; it is logged under this request's id",
    headers={},
)


class App:
    """`services` may be replaced at any time; a request keeps those it began with."""

    def __init__(self, services: Services, table: Table, monotonic: Monotonic) -> None:
        self.services = services
        self.is_leaving = False  # asked to end: told to whoever asks whether it is ready
        self.table = table
        self._monotonic = monotonic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await _lifespan(receive, send)
            return
        services = self.services
        exchange = Exchange(scope, receive, send, arrived_s=self._monotonic(), request_id=services.new_request_id())
        exchange.is_leaving = self.is_leaving
        found = self.table.find(exchange.method, exchange.path)
        try:
            await self._serve(exchange, services, found)
        except errors.AnswerHeld as held:
            await self._tell_held(exchange, services, found, held)
        except errors.PolyrouteError as exc:
            await self._tell(exchange, services, found, map_error(exc))
        except CallerLeft:
            return
        except asyncio.CancelledError:
            # The connection closed (protocol.py) or the server stops: the books are settled, nobody listens.
            _log.debug("request %s was abandoned", exchange.request_id)
        except Exception:  # noqa: BLE001 - the door's own net: recorded, and nothing leaves as a traceback
            _log.exception("request %s failed inside the gateway", exchange.request_id)
            await self._tell(exchange, services, found, _INTERNAL)

    async def _serve(self, exchange: Exchange, services: Services, found: Found) -> None:
        endpoint = found.endpoint
        if endpoint is None:
            raise _no_endpoint(exchange, found)
        if endpoint.action is not None:
            exchange.caller = await caller_of(exchange, services)
            if not may_ever(exchange.caller, endpoint.action):
                role = exchange.caller.role
                raise errors.Forbidden(f"the role `{role}` of this key is not granted {endpoint.action}")
        exchange.variables = found.variables
        if HEADER in exchange.headers and endpoint.method == "POST" and endpoint.action == "models:call":
            await once(exchange, services, endpoint.handler)
        else:
            await endpoint.handler(exchange, services)

    async def _tell_held(self, exchange: Exchange, services: Services, found: Found, held: errors.AnswerHeld) -> None:
        try:
            await answer_held(exchange, services, held)
        except errors.PolyrouteError as exc:
            await self._tell(exchange, services, found, map_error(exc))

    async def _tell(self, exchange: Exchange, services: Services, found: Found, told: Mapped) -> None:
        if exchange.started:
            return  # a stream has said it in its own last event
        services.metrics.refused(told.code or told.kind)
        dialect = services.dialects[found.dialect]
        body = dialect.render_error(told.kind, told.message, field=told.field, code=told.code)
        headers = {"x-polyroute-request-id": exchange.request_id, **told.headers}
        if isinstance(dialect, NamesErrors):
            headers.update(dialect.error_headers(told.kind, told.code))
        if exchange.client_request_id is not None:
            headers["x-request-id"] = exchange.client_request_id
        if not exchange.body_read:
            headers["connection"] = "close"  # what is still to come of the body is not worth reading
        await exchange.reply(told.status, body, encode(headers))


def _no_endpoint(exchange: Exchange, found: Found) -> errors.PolyrouteError:
    where = f"{exchange.method} {exchange.path[:200]}"
    if found.allowed:
        return errors.WrongMethod(f"{where} is not possible; use {' or '.join(found.allowed)}", allowed=found.allowed)
    return errors.UnknownObject(f"there is nothing at {where}")


async def _lifespan(receive: Receive, send: Send) -> None:
    while (await receive())["type"] != "lifespan.shutdown":
        await send({"type": "lifespan.startup.complete"})
    await send({"type": "lifespan.shutdown.complete"})
