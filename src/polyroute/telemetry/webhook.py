"""One message to somebody's address: signed, tried again, at least once where the address answers at all.

The signature is the one that payment companies made customary: `t=UNIX,v1=HEX`, the HMAC-SHA-256 of `UNIX.BODY` under
the shared secret. Whoever receives it refuses an old `t`, and a second message with the same id.
"""

import asyncio
import hmac
import logging
from collections.abc import Awaitable, Callable

from polyroute.errors import ProviderError
from polyroute.ports import Transport
from polyroute.types.cards import Deadlines
from polyroute.types.encoding import to_json

_LOG = logging.getLogger(__name__)
_TRIES = 5
_FIRST_PAUSE_S = 1.0
_DEADLINES = Deadlines(connect_s=5, first_token_s=10, between_tokens_s=10, total_s=15)


class Webhook:
    def __init__(
        self,
        url: str,
        secret: str | None,
        transport: Transport,
        *,
        unix_s: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._url = url
        self._secret = secret
        self._transport = transport
        self._unix_s = unix_s
        self._sleep = sleep

    async def send(self, message: dict[str, object]) -> bool:
        """Whether it arrived. Each try waits twice as long as the one before."""
        body = to_json(message)
        pause_s = _FIRST_PAUSE_S
        for number in range(1, _TRIES + 1):
            if await self._arrives(body):
                return True
            if number < _TRIES:
                await self._sleep(pause_s)
                pause_s *= 2
        _LOG.warning("a webhook did not take %s after %d tries", message.get("event"), _TRIES)
        return False

    async def _arrives(self, body: bytes) -> bool:
        headers = {"content-type": "application/json", "user-agent": "polyroute"}
        if self._secret is not None:
            headers["x-polyroute-signature"] = sign(body, self._secret, int(self._unix_s()))
        try:
            reply = await self._transport.post(self._url, body, headers, _DEADLINES)
        except ProviderError:
            return False
        reply.close()
        return 200 <= reply.status < 300


def sign(body: bytes, secret: str, unix_s: int) -> str:
    digest = hmac.new(secret.encode(), f"{unix_s}.".encode() + body, "sha256").hexdigest()
    return f"t={unix_s},v1={digest}"
