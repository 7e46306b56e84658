"""Runs the application: uvicorn with our strict protocol on uvloop, sockets of our own, a sweep for the slow."""

import asyncio
import gc
import logging
import signal
import socket
from collections.abc import Awaitable, Callable
from types import FrameType

import uvicorn
import uvloop

from polyroute.server import idempotency
from polyroute.server.app import App
from polyroute.server.overload import descriptors
from polyroute.server.protocol import Connections, StrictProtocol, sweep

_BACKLOG = 2048
_YOUNG_OBJECTS = 20_000  # allocated before a collection; the default of 700 is a handful of requests

OnReady = Callable[[str], Awaitable[None]]


def listen(host: str, port: int, *, shares: bool = False) -> socket.socket:
    """A bound socket; `shares` its address with others of this user that do. Raises OSError where it is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shares:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        sock.bind((host, port))
    except OSError:
        sock.close()
        raise
    return sock


def address_of(host: str, port: int) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


async def serve(
    app: App, sock: socket.socket, on_ready: OnReady | None = None, *, drain_s: float = 30.0, notice_s: float = 0.0
) -> None:
    """Until SIGINT or SIGTERM, when running requests get `drain_s` seconds; or until cancelled, when they get none.

    At SIGTERM it says for `notice_s` that it is not ready, so that a balancer turns away, before it stops listening.
    """
    config = uvicorn.Config(
        app,
        http=StrictProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,  # who calls is told by their key, never by a header
        server_header=False,
        date_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=drain_s,  # type: ignore[arg-type]  # a fraction serves as well
        backlog=_BACKLOG,
    )
    server = _Server(config, app, on_ready, notice_s)
    connections = server.server_state
    sweeper = asyncio.create_task(sweep(connections.connections))
    watcher = asyncio.create_task(connections.entrance.watch())
    patience_s = 0.0
    try:
        await server.serve(sockets=[sock])
        patience_s = max(0.0, server.ending_s + drain_s - asyncio.get_running_loop().time())
    finally:
        sweeper.cancel()
        watcher.cancel()
        await server.end()
        await idempotency.finish(patience_s)
        await asyncio.gather(sweeper, watcher, return_exceptions=True)


def run(main: Callable[[], Awaitable[None]]) -> None:
    """`main` on a fresh uvloop."""
    descriptors.obtain()
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    # What is loaded by now lives as long as the process: the collector need not look at it again and again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_as_coroutine(main))


async def _as_coroutine(main: Callable[[], Awaitable[None]]) -> None:
    await main()


class _Server(uvicorn.Server):
    server_state: Connections

    def __init__(self, config: uvicorn.Config, app: App, on_ready: OnReady | None, notice_s: float) -> None:
        super().__init__(config)
        self.server_state = self._connections = Connections(app, app.services.crowd)
        self._app = app
        self._on_ready = on_ready
        self._notice_s = notice_s
        self._loop = asyncio.get_running_loop()
        self.ending_s = 0.0  # since when

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if sig != signal.SIGTERM or self._app.is_leaving or not self._notice_s:
            super().handle_exit(sig, frame)
            return
        self._app.is_leaving = self._connections.is_leaving = True
        self._loop.call_soon_threadsafe(self._loop.call_later, self._notice_s, super().handle_exit, sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._app.is_leaving = self._connections.is_leaving = True
        self.ending_s = self._loop.time()
        await super().shutdown(sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self._on_ready is not None and sockets and not self.should_exit:
            await self._on_ready(address_of(*sockets[0].getsockname()[:2]))

    async def end(self) -> None:
        """Closes what a stop by cancellation left open; running requests are cancelled, and their books settled."""
        for listener in self.servers:
            listener.close()
        running = list(self.server_state.tasks)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        for connection in list(self.server_state.connections):
            connection.shutdown()
