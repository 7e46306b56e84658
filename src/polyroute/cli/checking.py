"""The verb `check`: whether the document could be served, as far as nobody is asked."""

import os
from pathlib import Path
from typing import Annotated

import typer

from polyroute.catalog.cards import Catalogue
from polyroute.cli.shell import ConfigOption, DebugOption, JsonOption, document_path, print_json, say
from polyroute.cli.store import open_records
from polyroute.config.contract import contract
from polyroute.config.document import Document
from polyroute.config.load import read
from polyroute.config.resolve import deployments
from polyroute.config.snapshot import Snapshot
from polyroute.errors import ConfigError, Problem, StoreError
from polyroute.prompts.reference import parse_reference
from polyroute.wiring.checking import standing_problems
from polyroute.wiring.prompts import missing_prompts, unused_variants


def check(
    verbose: Annotated[bool, typer.Option("--verbose", help="Also how models of one strategy differ.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Validate the document: every problem at once, with line, column and fix. Exit 1 where there is one."""
    path = document_path(config)
    try:
        loaded = read(path, os.environ)
        document = loaded.document
        found = deployments(document, Catalogue())
        standing = contract(document, found)
        problems = loaded.placed(
            (
                *standing_problems(loaded, os.environ),
                *_missing_prompts(document, config),
            )
        )
        beside = standing.notes if verbose or as_json else ()
        notes = loaded.placed((*unused_variants(document, found), *beside))
    except ConfigError as exc:
        if debug:
            raise
        document, problems, notes = None, exc.problems, ()
    digest = Snapshot.of(document).digest if document is not None and not problems else None
    if as_json:
        print_json({"ok": not problems, "policy": digest, "problems": problems, "notes": notes})
    elif document is not None and digest is not None:
        counts = ((document.routes, "routes"), (document.models, "models"), (document.providers, "providers"))
        say(f"{path}: {', '.join(f'{len(found)} {what}' for found, what in counts)}; policy {digest}")
    else:
        for problem in problems:
            typer.echo(str(problem), err=True)
        typer.echo(f"{len(problems)} problem{'s' if len(problems) > 1 else ''}", err=True)
    if not as_json:
        for note in notes:
            typer.echo(f"note: {note}", err=True)
    if problems:
        raise typer.Exit(1)


def _missing_prompts(document: Document, config: Path | None) -> tuple[Problem, ...]:
    """Prompts that routes name and that are nowhere; the store is opened only where one of them may be in it."""
    wanted = {parse_reference(route.prompt).name for route in document.routes.values() if route.prompt is not None}
    if wanted <= document.prompts.keys():
        return ()
    try:
        with open_records(config) as records:
            return missing_prompts(document, records)
    except StoreError as exc:
        return (Problem(path="store.database", message=exc.message),)
