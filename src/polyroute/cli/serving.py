"""The verb `serve`."""

import os
from pathlib import Path
from typing import Annotated

import typer
from msgspec.structs import replace

from polyroute.cli.shell import ConfigOption, DebugOption, document_path, err, fail, told
from polyroute.config.check import check, check_start
from polyroute.config.load import Loaded, read
from polyroute.errors import ConfigError
from polyroute.server.serve import run
from polyroute.wiring.serving import serve_document


def register(app: typer.Typer) -> None:
    app.command()(serve)


def serve(
    config: ConfigOption = None,
    host: Annotated[str | None, typer.Option(help="In place of server.host.")] = None,
    port: Annotated[int | None, typer.Option(help="In place of server.port.", min=0, max=65535)] = None,
    workers: Annotated[int | None, typer.Option(help="In place of server.workers.", min=1)] = None,
    debug: DebugOption = False,
) -> None:
    """Start the gateway; Ctrl-C ends it."""
    with told(debug=debug):
        loaded = startable(document_path(config), host=host, port=port, workers=workers)
        try:
            run(lambda: serve_document(loaded, os.environ, _ready))
        except OSError as exc:
            server = loaded.document.server
            fail(f"cannot listen on {server.host}:{server.port}: {exc.strerror}; `--port 0` takes a free port")


def startable(path: Path, *, host: str | None, port: int | None, workers: int | None) -> Loaded:
    """The document with the command's own settings over it. Raises ConfigError."""
    loaded = read(path, os.environ)
    given = {"host": host, "port": port, "workers": workers}
    server = replace(loaded.document.server, **{name: value for name, value in given.items() if value is not None})
    document = replace(loaded.document, server=server)
    problems = (*check(document), *check_start(document, os.environ))
    if problems:
        raise ConfigError(loaded.placed(problems))
    return replace(loaded, document=document)


async def _ready(address: str) -> None:
    err.print(f"polyroute: serving on {address}", markup=False)
