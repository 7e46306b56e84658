"""A fault proxy between a client and a server: what networks and dying machines do, switched while connections run.

Listens on a unix socket or a loopback port, one relay per connection. `fault` holds for connections there are and those
to come:

    none        everything passes
    delay       each piece waits `delay_s`
    hole        nothing passes any more, and nobody is told
    refuse      every connection is reset, and new ones at once
    reset       every connection is reset, at once or after `after_bytes` more from the server
"""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Literal

Fault = Literal["none", "delay", "hole", "refuse", "reset"]
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER with no time: closing sends RST
_PIECE = 1 << 16


class Proxy:
    def __init__(self, upstream: Path) -> None:
        self._upstream = upstream
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._mended = asyncio.Event()
        self._mended.set()
        self._bytes_left: int | None = None
        self.fault: Fault = "none"
        self.delay_s = 0.0
        self.connections = 0  # open now

    def mend(self) -> None:
        self.fault, self.delay_s, self._bytes_left = "none", 0.0, None
        self._mended.set()

    def delay(self, seconds: float) -> None:
        self.fault, self.delay_s = "delay", seconds

    def hole(self) -> None:
        self.fault = "hole"
        self._mended.clear()

    def refuse(self) -> None:
        self.fault = "refuse"
        self.cut()

    def reset(self, *, after_bytes: int | None = None) -> None:
        """Until mended: new connections meet the same end."""
        self.fault, self._bytes_left = "reset", after_bytes
        if after_bytes is None:
            self.cut()

    def cut(self) -> None:
        """Reset the connections there are."""
        for writer in list(self._writers):
            _reset(writer)

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.fault == "refuse" or (self.fault == "reset" and self._bytes_left is None):
            _reset(writer)
            return
        try:
            far_reader, far_writer = await asyncio.open_unix_connection(self._upstream)
        except OSError:
            _reset(writer)
            return
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        self._writers |= {writer, far_writer}
        try:
            with suppress(asyncio.CancelledError):  # only `aclose` cancels
                async with asyncio.TaskGroup() as ways:
                    ways.create_task(self._relay(reader, far_writer, counts=False))
                    ways.create_task(self._relay(far_reader, writer, counts=True))
        finally:
            self._tasks.discard(task)
            self._writers -= {writer, far_writer}
            self.connections -= 1
            for side in (writer, far_writer):
                side.transport.abort()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, counts: bool) -> None:
        with suppress(OSError):
            while piece := await reader.read(_PIECE):
                if self.fault == "delay":
                    await asyncio.sleep(self.delay_s)
                if self.fault == "hole":
                    return await self._swallow(reader, writer)
                if counts and self.fault == "reset" and self._bytes_left is not None:
                    self._bytes_left -= len(piece)
                    if self._bytes_left <= 0:
                        writer.write(piece[: max(len(piece) + self._bytes_left, 0)])
                        self.cut()
                        return None
                writer.write(piece)
                await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()
        return None

    async def _swallow(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A connection that went through the hole is lost: what comes after the mending is answered by a reset."""
        await self._mended.wait()
        _reset(writer)

    async def aclose(self) -> None:
        self._mended.set()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)  # the transports' own closing


def _reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    if sock is not None and sock.family != socket.AF_UNIX:
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()


@asynccontextmanager
async def proxy(upstream: Path, *, listen: Path) -> AsyncIterator[Proxy]:
    """Before the server on the socket `upstream`, itself on the socket `listen`."""
    made = Proxy(upstream)
    server = await asyncio.start_unix_server(made.accept, listen)
    try:
        yield made
    finally:
        server.close()
        await made.aclose()
