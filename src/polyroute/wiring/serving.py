"""A document served over HTTP until a signal comes; SIGHUP, or a changed file, puts its new version in force."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from polyroute.config.load import Loaded
from polyroute.server.app import App
from polyroute.server.bus import ALARM, CHANGED, end_with
from polyroute.server.crew import Post
from polyroute.server.serve import OnReady, listen, serve
from polyroute.server.supervisor import ENDING
from polyroute.server.table import build_table
from polyroute.wiring.build import Built, open_gateway
from polyroute.wiring.reload import Desk, Wake, follow


async def serve_document(
    loaded: Loaded, env: Mapping[str, str], on_ready: OnReady | None = None, post: Post | None = None
) -> None:
    """Raises OSError where the address is taken, ConfigError and StoreError as `open_gateway` does.

    `post`: of this process among the workers of one gateway.
    """
    server = loaded.document.server
    with listen(server.host, server.port) if post is None else post.listen() as sock:
        async with open_gateway(loaded, env, post) as built:
            app, wake = App(built.services, build_table(), time.monotonic), Wake()
            loop = asyncio.get_running_loop()
            loop.add_signal_handler(signal.SIGHUP, wake.ask)
            follower = asyncio.create_task(follow(Desk(app, loaded, env, built), app, wake))
            try:
                async with _among_others(post, built, wake, on_ready) as ready:
                    await serve(app, sock, ready, drain_s=server.drain_s, notice_s=server.notice_s)
            finally:
                loop.remove_signal_handler(signal.SIGHUP)
                follower.cancel()
                await asyncio.gather(follower, return_exceptions=True)


@asynccontextmanager
async def _among_others(
    post: Post | None, built: Built, wake: Wake, on_ready: OnReady | None
) -> AsyncIterator[OnReady | None]:
    """Hears what other workers say, and ends with the supervisor. What it gives is to be told of readiness."""
    if post is None:
        yield on_ready
        return

    async def ready(address: str) -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
        if on_ready is not None:
            await on_ready(address)

    # A signal of now waits until the server hears it; one that it has heard means nothing more once it has ended.
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    for ending in ENDING:
        signal.signal(ending, _heard)
    bus = post.bus
    bus.listen({ALARM: built.foundation.watch.alarms.hear, CHANGED: lambda _: wake.tell()})
    end_with(post.line.life, lambda: os.kill(os.getpid(), signal.SIGINT))
    try:
        yield ready
    finally:
        bus.close()


def _heard(number: int, frame: object) -> None:
    """Nothing is left to do."""
