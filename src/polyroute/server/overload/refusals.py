"""What somebody is told who cannot be served now, as an error of the one tree."""

import math

from polyroute.errors import GatewayBusy, RateLimited
from polyroute.server.overload.crowd import Refusal

NO_ROOM = Refusal(retry_after_s=1.0, has_no_room=True)


def error_of(refusal: Refusal) -> GatewayBusy | RateLimited:
    wait = f"try again in {math.ceil(refusal.retry_after_s)} s"
    if refusal.has_no_room:
        return GatewayBusy(
            f"the gateway holds as much of requests' bodies as it may (server.overload.bodies_mb): {wait}",
            retry_after_s=refusal.retry_after_s,
        )
    if refusal.is_own:
        return RateLimited(
            f"the gateway is full, and this team's share of it is used up: {wait}",
            limit="server.overload",
            retry_after_s=refusal.retry_after_s,
        )
    return GatewayBusy(f"more requests come than the gateway can serve: {wait}", retry_after_s=refusal.retry_after_s)
