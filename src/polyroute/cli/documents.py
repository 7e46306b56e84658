"""Verbs about the document: init, check, schema, version."""

import os
import sys
from typing import Annotated

import typer

import polyroute
from polyroute.cli.shell import ConfigOption, DebugOption, JsonOption, document_path, fail, print_json, say, told
from polyroute.config.check import check_start
from polyroute.config.load import read
from polyroute.config.schema import schema as document_schema
from polyroute.config.snapshot import Snapshot
from polyroute.config.starter import starter
from polyroute.errors import ConfigError


def init(
    config: ConfigOption = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a document that is there.")] = False,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Write a starter document."""
    path = document_path(config)
    with told(debug=debug):
        if path.exists() and not force:
            fail(f"{path} is there already; `--force` replaces it")
        path.write_text(starter(), encoding="utf-8")
    if as_json:
        print_json({"file": str(path)})
    else:
        say(f"wrote {path}; next: polyroute check, polyroute serve")


def check(config: ConfigOption = None, as_json: JsonOption = False, debug: DebugOption = False) -> None:
    """Validate the document: every problem at once, with line, column and fix. Exit 1 where there is one."""
    path = document_path(config)
    try:
        loaded = read(path, os.environ)
        document, problems = loaded.document, loaded.placed(check_start(loaded.document, os.environ))
    except ConfigError as exc:
        if debug:
            raise
        document, problems = None, exc.problems
    digest = Snapshot.of(document).digest if document is not None and not problems else None
    if as_json:
        print_json({"ok": not problems, "policy": digest, "problems": problems})
    elif document is not None and digest is not None:
        counts = ((document.routes, "routes"), (document.models, "models"), (document.providers, "providers"))
        say(f"{path}: {', '.join(f'{len(found)} {what}' for found, what in counts)}; policy {digest}")
    else:
        for problem in problems:
            typer.echo(str(problem), err=True)
        typer.echo(f"{len(problems)} problem{'s' if len(problems) > 1 else ''}", err=True)
    if problems:
        raise typer.Exit(1)


def schema(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Print the document's JSON Schema, for editors."""
    print_json(document_schema())


def version(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Print the version."""
    if as_json:
        print_json({"polyroute": polyroute.__version__, "python": sys.version.split()[0]})
    else:
        say(f"polyroute {polyroute.__version__}")
