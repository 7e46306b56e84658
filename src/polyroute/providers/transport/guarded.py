"""HTTP calls to addresses that somebody named while the gateway runs, rather than in its document.

Such an address may lead nowhere but the public internet: https on a usual port, without credentials; its name is looked
up once, every answer must be public, and the connection goes to that very answer, so that a name that changes its mind
(DNS rebinding) changes nothing. No redirect is followed, no connection kept. OWASP, "Server-Side Request Forgery
Prevention Cheat Sheet".
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from ipaddress import ip_address
from socket import IPPROTO_TCP, SOCK_STREAM

from msgspec.structs import replace

from polyroute.dialects.addresses import is_public, is_public_address
from polyroute.errors import Rejected, Unreachable
from polyroute.providers.transport.address import Address, parse_url
from polyroute.providers.transport.bounds import field_lines
from polyroute.providers.transport.connection import Http1Reply
from polyroute.providers.transport.http1 import head_of, send
from polyroute.providers.transport.pool import Pool
from polyroute.types.cards import Deadlines

PORTS = frozenset({443, 8443})
_MOST_OPEN = 100

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]  # addresses of a name; raises OSError


def objection_to(url: str) -> str | None:
    """Why `url` may not be called, as far as can be told without looking its name up. Pure."""
    try:
        address = parse_url(url)
    except ValueError as exc:
        return str(exc)
    if not address.origin.is_tls:
        return "it must begin with https://"
    if address.origin.port not in PORTS:
        return f"its port must be one of {', '.join(map(str, sorted(PORTS)))}"
    if not is_public(url):
        return "it must name a host of the public internet"
    return None


class GuardedTransport:
    """Fulfils the port `Transport`. Raises Rejected for an address that may not be called."""

    def __init__(self, resolve: Resolve | None = None, *, tls: ssl.SSLContext | None = None) -> None:
        """`resolve`: by default the system's. `tls`: for authorities beyond the system's own."""
        self._resolve = resolve or _system_resolve
        self._tls = tls or ssl.create_default_context()
        self._room = asyncio.Semaphore(_MOST_OPEN)

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], deadlines: Deadlines) -> Http1Reply:
        return await self._call("POST", url, body, headers, deadlines)

    async def get(self, url: str, headers: Mapping[str, str], deadlines: Deadlines) -> Http1Reply:
        return await self._call("GET", url, b"", headers, deadlines)

    async def delete(self, url: str, headers: Mapping[str, str], deadlines: Deadlines) -> Http1Reply:
        return await self._call("DELETE", url, b"", headers, deadlines)

    async def aclose(self) -> None:
        """Nothing is kept."""

    async def _call(
        self, method: str, url: str, body: bytes, headers: Mapping[str, str], deadlines: Deadlines
    ) -> Http1Reply:
        if (why := objection_to(url)) is not None:
            raise Rejected(f"this address may not be called: {why}")
        loop = asyncio.get_running_loop()
        started_at = loop.time()
        async with self._room:
            address = await self._looked_up(parse_url(url), deadlines)
            pool = Pool(loop, address.origin, tls=self._tls, max_open=1, max_idle=0, idle_s=0.0)
            length = b"content-length: %d\r\n" % len(body) if method == "POST" else b""
            head = b"%b%b%b\r\n" % (head_of(method, address), field_lines(headers), length)
            return await send(pool, head, body, deadlines, started_at)

    async def _looked_up(self, address: Address, deadlines: Deadlines) -> Address:
        """With the one address that is called, and the name its certificate must bear."""
        origin = address.origin
        try:
            async with asyncio.timeout(min(deadlines.connect_s, deadlines.total_s)):
                found = await self._resolve(origin.host, origin.port)
        except (OSError, TimeoutError) as exc:
            raise Unreachable("its name could not be resolved") from exc
        if not found or not all(is_public_address(ip_address(one.partition("%")[0])) for one in found):
            raise Rejected("this address may not be called: its name leads into a private network")
        return replace(address, origin=replace(origin, host=found[0], server_name=origin.host))


async def _system_resolve(host: str, port: int) -> Sequence[str]:
    loop = asyncio.get_running_loop()
    return [str(info[4][0]) for info in await loop.getaddrinfo(host, port, type=SOCK_STREAM, proto=IPPROTO_TCP)]
