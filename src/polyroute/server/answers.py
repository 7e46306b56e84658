"""Answers that their provider keeps, by id: read again, deleted, cancelled. OpenAI's paths below `/v1/responses`.

Bodies pass as they came. Only who made an answer is told of it; anybody else is told that there is none. The request id
is that of the request which made it: its receipt says what it cost.
"""

from urllib.parse import parse_qsl

from msgspec import Struct

from polyroute.authorisation import Action
from polyroute.dialects.openai_responses.names import NAME
from polyroute.errors import InvalidRequest
from polyroute.server.endpoints import Endpoint
from polyroute.server.exchange import Exchange
from polyroute.server.services import Services

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
        body, owner = await services.path.keeping.ask(exchange.caller, NAME, exchange.variables["id"], self.act, query)
        headers = [(b"x-polyroute-request-id", owner.request_id.encode()), (b"cache-control", b"no-store")]
        await exchange.reply(200, body, headers)


_NOTHING_BYTES = 64
