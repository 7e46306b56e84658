"""Who makes a request: known at once, or, for a token not seen before, after its issuer's keys were looked up."""

from polyroute.server.exchange import Exchange
from polyroute.server.services import Services
from polyroute.types.access import Caller


async def caller_of(exchange: Exchange, services: Services) -> Caller:
    """Raises Unauthenticated, Forbidden or StoreError."""
    return services.authenticate(exchange.headers) or await services.introduce(exchange.headers)
