"""The model endpoints of every dialect: parse, send along the path, answer in the same dialect."""

import asyncio
from collections.abc import Mapping
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from polyroute.errors import InvalidRequest, PolyrouteError
from polyroute.journey import Entry
from polyroute.ports import Dialect
from polyroute.server.errors import map_error
from polyroute.server.exchange import JSON, Exchange
from polyroute.server.headers import Headers, media_type, receipt_headers, report, standing_headers
from polyroute.server.keepalive import KeepAlive, mark_of
from polyroute.server.services import Services
from polyroute.stages.selection.wishes import FIELD as CACHE_FIELD
from polyroute.types.receipt import Receipt
from polyroute.types.request import Request, without_field
from polyroute.types.response import Ended, Response, Started
from polyroute.types.routing import RequestClass
from polyroute.types.trace import Trace

_Said = TypeVar("_Said", Response, Started)
_CLASSES: Mapping[str, RequestClass] = {"interactive": "interactive", "batch": "batch", "deferred": "deferred"}


class ModelDoor(Struct, frozen=True, kw_only=True):
    """A path where one dialect's callers ask for an answer."""

    dialect: str

    async def __call__(self, exchange: Exchange, services: Services) -> None:
        await answer_body(exchange, services, self.dialect, await exchange.json(services.max_body_bytes))


async def answer_body(exchange: Exchange, services: Services, door: str, body: dict[str, object]) -> None:
    """Answers a request whose body was read and holds all there is to ask; `door` is its dialect."""
    dialect = services.dialects[door]
    request = dialect.parse_request(body, exchange.headers)
    entry = entry_of(exchange, door, request.metadata)
    if CACHE_FIELD in request.extensions:
        entry, request = replace(entry, cache=request.extensions[CACHE_FIELD]), without_field(request, CACHE_FIELD)
    if request.refers:
        entry = replace(entry, holder=await services.path.keeping.holder(exchange.caller, request.refers))
    if request.stream:
        await _stream(exchange, services, dialect, request, entry)
    else:
        await _answer(exchange, services, dialect, request, entry)


def entry_of(exchange: Exchange, door: str, metadata: Mapping[str, object]) -> Entry:
    """Raises InvalidRequest where the class is none."""
    task = exchange.headers.get("x-polyroute-task") or metadata.get("task")
    asked = exchange.headers.get("x-polyroute-class") or metadata.get("class")
    if asked is not None and (not isinstance(asked, str) or asked not in _CLASSES):
        raise InvalidRequest(
            "the class must be `interactive`, `batch` or `deferred` (x-polyroute-class or metadata.class)",
            field="metadata.class",
        )
    session = exchange.headers.get("x-polyroute-session") or metadata.get("session_id")
    told = exchange.headers.get("traceparent")
    return Entry(
        request_id=exchange.request_id,
        arrived_s=exchange.arrived_s,
        door=door,
        client_request_id=exchange.client_request_id,
        trace=Trace.read(told, exchange.headers.get("tracestate")) if told is not None else None,
        task=task if isinstance(task, str) else None,
        request_class=_CLASSES[asked] if asked is not None else None,
        session=session if isinstance(session, str) and session else None,
        cache_control=exchange.headers.get("cache-control"),
    )


def answer_headers(exchange: Exchange, services: Services, receipt: Receipt, *, final: bool) -> Headers:
    headers = receipt_headers(receipt, final=final)
    accounts, caller = services.accounts, exchange.caller
    headers += standing_headers(
        accounts.standings(caller, services.path.monotonic()),
        accounts.remaining_usd(caller, None, services.utc_now()),
    )
    if receipt.trace is not None:
        headers.append((b"traceparent", receipt.trace.under(receipt.request_id).traceparent.encode()))
    return headers


async def _answer(exchange: Exchange, services: Services, dialect: Dialect, request: Request, entry: Entry) -> None:
    answer = await services.path.answer(request, exchange.caller, entry)
    reply, receipt = answer.reply, answer.receipt
    body = reply.wire
    if body is None:
        body = dialect.render_response(_dated(services.path.read(request, reply), receipt), request)
    kind = JSON
    if reply.media_type != "application/json":
        kind = (b"content-type", media_type(reply.media_type).encode())
    await exchange.reply(200, body, answer_headers(exchange, services, receipt, final=True), kind)


async def _stream(exchange: Exchange, services: Services, dialect: Dialect, request: Request, entry: Entry) -> None:
    live = await services.path.stream(request, exchange.caller, entry)
    writer, chunks = dialect.open_writer(request), live.chunks()
    call_later = asyncio.get_running_loop().call_later
    pulse = KeepAlive(mark_of(dialect), services.keepalive_s, exchange.interject, call_later)
    try:
        is_final = live.receipt.state != "open"  # it was whole before its stream began
        await exchange.start_events(
            dialect.stream_type, answer_headers(exchange, services, live.receipt, final=is_final)
        )
        async for chunk in chunks:
            if isinstance(chunk, Ended):
                await exchange.end_events(writer.end(chunk, report(live.receipt)))
            elif data := writer.write(_dated(chunk, live.receipt) if isinstance(chunk, Started) else chunk):
                await exchange.send_events(data)
                pulse.is_quiet = False
    except PolyrouteError as exc:
        # The stream broke, or the books could not be closed: an honest last event in place of the end.
        told = map_error(exc)
        exchange.is_broken = True
        await exchange.end_events(writer.error(told.kind, told.message, told.code))
    finally:
        pulse.stop()
        await live.aclose()


def _dated(said: _Said, receipt: Receipt) -> _Said:
    """With the request's time and id where the provider told none: OpenAI's callers are always given them."""
    if said.created_s is None:
        said = replace(said, created_s=int(receipt.time.timestamp()))
    return said if said.id else replace(said, id=receipt.request_id)
