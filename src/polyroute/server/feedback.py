"""`POST /v1/feedback`: what a caller thinks of an answer, by its receipt."""

import asyncio

from polyroute.config.document import kept_for
from polyroute.errors import UnknownObject
from polyroute.server.endpoints import Endpoint
from polyroute.server.exchange import Exchange
from polyroute.server.lookups import may_read
from polyroute.server.services import Services
from polyroute.state.directory import taken
from polyroute.state.feedback import FeedbackOrder
from polyroute.types.encoding import to_json

_BODY_BYTES = 64_000


def endpoints() -> list[Endpoint]:
    return [
        Endpoint(
            method="POST",
            path="/v1/feedback",
            handler=_give,
            summary="A score of an answer: {receipt, score: 0 to 1, comment}",
            action="feedback:write",
        )
    ]


async def _give(exchange: Exchange, services: Services) -> None:
    """A foreign receipt and one that is not there look the same."""
    order = taken(FeedbackOrder, await exchange.json(_BODY_BYTES))
    is_name = order.receipt.isascii() and order.receipt.isprintable()
    found = await services.ledger.receipt(order.receipt) if is_name else None
    if found is None or not may_read(exchange.caller, found):
        raise UnknownObject(f"there is no receipt `{order.receipt[:80]}`{kept_for(services.document.store.retention)}")
    given = await asyncio.to_thread(services.feedback.give, exchange.caller, found, order)
    await exchange.reply(200, to_json({"receipt": found.request_id, "score": given.score, "at": given.at}), [])
