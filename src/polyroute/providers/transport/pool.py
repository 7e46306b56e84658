"""The connections to one origin: idle ones are used newest first, so that the rest can grow old and be closed."""

import asyncio
import os
import socket
import ssl
from collections import deque

from polyroute.errors import ProviderTimeout, Remedy, Unreachable
from polyroute.providers.transport.address import Origin
from polyroute.providers.transport.connection import Connection
from polyroute.types.cards import Deadlines


class Pool:
    """Bounded: at most `max_open` connections, of which `max_idle` wait for the next call, each at most `idle_s`."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        origin: Origin,
        *,
        tls: ssl.SSLContext | None,
        max_open: int,
        max_idle: int,
        idle_s: float,
    ) -> None:
        self._loop = loop
        self._origin = origin
        self._tls = tls
        self._max_open = max_open
        self._max_idle = max_idle
        self._idle_s = idle_s
        self._idle: list[Connection] = []  # the last is the newest
        self._open: set[Connection] = set()
        self._slots = 0  # open, or being opened
        self._waiting: deque[asyncio.Future[Connection | None]] = deque()
        self._sweeper: asyncio.TimerHandle | None = None

    def take_idle(self) -> Connection | None:
        idle, oldest = self._idle, self._loop.time() - self._idle_s
        while idle:
            connection = idle.pop()
            if connection.idle_since >= oldest and connection.can_serve():
                return connection
            connection.abort()
        return None

    async def take(self, deadlines: Deadlines, *, fresh: bool = False) -> Connection:
        """An idle connection (unless `fresh`) or a new one. Raises ProviderTimeout, Unreachable."""
        limit_s = min(deadlines.connect_s, deadlines.total_s)
        try:
            async with asyncio.timeout(limit_s):
                return (None if fresh else self.take_idle()) or await self._place() or await self._connect()
        except TimeoutError as exc:
            why = f"all {self._max_open} connections to it are busy" if self._is_full() else "it does not answer"
            raise ProviderTimeout(
                f"no connection to the provider within {limit_s:g} s: {why}",
                phase="connect" if limit_s == deadlines.connect_s else "total",
            ) from exc
        except ssl.SSLError as exc:
            error = Unreachable(f"no TLS connection to the provider: {exc.reason or 'handshake failed'}")
            error.remedy = Remedy.SWITCH  # a certificate does not heal by itself
            raise error from exc
        except OSError as exc:
            raise Unreachable(f"no connection to the provider: {_reason(exc)}") from exc

    def idle(self, connection: Connection) -> None:
        """From a connection: its answer is read, it may serve again."""
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return
        if len(self._idle) >= self._max_idle:
            connection.abort()
            return
        self._idle.append(connection)
        if self._sweeper is None:
            self._sweeper = self._loop.call_later(self._idle_s, self._sweep)

    def gone(self, connection: Connection) -> None:
        """From a connection: it is closed."""
        if connection in self._open:
            self._open.discard(connection)
            if connection in self._idle:
                self._idle.remove(connection)
            self._free_slot()

    def close(self) -> None:
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        for connection in tuple(self._open):
            connection.abort()

    def _is_full(self) -> bool:
        return self._slots >= self._max_open

    async def _place(self) -> Connection | None:
        """Waits for room: a connection just freed, or None for leave to open one."""
        if not self._is_full():
            self._slots += 1
            return None
        waiter: asyncio.Future[Connection | None] = self._loop.create_future()
        self._waiting.append(waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():  # granted in the same moment: pass it on
                granted = waiter.result()
                if granted is None:
                    self._free_slot()
                else:
                    self.idle(granted)
            raise

    async def _connect(self) -> Connection:
        connection, origin = Connection(self._loop, self), self._origin
        try:
            await self._loop.create_connection(
                lambda: connection,
                origin.host,
                origin.port,
                ssl=self._tls,
                server_hostname=(origin.server_name or origin.host) if self._tls is not None else None,
            )
        except BaseException:
            connection.abort()
            self._free_slot()
            raise
        self._open.add(connection)
        return connection

    def _free_slot(self) -> None:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        self._slots -= 1

    def _sweep(self) -> None:
        """Closes what has been idle too long."""
        now = self._loop.time()
        for connection in [one for one in self._idle if now - one.idle_since >= self._idle_s]:
            self._idle.remove(connection)
            connection.abort()
        self._sweeper = self._loop.call_at(self._idle[0].idle_since + self._idle_s, self._sweep) if self._idle else None


def _reason(exc: OSError) -> str:
    """In words without any address: `exc` itself often names one."""
    if isinstance(exc, socket.gaierror):
        return "its name could not be resolved"
    return os.strerror(exc.errno).lower() if exc.errno else "none of its addresses accepts one"
