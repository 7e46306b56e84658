"""`ledger reconcile` and `ledger reprice`: the books beside an export, and at other prices. They write nothing."""

import os
from collections.abc import Callable, Generator, Iterable
from contextlib import closing, contextmanager
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from polyroute.catalog import pricing
from polyroute.catalog.cards import Catalogue
from polyroute.cli.keys import dollars
from polyroute.cli.shell import ConfigOption, DebugOption, JsonOption, document_path, print_json, print_table, say, told
from polyroute.cli.store import open_books
from polyroute.config import yaml12
from polyroute.config.document import Document, PerToken
from polyroute.config.load import read
from polyroute.config.resolve import price_of
from polyroute.errors import ConfigError, InvalidRequest, Problem
from polyroute.stores.provider_exports import read_export
from polyroute.stores.reconcile import Billed, Line, Tolerance, compare, ours
from polyroute.stores.reprice import Repriced, reprice
from polyroute.types.cards import Price
from polyroute.types.money import ZERO_USD, format_usd

SinceOption = Annotated[datetime | None, typer.Option(help="Requests that arrived at this time (UTC) or later.")]
UntilOption = Annotated[datetime | None, typer.Option(help="Requests that arrived before this time (UTC).")]
TenantOption = Annotated[str | None, typer.Option(help="Only of this tenant.")]

_FIGURES = ("requests", "input_tokens", "output_tokens", "cost_usd")


def reconcile(
    export: Annotated[
        Path, typer.Option("--provider-export", help="Usage or costs as the provider exports them.", metavar="FILE")
    ],
    provider: Annotated[
        str | None, typer.Option(help="Which of the document's providers it is about; else all of them.")
    ] = None,
    tolerance: Annotated[float, typer.Option(min=0, max=1, help="A share that is no drift.")] = 0.01,
    tolerance_usd: Annotated[str, typer.Option(help="Dollars that are no drift.")] = "0.01",
    tenant: TenantOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Compare the books with a provider's export, per model and day. Exit 1 where they drift apart."""
    with told(debug=debug):
        theirs = read_export(export.read_text(encoding="utf-8-sig"))
        least = Tolerance(share=Decimal(str(tolerance)), usd=dollars(tolerance_usd, "--tolerance-usd") or ZERO_USD)
        if not theirs:
            raise InvalidRequest(f"{export} holds no use of any model: export it grouped by model and day")
        days = [spell.day for spell in theirs]
        since = datetime.combine(min(days), time(), UTC)
        until = datetime.combine(max(days), time(), UTC) + timedelta(days=1)
        with _calls(config, since, until, tenant) as calls:
            lines = compare(ours(call for call in calls if provider in (None, call.provider)), theirs, least)
    drifting = [line for line in lines if line.drifts]
    drift = sum((line.drift_usd or ZERO_USD for line in lines), ZERO_USD)
    if as_json:
        print_json({"ok": not drifting, "drift_usd": drift, "lines": lines})
    else:
        columns = ("day", "model", *(f"{name} {whose}" for name in _FIGURES for whose in ("ours", "theirs")), "drift")
        print_table(columns, map(_row, lines))
        found = f"{len(drifting)} of {len(lines)} drift apart" if drifting else f"all {len(lines)} agree"
        say(f"{found}; the provider says ${format_usd(drift)} beyond the books")
    if drifting:
        raise typer.Exit(1)


def reprice_past(
    prices: Annotated[
        str,
        typer.Option(
            help="`catalogue`: today's list prices; or a file of `{model: {input: 2.5, output: 10}}`.",
            metavar="FILE",
        ),
    ],
    since: SinceOption = None,
    until: UntilOption = None,
    tenant: TenantOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Tell what past use would have cost at other prices. The books stay as they are."""
    with told(debug=debug):
        if prices == "catalogue":
            known = _listed(read(document_path(config), os.environ).document)
        else:
            known = _written(Path(prices))
        with _calls(config, _utc(since), _utc(until), tenant) as calls:
            lines = reprice(calls, known)
    booked = sum((line.booked_usd for line in lines), ZERO_USD)
    repriced = sum((line.repriced_usd for line in lines), ZERO_USD)
    if as_json:
        shown = [{**msgspec.structs.asdict(line), "difference_usd": line.difference_usd} for line in lines]
        totals = {"booked_usd": booked, "repriced_usd": repriced, "difference_usd": repriced - booked}
        print_json({**totals, "lines": shown})
        return
    print_table(("model", "provider", "calls", "kept", "booked", "repriced", "difference"), map(_repriced, lines))
    say(f"booked ${format_usd(booked)}, at these prices ${format_usd(repriced)}; `kept` calls stay as booked")


@contextmanager
def _calls(
    config: Path | None, since: datetime | None, until: datetime | None, tenant: str | None
) -> Generator[Iterable[Billed], None, None]:
    bounds = {name: at for name, at in (("since", since), ("until", until)) if at is not None}
    with open_books(config) as books, closing(books.billed(**bounds, tenant=tenant)) as calls:
        yield calls


def _listed(document: Document) -> Callable[[Billed], Price | None]:
    catalogue, today = Catalogue(), datetime.now(UTC).date()
    families = {name: catalogue.family_of(found.dialect, found.base_url) for name, found in document.providers.items()}
    prices: dict[tuple[str, str], Price | None] = {}

    def find(call: Billed) -> Price | None:
        place = (call.provider, call.upstream_model)
        if place not in prices:
            card = catalogue.card(families.get(call.provider), call.upstream_model)
            prices[place] = None if card is None else pricing.price_at(card, today)
        return prices[place]

    return find


def _written(path: Path) -> Callable[[Billed], Price | None]:
    """By the document's name of a model, or the provider's. Raises ConfigError."""
    problems: list[Problem] = []
    tree = yaml12.parse(path.read_text(encoding="utf-8"), file=str(path), env={}, problems=problems)
    told: dict[str, PerToken] = {}
    for name, written in tree.items() if isinstance(tree, dict) else ():
        try:
            told[name] = msgspec.convert(written, PerToken, strict=False)
        except msgspec.ValidationError as fault:
            message, _, where = str(fault).partition(" - at `$")
            problems.append(Problem(path=f"{name}{where.strip('`')}", message=message, file=str(path)))
    if not told and not problems:
        fix = "as `{gpt-4o: {input: 2.50, output: 10.00}}`"
        problems.append(Problem(path="prices", message="the file names no model's price", fix=fix, file=str(path)))
    if problems:
        raise ConfigError(problems)
    prices = {name: price_of(price) for name, price in told.items()}
    return lambda call: prices.get(call.model) or prices.get(call.upstream_model)


def _row(line: Line) -> tuple[str, ...]:
    figures = (_figure(getattr(side, name)) for name in _FIGURES for side in (line.ours, line.theirs))
    return (f"{line.day}", line.model, *figures, ", ".join(line.drifts) or "-")


def _figure(value: int | Decimal | None) -> str:
    if value is None:
        return "-"
    return f"${format_usd(value)}" if isinstance(value, Decimal) else str(value)


def _repriced(line: Repriced) -> tuple[str, ...]:
    amounts = (line.booked_usd, line.repriced_usd, line.difference_usd)
    return (line.model, line.provider, str(line.calls), str(line.kept), *(f"${format_usd(usd)}" for usd in amounts))


def _utc(at: datetime | None) -> datetime | None:
    return None if at is None else at.replace(tzinfo=UTC)
