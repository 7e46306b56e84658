"""Verbs about the document that need no more than it: init, schema, version."""

import sys
from typing import Annotated

import typer

import polyroute
from polyroute.cli.shell import ConfigOption, DebugOption, JsonOption, document_path, fail, print_json, say, told
from polyroute.config.schema import schema as document_schema
from polyroute.config.starter import starter


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


def schema(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Print the document's JSON Schema, for editors."""
    print_json(document_schema())


def version(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Print the version."""
    if as_json:
        print_json({"polyroute": polyroute.__version__, "python": sys.version.split()[0]})
    else:
        say(f"polyroute {polyroute.__version__}")
