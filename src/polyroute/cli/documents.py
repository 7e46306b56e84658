"""Verbs about the document: init, check, schema, models, version."""

import os
import sys
from datetime import UTC, datetime
from typing import Annotated

import typer

import polyroute
from polyroute.catalog.cards import Catalogue
from polyroute.catalog.pricing import price_at
from polyroute.cli.shell import (
    ConfigOption,
    DebugOption,
    JsonOption,
    document_path,
    fail,
    out,
    print_json,
    print_table,
    told,
)
from polyroute.config.check import check_start
from polyroute.config.document import Document
from polyroute.config.load import read
from polyroute.config.resolve import deployments
from polyroute.config.schema import schema as document_schema
from polyroute.config.snapshot import Snapshot
from polyroute.config.starter import starter
from polyroute.errors import ConfigError, Problem
from polyroute.types.cards import Deployment
from polyroute.types.money import format_usd


def register(app: typer.Typer) -> None:
    for verb in (init, check, schema, models, version):
        app.command()(verb)


def init(
    config: ConfigOption = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a document that is there.")] = False,
    debug: DebugOption = False,
) -> None:
    """Write a starter document."""
    path = document_path(config)
    with told(debug=debug):
        if path.exists() and not force:
            fail(f"{path} is there already; `--force` replaces it")
        path.write_text(starter())
    out.print(f"wrote {path}; next: polyroute check, polyroute serve", markup=False)


def check(config: ConfigOption = None, as_json: JsonOption = False, debug: DebugOption = False) -> None:
    """Validate the document: every problem at once, with line, column and fix. Exit 1 where there is one."""
    path = document_path(config)
    document: Document | None = None
    problems: tuple[Problem, ...] = ()
    try:
        loaded = read(path, os.environ)
        document, problems = loaded.document, loaded.placed(check_start(loaded.document, os.environ))
    except ConfigError as exc:
        problems = exc.problems
    if as_json:
        digest = None if document is None or problems else Snapshot.of(document).digest
        print_json({"ok": not problems, "policy": digest, "problems": problems})
    elif document is None or problems:
        for problem in problems:
            typer.echo(str(problem), err=True)
        typer.echo(f"{len(problems)} problem{'s' if len(problems) > 1 else ''}", err=True)
    else:
        out.print(
            f"{path}: {len(document.routes)} routes, {len(document.models)} models, "
            f"{len(document.providers)} providers; policy {Snapshot.of(document).digest}",
            markup=False,
        )
    if problems:
        raise typer.Exit(1)


def schema() -> None:
    """Print the document's JSON Schema, for editors."""
    print_json(document_schema())


def models(config: ConfigOption = None, as_json: JsonOption = False, debug: DebugOption = False) -> None:
    """List the models that routes may use: price, size, abilities, and where the facts come from."""
    with told(debug=debug):
        found = deployments(read(document_path(config), os.environ).document, Catalogue())
    if as_json:
        print_json([_as_json(deployment) for deployment in found])
        return
    columns = (
        "model",
        "deployment",
        "input $/M",
        "output $/M",
        "context",
        "quality",
        "latency ms",
        "good for",
        "as of",
    )
    print_table(columns, [_row(deployment) for deployment in found])


def version(as_json: JsonOption = False) -> None:
    """Print the version."""
    if as_json:
        print_json({"polyroute": polyroute.__version__, "python": sys.version.split()[0]})
    else:
        out.print(f"polyroute {polyroute.__version__}")


def _row(deployment: Deployment) -> tuple[str, ...]:
    card = deployment.card
    price = price_at(card, datetime.now(UTC).date())
    return (
        deployment.model,
        deployment.id,
        format_usd(price.rates.input) if price else "unknown",
        format_usd(price.rates.output) if price else "unknown",
        str(card.context_tokens or "?"),
        "?" if card.quality is None else f"{card.quality:g}",
        "?" if card.latency_ms is None else f"{card.latency_ms:g}",
        ", ".join(sorted(card.tags)) or "-",
        f"{card.as_of or card.source}",
    )


def _as_json(deployment: Deployment) -> dict[str, object]:
    card = deployment.card
    price = price_at(card, datetime.now(UTC).date())
    return {
        "model": deployment.model,
        "deployment": deployment.id,
        "provider": deployment.provider,
        "upstream_model": deployment.upstream_model,
        "region": deployment.region,
        "private": deployment.private,
        "price": price,
        "context_tokens": card.context_tokens,
        "max_output_tokens": card.max_output_tokens,
        "modalities": None if card.modalities is None else sorted(card.modalities),
        "capabilities": None if card.capabilities is None else sorted(card.capabilities),
        "tags": sorted(card.tags),
        "quality": card.quality,
        "latency_ms": card.latency_ms,
        "source": card.source,
        "as_of": card.as_of,
    }
