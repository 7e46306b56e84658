"""Our own HTTP/1.1 client: keep-alive pools, four deadlines, nothing else.

No redirects, no proxies, no cookies. A kept connection that turns out to have been closed by the
other side before a byte of answer is replaced once by a fresh one; nothing else is ever sent twice.
"""

import asyncio
import ssl
from collections.abc import Mapping

from msgspec import Struct

from polyroute.errors import Unreachable
from polyroute.providers.transport.address import Address, Origin, parse_url
from polyroute.providers.transport.bounds import field_lines
from polyroute.providers.transport.connection import Http1Reply
from polyroute.providers.transport.pool import Pool
from polyroute.types.cards import Deadlines

_MAX_TARGETS = 4096  # URLs remembered; the document names them all, so this is never reached in earnest


class _Target(Struct, frozen=True):
    pool: Pool
    head: bytes  # the request line and the fields that never change


class Http1Transport:
    def __init__(
        self,
        *,
        max_open: int = 1000,
        max_idle: int = 128,
        idle_s: float = 30.0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Bounds are per origin. `tls`: for authorities beyond the system's own."""
        self._max_open = max_open
        self._max_idle = max_idle
        self._idle_s = idle_s
        self._tls = tls
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pools: dict[Origin, Pool] = {}
        self._targets: dict[str, _Target] = {}

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], deadlines: Deadlines) -> Http1Reply:
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._move_to(loop)
        target = self._targets.get(url) or self._target(loop, url)
        head = b"%b%bcontent-length: %d\r\n\r\n" % (target.head, field_lines(headers), len(body))
        return await send(target.pool, head, body, deadlines, loop.time())

    async def get(self, url: str, headers: Mapping[str, str], deadlines: Deadlines) -> Http1Reply:
        """Its URLs are not remembered: what a caller wrote may be part of them."""
        return await self._ask("GET", url, headers, deadlines)

    async def delete(self, url: str, headers: Mapping[str, str], deadlines: Deadlines) -> Http1Reply:
        """Likewise."""
        return await self._ask("DELETE", url, headers, deadlines)

    async def _ask(self, method: str, url: str, headers: Mapping[str, str], deadlines: Deadlines) -> Http1Reply:
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._move_to(loop)
        address = parse_url(url)
        head = b"%b%b\r\n" % (head_of(method, address), field_lines(headers))
        return await send(self._pool(loop, address.origin), head, b"", deadlines, loop.time())

    async def aclose(self) -> None:
        for pool in self._pools.values():
            pool.close()
        self._pools.clear()
        self._targets.clear()
        await asyncio.sleep(0)  # lets the loop close the sockets

    def _target(self, loop: asyncio.AbstractEventLoop, url: str) -> _Target:
        address = parse_url(url)
        if len(self._targets) >= _MAX_TARGETS:
            self._targets.clear()
        target = self._targets[url] = _Target(self._pool(loop, address.origin), head_of("POST", address))
        return target

    def _pool(self, loop: asyncio.AbstractEventLoop, origin: Origin) -> Pool:
        pool = self._pools.get(origin)
        if pool is None:
            pool = self._pools[origin] = Pool(
                loop,
                origin,
                tls=self._tls_context() if origin.is_tls else None,
                max_open=self._max_open,
                max_idle=self._max_idle,
                idle_s=self._idle_s,
            )
        return pool

    def _tls_context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
            self._tls.set_alpn_protocols(["http/1.1"])
        return self._tls

    def _move_to(self, loop: asyncio.AbstractEventLoop) -> None:
        """A connection lives and dies with its loop; `asyncio.run` twice in one program means two of them."""
        self._loop = loop
        self._pools = {}
        self._targets = {}


def head_of(method: str, address: Address) -> bytes:
    """The request line and the fields that never change."""
    return f"{method} {address.target} HTTP/1.1\r\nhost: {address.authority}\r\naccept-encoding: identity\r\n".encode()


async def send(pool: Pool, head: bytes, body: bytes, deadlines: Deadlines, started_at: float) -> Http1Reply:
    """The answer, once its head is here."""
    connection = pool.take_idle() or await pool.take(deadlines)
    was_kept = connection.served > 0
    reply = connection.send(head, body, deadlines, started_at)
    try:
        await reply.head()
    except Unreachable:
        if not (was_kept and reply.is_unanswered):
            raise
        connection = await pool.take(deadlines, fresh=True)
        reply = connection.send(head, body, deadlines, started_at)
        await reply.head()
    return reply
