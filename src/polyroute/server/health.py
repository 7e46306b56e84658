"""Endpoints for those who watch: health, metrics, the API's description."""

from polyroute.errors import StoreError, UnknownObject
from polyroute.server.admission import caller_of
from polyroute.server.exchange import Exchange
from polyroute.server.services import Services
from polyroute.telemetry.metrics import CONTENT_TYPE


async def live(exchange: Exchange, services: Services) -> None:
    """The process answers. Touches no store."""
    await exchange.reply(200, b'{"status":"ok"}', [])


async def ready(exchange: Exchange, services: Services) -> None:
    """Up or down, and no more, for strangers. A store on another machine may be away: requests go on without it."""
    try:
        if exchange.is_leaving:
            raise StoreError("the gateway ends")
        await services.ledger.check()
    except StoreError:
        await exchange.reply(503, b'{"status":"unavailable"}', [])
        return
    await exchange.reply(200, b'{"status":"ok"}', [])


async def metrics(exchange: Exchange, services: Services) -> None:
    if not services.offers_metrics:
        raise UnknownObject("there is nothing at GET /metrics (telemetry.prometheus is off)")
    if not services.strangers_read_metrics:
        await caller_of(exchange, services)
    await services.accounts.hear()
    await exchange.reply(200, services.metrics.render(), [], (b"content-type", CONTENT_TYPE))
