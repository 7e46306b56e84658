"""Endpoints for those who watch: health, metrics, the API's description."""

from polyroute.server.exchange import Exchange
from polyroute.server.services import Services
from polyroute.telemetry.metrics import CONTENT_TYPE


async def live(exchange: Exchange, services: Services) -> None:
    """The process answers. Touches no store."""
    await exchange.reply(200, b'{"status":"ok"}', [])


async def ready(exchange: Exchange, services: Services) -> None:
    """Up or down, and no more, for strangers."""
    up = await services.is_ready()
    await exchange.reply(200 if up else 503, b'{"status":"ok"}' if up else b'{"status":"unavailable"}', [])


async def metrics(exchange: Exchange, services: Services) -> None:
    if not services.strangers_read_metrics:
        services.authenticate(exchange.headers)
    await exchange.reply(200, services.metrics.render(), [], (b"content-type", CONTENT_TYPE))
