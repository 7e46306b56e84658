"""A document served over HTTP until a signal comes; SIGHUP, or a changed file, puts its new version in force."""

import asyncio
import signal
import time
from collections.abc import Mapping

from polyroute.config.load import Loaded
from polyroute.server.app import App
from polyroute.server.serve import OnReady, listen, serve
from polyroute.server.table import build_table
from polyroute.wiring.build import open_gateway
from polyroute.wiring.reload import Desk, follow


async def serve_document(loaded: Loaded, env: Mapping[str, str], on_ready: OnReady | None = None) -> None:
    """Raises OSError where the address is taken, ConfigError and StoreError as `open_gateway` does."""
    server = loaded.document.server
    with listen(server.host, server.port) as sock:
        async with open_gateway(loaded, env) as built:
            app = App(built.services, build_table(), time.monotonic)
            asked = asyncio.Event()
            loop = asyncio.get_running_loop()
            loop.add_signal_handler(signal.SIGHUP, asked.set)
            follower = asyncio.create_task(follow(Desk(app, loaded, env, built), app, asked))
            try:
                await serve(app, sock, on_ready, drain_s=server.drain_s, notice_s=server.notice_s)
            finally:
                loop.remove_signal_handler(signal.SIGHUP)
                follower.cancel()
                await asyncio.gather(follower, return_exceptions=True)
