"""The verb `ledger`: the books checked, put in order after a crash, and exported. Also beside a running gateway."""

import asyncio
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from polyroute.cli.shell import ConfigOption, DebugOption, JsonOption, fail, print_json, say, told
from polyroute.cli.store import open_books, store_of
from polyroute.stores.export import focus_lines, json_line
from polyroute.stores.ledger import Recovery
from polyroute.stores.store import Store
from polyroute.types.money import format_usd

ledger = typer.Typer(help="Verify, recover or export the books.", no_args_is_help=True)


@ledger.command()
def verify(config: ConfigOption = None, as_json: JsonOption = False, debug: DebugOption = False) -> None:
    """Check that the books balance: every finding. Exit 1 where there is one."""
    with told(debug=debug), open_books(config) as books:
        findings = books.verify()
        requests = 0 if findings else sum(figures.calls for figures in books.by_route())
    if as_json:
        print_json({"ok": not findings, "requests": requests, "findings": findings})
    elif findings:
        for finding in findings:
            typer.echo(f"{finding.kind}: {finding}", err=True)
        typer.echo(f"{len(findings)} finding{'s' if len(findings) > 1 else ''}", err=True)
    else:
        say(f"the books balance: {requests} requests")
    if findings:
        raise typer.Exit(1)


@ledger.command()
def recover(config: ConfigOption = None, as_json: JsonOption = False, debug: DebugOption = False) -> None:
    """Close what dead processes left open, at its upper bound. A living gateway's requests stay untouched."""
    with told(debug=debug):
        store = store_of(config)
        if not store.version():
            fail(f"there is no ledger at {store}; start the gateway once, or name another in store.database")
        found = asyncio.run(_recover(store))
    if as_json:
        print_json(found)
    else:
        say(f"closed {found.requests} requests at ${format_usd(found.cost_usd)}")


@ledger.command()
def export(
    config: ConfigOption = None,
    as_json: JsonOption = False,
    focus: Annotated[bool, typer.Option("--focus", help="A FOCUS-style CSV of costs.")] = False,
    since: Annotated[datetime | None, typer.Option(help="Requests that arrived at this time (UTC) or later.")] = None,
    until: Annotated[datetime | None, typer.Option(help="Requests that arrived before this time (UTC).")] = None,
    into: Annotated[Path | None, typer.Option("--out", help="A file; else stdout.", metavar="FILE")] = None,
    debug: DebugOption = False,
) -> None:
    """Print every settled request: JSON lines, one per request, or a FOCUS-style CSV."""
    if as_json and focus:
        raise typer.BadParameter("`--json` or `--focus`, not both")
    bounds = {name: at.replace(tzinfo=UTC) for name, at in (("since", since), ("until", until)) if at is not None}
    with told(debug=debug), open_books(config) as books, closing(books.entries(**bounds)) as entries:
        if focus:
            pieces = (piece.encode() for piece in focus_lines(entries))
        else:
            pieces = (json_line(entry) + b"\n" for entry in entries)
        if into is None:
            sys.stdout.buffer.writelines(pieces)
            sys.stdout.flush()
        else:
            with into.open("wb") as file:
                file.writelines(pieces)


async def _recover(store: Store) -> Recovery:
    books = store.open_ledger("process")
    try:
        return await books.recover(datetime.now(UTC))
    finally:
        await books.aclose()
