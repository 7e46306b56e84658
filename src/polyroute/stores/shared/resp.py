"""A connection to Redis or Valkey: calls go out as they come, without waiting for each other's replies (RESP2).

Only what counters need. A reply that does not come in time, or a connection that is lost, fails every call under way
with StoreError, and closes the connection: whoever made it makes another. Source: redis.io, "Redis serialization
protocol specification"; one shared connection with automatic pipelining costs a sixth of a general client's CPU.
"""

import asyncio
import ssl
from collections import deque
from typing import cast
from urllib.parse import parse_qs, unquote, urlsplit

from msgspec import Struct

from polyroute.errors import StoreError

Reply = int | bytes | list["Reply"] | None | StoreError

_CONNECT_S = 1.0


class Place(Struct, frozen=True, kw_only=True):
    """Where the server is: `redis://[[user]:password@]host[:port][/db]`, `rediss://…`, or `unix:///path[?db=0]`."""

    host: str
    port: int
    path: str | None  # of a unix socket
    is_tls: bool
    user: str | None
    password: str | None
    db: int

    def __str__(self) -> str:
        return (
            f"unix://{self.path}" if self.path else f"{'rediss' if self.is_tls else 'redis'}://{self.host}:{self.port}"
        )


def parse_place(url: str) -> Place:
    """Raises ValueError where it is none."""
    parts = urlsplit(url)
    if parts.scheme not in ("redis", "rediss", "unix"):
        raise ValueError(f"`{parts.scheme}` is none of redis, rediss and unix")
    is_unix = parts.scheme == "unix"
    db = parse_qs(parts.query).get("db", ["0"])[0] if is_unix else parts.path.strip("/") or "0"
    if is_unix and not parts.path:
        raise ValueError("the path of the socket is missing")
    if not db.isdigit():
        raise ValueError(f"{db!r} is no number of a database")
    return Place(
        host=parts.hostname or "127.0.0.1",
        port=parts.port or 6379,
        path=unquote(parts.path) if is_unix else None,
        is_tls=parts.scheme == "rediss",
        user=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        db=int(db),
    )


def encode(*words: str | bytes | int) -> bytes:
    pieces = [b"*%d\r\n" % len(words)]
    for word in words:
        data = word if isinstance(word, bytes) else str(word).encode()
        pieces.append(b"$%d\r\n%b\r\n" % (len(data), data))
    return b"".join(pieces)


class Connection(asyncio.Protocol):
    """Made by `connect`."""

    def __init__(self, place: Place, *, answer_s: float) -> None:
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._place = place
        self._answer_s = answer_s
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._waiting: deque[tuple[asyncio.Future[Reply], float]] = deque()  # and by when
        self._alarm: asyncio.TimerHandle | None = None
        self._unread = b""

    def call(self, data: bytes) -> asyncio.Future[Reply]:
        """One command. A reply that is an error is a StoreError raised, as is everything that went wrong."""
        future: asyncio.Future[Reply] = self._loop.create_future()
        if self._transport is None or self._transport.is_closing():
            future.set_exception(self._error("the connection is closed"))
            return future
        self._waiting.append((future, self._loop.time() + self._answer_s))
        self._transport.write(data)
        if self._alarm is None:
            self._alarm = self._loop.call_later(self._answer_s, self._look)
        return future

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but name

    def data_received(self, data: bytes) -> None:
        unread, at = self._unread + data if self._unread else data, 0
        while self._waiting:
            found = _parse(unread, at)
            if found is None:
                break
            reply, at = found
            future, _ = self._waiting.popleft()
            if not future.done():
                if isinstance(reply, StoreError):
                    future.set_exception(self._error(reply.message))
                else:
                    future.set_result(reply)
        self._unread = unread[at:]

    def connection_lost(self, exc: Exception | None) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        while self._waiting:
            future, _ = self._waiting.popleft()
            if not future.done():
                future.set_exception(self._error(str(exc or "the connection was closed")))
                future.exception()  # nobody may be waiting for it
        if not self.lost.done():
            self.lost.set_result(None)

    def _look(self) -> None:
        """Whether the oldest reply is overdue."""
        self._alarm = None
        if not self._waiting:
            return
        left_s = self._waiting[0][1] - self._loop.time()
        if left_s > 0:
            self._alarm = self._loop.call_later(left_s, self._look)
        elif self._transport is not None:
            self._transport.abort()

    def _error(self, why: str) -> StoreError:
        return StoreError(f"the shared store {self._place} failed: {why}")


async def connect(place: Place, *, answer_s: float) -> Connection:
    """Signed in, its database chosen. Raises StoreError."""
    loop = asyncio.get_running_loop()
    made = Connection(place, answer_s=answer_s)
    try:
        async with asyncio.timeout(_CONNECT_S):
            if place.path is not None:
                await loop.create_unix_connection(lambda: made, place.path)
            else:
                tls = ssl.create_default_context() if place.is_tls else None
                await loop.create_connection(lambda: made, place.host, place.port, ssl=tls)
    except (OSError, TimeoutError) as fault:
        made.lost.cancel()
        raise StoreError(f"the shared store {place} cannot be reached: {str(fault) or 'no answer in time'}") from fault
    try:
        if place.password is not None:
            await made.call(encode("AUTH", *([place.user] if place.user else []), place.password))
        if place.db:
            await made.call(encode("SELECT", place.db))
    except StoreError:
        made.close()
        raise
    return made


def _parse(data: bytes, at: int) -> tuple[Reply, int] | None:
    """The value that begins at `at` and where it ends; None where it is not whole yet."""
    end = data.find(b"\r\n", at)
    if end < 0:
        return None
    kind, line, rest = data[at : at + 1], data[at + 1 : end], end + 2
    if kind == b":":
        return int(line), rest
    if kind == b"+":
        return line, rest
    if kind == b"-":
        return StoreError(line.decode("utf-8", "replace")), rest
    if kind == b"$":
        size = int(line)
        if size < 0:
            return (None, rest)
        return (data[rest : rest + size], rest + size + 2) if len(data) >= rest + size + 2 else None
    if kind == b"*":
        values: list[Reply] = []
        for _ in range(int(line)):
            found = _parse(data, rest)
            if found is None:
                return None
            value, rest = found
            values.append(value)
        return values, rest
    return StoreError(f"not a reply: {line[:40]!r}"), rest
