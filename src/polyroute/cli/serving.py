"""The verb `serve`."""

import os
import signal
from pathlib import Path
from typing import Annotated, Literal

import typer
from msgspec.structs import replace

from polyroute.cli.shell import ConfigOption, DebugOption, JsonOption, document_path, err, fail, print_json, told
from polyroute.config.check import check, check_start
from polyroute.config.load import Loaded, read
from polyroute.errors import ConfigError
from polyroute.server.crew import Post
from polyroute.server.serve import run
from polyroute.telemetry.log import configure_logs
from polyroute.wiring.serving import serve_document
from polyroute.wiring.workers import serve_by_workers

LogLevel = Literal["debug", "info", "warning", "error"]


def serve(
    config: ConfigOption = None,
    host: Annotated[str | None, typer.Option(help="In place of server.host.")] = None,
    port: Annotated[int | None, typer.Option(help="In place of server.port.", min=0, max=65535)] = None,
    workers: Annotated[int | None, typer.Option(help="In place of server.workers.", min=1, max=256)] = None,
    log_level: Annotated[
        LogLevel, typer.Option(help="`info` logs every request; `warning` fallbacks, failures and alerts.")
    ] = "warning",
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Start the gateway; Ctrl-C ends it, SIGHUP or a saved document reloads it."""
    configure_logs(log_level)
    path = document_path(config)

    def startable_now() -> Loaded:
        return startable(path, host=host, port=port, workers=workers)

    def opened(address: str) -> None:
        if as_json:
            print_json({"address": address, "workers": count} if count > 1 else {"address": address})
        else:
            err.print(f"polyroute: serving on {address}" + (f" with {count} workers" if count > 1 else ""))

    async def ready(address: str) -> None:
        opened(address)

    def work(document: Loaded, post: Post) -> int:
        async def tell(_: str) -> None:
            post.line.ready()

        try:
            with told(debug=debug):
                run(lambda: serve_document(document, os.environ, tell, post))
        except typer.Exit as ended:
            return ended.exit_code
        return 0

    with told(debug=debug):
        loaded = startable_now()
        server = loaded.document.server
        count = server.workers
        try:
            if count > 1:
                raise typer.Exit(serve_by_workers(loaded, work, read=startable_now, opened=opened))
            signal.signal(signal.SIGTERM, signal.default_int_handler)  # asked to end: as Ctrl-C, with everything closed
            run(lambda: serve_document(loaded, os.environ, ready))
        except OSError as exc:
            fail(f"cannot listen on {server.host}:{server.port}: {exc.strerror}; `--port 0` takes a free port")
        except KeyboardInterrupt:
            raise typer.Exit from None  # that is how serving ends


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
