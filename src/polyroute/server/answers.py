"""Answers that their provider keeps, by id: read again, deleted, cancelled. OpenAI's paths below `/v1/responses`.

Bodies pass as they came. Only who made an answer is told of it; anybody else is told that there is none. The request id
is that of the request which made it: its receipt says what it cost.
"""

import asyncio
from contextlib import aclosing
from urllib.parse import parse_qsl

from msgspec import Struct

from polyroute.authorisation import Action
from polyroute.dialects.openai_responses.names import NAME
from polyroute.errors import InvalidRequest, PolyrouteError
from polyroute.keeping import Kept
from polyroute.server.endpoints import Endpoint
from polyroute.server.errors import map_error
from polyroute.server.exchange import Exchange
from polyroute.server.headers import Headers
from polyroute.server.keepalive import KeepAlive, mark_of
from polyroute.server.services import Services
from polyroute.types.request import ask

_MOST_FIELDS = 20
_PATHS: tuple[tuple[str, str, str, Action, str], ...] = (
    ("GET", "", "read", "answers:read", "A response that its provider keeps"),
    ("DELETE", "", "delete", "answers:write", "Deletes a kept response"),
    ("POST", "/cancel", "cancel", "answers:write", "Cancels a response in the background"),
    ("GET", "/input_items", "input", "answers:read", "What a kept response was asked"),
)


def endpoints() -> list[Endpoint]:
    return [
        Endpoint(
            method=method,
            path=f"{root}/responses/{{id}}{path}",
            handler=Recalled(act=act),
            summary=summary,
            action=action,
            dialect=NAME,
        )
        for method, path, act, action, summary in _PATHS
        for root in ("/v1", "")
    ]


class Recalled(Struct, frozen=True, kw_only=True):
    act: str

    async def __call__(self, exchange: Exchange, services: Services) -> None:
        if not exchange.body_read and await exchange.body(_NOTHING_BYTES) not in (b"", b"{}"):
            raise InvalidRequest("this request has no body")
        try:
            query = parse_qsl(exchange.query_string, keep_blank_values=True, max_num_fields=_MOST_FIELDS)
        except ValueError:
            raise InvalidRequest(f"the query has more than {_MOST_FIELDS} fields") from None
        keeping = services.path.keeping
        kept = await keeping.find(exchange.caller, NAME, exchange.variables["id"], self.act, query)
        headers: Headers = [(b"x-polyroute-request-id", kept.owner.request_id.encode())]
        if kept.recall.streams:
            await _follow(exchange, services, kept, headers)
        else:
            await exchange.reply(200, await keeping.ask(kept), [*headers, (b"cache-control", b"no-store")])


async def _follow(exchange: Exchange, services: Services, kept: Kept, headers: Headers) -> None:
    dialect, call_later = services.dialects[NAME], asyncio.get_running_loop().call_later
    pulse = KeepAlive(mark_of(dialect), services.keepalive_s, exchange.interject, call_later)
    try:
        async with aclosing(services.path.keeping.follow(kept)) as events:
            async for data in events:
                if not exchange.started:
                    await exchange.start_events(dialect.stream_type, headers)
                await exchange.send_events(data)
                pulse.is_quiet = False
        await exchange.end_events(b"")
    except PolyrouteError as exc:
        if not exchange.started:
            raise
        told = map_error(exc)
        await exchange.end_events(dialect.open_writer(ask("", "")).error(told.kind, told.message, told.code))
    finally:
        pulse.stop()


_NOTHING_BYTES = 64
