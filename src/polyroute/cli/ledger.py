"""The verb `ledger`: the books checked, put in order, compared, exported. Also beside a running gateway."""

import asyncio
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from pkgutil import resolve_name
from typing import Annotated

import typer

from polyroute.cli.pruning import prune
from polyroute.cli.reconciling import SinceOption, TenantOption, UntilOption, reconcile, reprice_past
from polyroute.cli.shell import ConfigOption, DebugOption, JsonOption, fail, print_json, say, told
from polyroute.cli.store import open_books, store_of
from polyroute.errors import StoreError
from polyroute.stores.export import focus_lines, json_line
from polyroute.stores.ledger import Recovery
from polyroute.stores.store import Store
from polyroute.stores.verify import Entry
from polyroute.types.money import format_usd

ledger = typer.Typer(help="Verify, recover, reconcile, reprice, prune or export the books.", no_args_is_help=True)
_PROGRESS = 100_000  # requests between two lines that tell how far an export has come


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


ledger.command()(reconcile)
ledger.command("reprice")(reprice_past)
ledger.command()(prune)


@ledger.command()
def export(
    config: ConfigOption = None,
    as_json: JsonOption = False,
    focus: Annotated[bool, typer.Option("--focus", help="A FOCUS-style CSV of costs.")] = False,
    parquet: Annotated[
        Path | None, typer.Option("--parquet", help="A Parquet file, one row per call.", metavar="FILE")
    ] = None,
    since: SinceOption = None,
    until: UntilOption = None,
    tenant: TenantOption = None,
    into: Annotated[Path | None, typer.Option("--out", help="A file; else stdout.", metavar="FILE")] = None,
    debug: DebugOption = False,
) -> None:
    """Print every settled request: JSON lines, one per request, or a FOCUS-style CSV; or write a Parquet file."""
    if as_json + focus + (parquet is not None) > 1:
        raise typer.BadParameter("one of `--json`, `--focus` and `--parquet`")
    bounds = {name: at.replace(tzinfo=UTC) for name, at in (("since", since), ("until", until)) if at is not None}
    with told(debug=debug), open_books(config) as books, closing(books.entries(**bounds)) as entries:
        wanted = _counted(entry for entry in entries if tenant in (None, entry.request.tenant))
        if parquet is not None:
            _write_parquet(wanted, parquet)
            return
        if focus:
            pieces = (piece.encode() for piece in focus_lines(wanted))
        else:
            pieces = (json_line(entry) + b"\n" for entry in wanted)
        if into is None:
            sys.stdout.buffer.writelines(pieces)
            sys.stdout.flush()
        else:
            with into.open("wb") as file:
                file.writelines(pieces)


def _counted(entries: Iterable[Entry]) -> Iterator[Entry]:
    """Tells how far a long export has come, on stderr."""
    for number, entry in enumerate(entries, 1):
        yield entry
        if number % _PROGRESS == 0:
            typer.echo(f"exported {number} requests", err=True)


def _write_parquet(entries: Iterable[Entry], path: Path) -> None:
    try:
        write = resolve_name("polyroute.stores.parquet:write_parquet")
    except ModuleNotFoundError as fault:
        raise StoreError(
            f"Parquet needs an extra that is not here ({fault}): pip install 'polyroute[parquet]'"
        ) from fault
    write(entries, path)


async def _recover(store: Store) -> Recovery:
    books = store.open_ledger("process")
    try:
        return await books.recover(datetime.now(UTC))
    finally:
        await books.aclose()
