"""A document served over HTTP until a signal comes."""

import time
from collections.abc import Mapping

from polyroute.config.load import Loaded
from polyroute.server.app import App
from polyroute.server.serve import OnReady, listen, serve
from polyroute.server.table import build_table
from polyroute.wiring.build import open_gateway


async def serve_document(loaded: Loaded, env: Mapping[str, str], on_ready: OnReady | None = None) -> None:
    """Raises OSError where the address is taken, ConfigError and StoreError as `open_gateway` does."""
    server = loaded.document.server
    with listen(server.host, server.port) as sock:
        async with open_gateway(loaded, env) as built:
            await serve(App(built.services, build_table(), time.monotonic), sock, on_ready)
