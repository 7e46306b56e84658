"""The verb `replay`: past requests under another document: what would be decided otherwise, at what cost."""

import asyncio
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer
from msgspec.structs import replace

from polyroute.cli.moments import moment
from polyroute.cli.replaying import Decision, Replayed, summed
from polyroute.cli.replaying import replay as replayed
from polyroute.cli.shell import (
    ConfigOption,
    DebugOption,
    JsonOption,
    document_path,
    err,
    print_json,
    print_table,
    say,
    told,
)
from polyroute.cli.store import open_books
from polyroute.config.document import Store
from polyroute.config.load import Loaded, read
from polyroute.errors import PolyrouteError
from polyroute.types.money import format_usd

_SQLITE = "sqlite:///"


def replay(
    policy: Annotated[Path, typer.Option(help="The new document.", metavar="FILE")],
    since: Annotated[
        str, typer.Option(help="Requests of the last 24h, 7d, … or since a date (UTC).", metavar="WHEN")
    ] = "24h",
    max_cost_increase: Annotated[
        float | None,
        typer.Option("--max-cost-increase", help="Percent: exit 1 over it, or where a request would be refused."),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Decide past requests anew by another document; no model is called."""
    start = moment(since)
    with told(debug=debug):
        found = foreseen(read(policy, os.environ), config, start, "the books, as decided and paid")
    if as_json:
        print_json(found)
    else:
        show(found)
    if max_cost_increase is None:
        return
    more = (found.difference_ratio or 0.0) * 100
    if found.refused or found.unpriced or more > max_cost_increase:
        err.print(
            f"polyroute: cost {more:+.2f} % (allowed {max_cost_increase:+g} %), {found.refused} refused, "
            f"{found.unpriced} without a known price"
        )
        raise typer.Exit(1)


def foreseen(loaded: Loaded, config: Path | None, start: datetime, baseline: str) -> Replayed:
    """Raises PolyrouteError where there is nothing to replay."""
    current = read(document_path(config), os.environ)
    with open_books(config) as books:
        receipts = [entry.receipt for entry in books.entries(start) if entry.receipt is not None]
    decisions = asyncio.run(replayed(loaded, _store(current), receipts, datetime.now(UTC).date()))
    if not decisions:
        raise PolyrouteError("the books hold no answered request of that time: nothing to replay")
    return summed(decisions, baseline)


def _store(current: Loaded) -> Store:
    """Where the books are, whichever document is tried; its counters in this process alone."""
    store = current.document.store
    if store.database.startswith(_SQLITE):
        file = current.folder / store.database.removeprefix(_SQLITE)
        store = replace(store, database=f"{_SQLITE}{file.absolute()}")
    return replace(store, shared="memory")


def show(found: Replayed) -> None:
    ratio = "" if found.difference_ratio is None else f" ({found.difference_ratio:+.2%})"
    verb = "saved" if found.difference_usd <= 0 else "more"
    say(
        f"{found.requests} requests: {found.changed} would go elsewhere, {found.refused} would be refused\n"
        f"cost {_usd(found.was_usd)} → {_usd(found.now_usd)}: {_usd(abs(found.difference_usd))} {verb}{ratio}, "
        f"against {found.baseline}, by the tokens booked"
    )
    if found.unpriced:
        say(f"{found.unpriced} are in no sum: the price of their new model is not known")
    if found.kept:
        say(f"{found.kept} keep their choice: their route's rule reads words, which the books do not keep")
    if found.moves:
        say("")
        print_table(
            ("from", "to", "requests", "difference"),
            [(m.was, m.now or "refused", str(m.requests), _signed(m.difference_usd)) for m in found.moves],
        )
    if found.most_changed:
        say("")
        print_table(("request", "route", "from", "to", "difference"), list(_rows(found.most_changed)))


def _rows(decisions: tuple[Decision, ...]) -> Iterator[tuple[str, ...]]:
    for one in decisions:
        yield one.request_id, one.route, one.was, one.now or "refused", _signed(one.difference_usd)


def _usd(amount: Decimal) -> str:
    return f"${format_usd(amount)}"


def _signed(amount: Decimal) -> str:
    return f"{'-' if amount < 0 else '+'}${format_usd(abs(amount))}"
