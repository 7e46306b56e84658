"""The verb `drill`: a provider's failure rehearsed on the traffic of the past, and what fallbacks did in it.

The books are read and not written; no provider is called. Every model is simulated, and every output says so.
"""

import os
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from msgspec import Struct

from polyroute.catalog.cards import Catalogue
from polyroute.cli.drill.figures import Outcome, outcome
from polyroute.cli.drill.observed import Behaviour, observed
from polyroute.cli.drill.past import effects
from polyroute.cli.drill.performance import perform
from polyroute.cli.drill.rehearsal import Fault, rehearsed
from polyroute.cli.drill.report import COLUMNS, page, row
from polyroute.cli.drill.traffic import Asked, from_books, from_file
from polyroute.cli.shell import (
    ConfigOption,
    DebugOption,
    JsonOption,
    document_path,
    print_json,
    print_table,
    progress,
    say,
    told,
)
from polyroute.cli.store import open_books
from polyroute.config.load import Loaded, read
from polyroute.config.resolve import deployments
from polyroute.errors import PolyrouteError, StoreError
from polyroute.stores.verify import Entry

drill = typer.Typer(
    help="Rehearse a provider's failure on past traffic, simulated; tell what fallbacks did.", no_args_is_help=True
)

_NOTE = (
    "Every model was simulated: no provider was called. The requests are those of {source}, by route, size, pace and "
    "classification; prompts are not kept, so words of the same number stood for them. Deployments behave as typically "
    "observed, without their spread; gates, prompts, caches and callers' limits were left out, and the gateway's own "
    "time counts as nothing."
)

ProviderArgument = Annotated[str, typer.Argument(metavar="PROVIDER", help="As the document names it.")]
RequestsOption = Annotated[int, typer.Option("--requests", help="The newest so many.", min=1, max=20_000)]
DaysOption = Annotated[float, typer.Option("--days", help="Of the last so many days.", min=0.01)]
TrafficOption = Annotated[
    Path | None,
    typer.Option(
        "--traffic", metavar="FILE", help="In place of the books: JSONL of {model, input_tokens, output_tokens, at_s}."
    ),
]
ReportOption = Annotated[Path | None, typer.Option("--report", metavar="FILE", help="Write the page there too.")]


class _Order(Struct, frozen=True, kw_only=True):
    fault: Fault
    provider: str
    requests: int
    days: float
    traffic: Path | None
    report: Path | None
    slowness: float = 1.0


@drill.command()
def outage(
    provider: ProviderArgument,
    requests: RequestsOption = 1000,
    days: DaysOption = 30,
    traffic: TrafficOption = None,
    report: ReportOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """It cannot be reached."""
    order = _Order(fault="outage", provider=provider, requests=requests, days=days, traffic=traffic, report=report)
    _drill(order, config, as_json, debug)


@drill.command()
def slow(
    provider: ProviderArgument,
    factor: Annotated[float, typer.Option(help="So many times as slow.", min=1)] = 10.0,
    requests: RequestsOption = 1000,
    days: DaysOption = 30,
    traffic: TrafficOption = None,
    report: ReportOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """It answers, and takes its time."""
    order = _Order(
        fault="slow",
        provider=provider,
        requests=requests,
        days=days,
        traffic=traffic,
        report=report,
        slowness=factor,
    )
    _drill(order, config, as_json, debug)


@drill.command()
def ratelimit(
    provider: ProviderArgument,
    requests: RequestsOption = 1000,
    days: DaysOption = 30,
    traffic: TrafficOption = None,
    report: ReportOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """It answers 429 to everything."""
    order = _Order(fault="ratelimit", provider=provider, requests=requests, days=days, traffic=traffic, report=report)
    _drill(order, config, as_json, debug)


@drill.command()
def garbage(
    provider: ProviderArgument,
    requests: RequestsOption = 1000,
    days: DaysOption = 30,
    traffic: TrafficOption = None,
    report: ReportOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Its answers make no sense."""
    order = _Order(fault="garbage", provider=provider, requests=requests, days=days, traffic=traffic, report=report)
    _drill(order, config, as_json, debug)


@drill.command()
def past(
    days: DaysOption = 30, config: ConfigOption = None, as_json: JsonOption = False, debug: DebugOption = False
) -> None:
    """What fallbacks brought and cost, by the books: nothing is simulated here."""
    with told(debug=debug), open_books(config) as books:
        found = effects(books.entries(datetime.now(UTC) - timedelta(days=days)))
    if as_json:
        print_json({"days": days, "routes": found})
        return
    rows = [
        (
            e.route,
            str(e.requests),
            f"{e.without_fallback:.2%}",
            f"{e.with_fallback:.2%}",
            str(e.rescued),
            f"{e.extra_usd:+.4f}" + (f" + {e.unpriced} unknown" if e.unpriced else ""),
            f"{e.added_p50_ms:,.0f} / {e.added_p95_ms:,.0f}",
            ", ".join(f"{reason} {number}" for reason, number in e.reasons.items()) or "-",
        )
        for e in found
    ]
    columns = (
        "route",
        "requests",
        "answered without",
        "with fallback",
        "rescued",
        "extra USD",
        "added ms p50 / p95",
        "why",
    )
    print_table(columns, rows)


def _drill(order: _Order, config: ConfigOption, as_json: bool, debug: bool) -> None:
    with told(debug=debug):
        loaded = read(document_path(config), os.environ)
        if order.provider not in loaded.document.providers:
            names = ", ".join(loaded.document.providers)
            raise PolyrouteError(f"the document has no provider `{order.provider}`; it has: {names}")
        traffic, behaviours, source = _material(loaded, order, config)
        outcomes = _rehearse(loaded, order, traffic, behaviours)
        note = _NOTE.format(source=source)
        seen = list(behaviours.values())
        if order.report is not None:
            order.report.write_text(page(_title(order), outcomes, seen, note), encoding="utf-8")
    if as_json:
        print_json({
            "simulated": True, "fault": order.fault, "provider": order.provider, "source": source,
            "requests": len(traffic), "note": note, "runs": outcomes, "deployments": seen,
        })  # fmt: skip
        return
    say(f"{_title(order)}: {len(traffic)} requests of {source}\n")
    print_table(COLUMNS, [row(found) for found in outcomes])
    say(f"\nSIMULATED. {note}")
    if order.report is not None:
        say(f"wrote {order.report}")


def _material(loaded: Loaded, order: _Order, config: ConfigOption) -> tuple[list[Asked], dict[str, Behaviour], str]:
    """The traffic, how deployments behave, and where the traffic is from."""
    entries: list[Entry] = []
    try:
        with open_books(config) as books:
            entries = list(books.entries(datetime.now(UTC) - timedelta(days=order.days)))
    except StoreError:
        if order.traffic is None:
            raise
    behaviours = observed(
        (attempt for entry in entries for attempt in entry.attempts), deployments(loaded.document, Catalogue())
    )
    if order.traffic is not None:
        return from_file(order.traffic)[: order.requests], behaviours, order.traffic.name
    traffic = from_books(entries, order.requests)
    if not traffic:
        raise PolyrouteError("the books hold no requests of these days: give a longer time, or `--traffic FILE`")
    return traffic, behaviours, "the books"


def _rehearse(loaded: Loaded, order: _Order, traffic: list[Asked], behaviours: dict[str, Behaviour]) -> list[Outcome]:
    today = datetime.now(UTC).date()

    def scene(fault: Fault | None, folder: Path) -> Loaded:
        return rehearsed(
            loaded,
            folder,
            behaviours,
            fault=fault,
            provider=order.provider,
            slowness=order.slowness,
            today=today,
        )

    with progress(3 * len(traffic), f"{order.fault} of {order.provider}, simulated") as steps:
        healthy = perform(partial(scene, None), traffic, with_fallback=True, on_answer=steps.advance)
        hurt = perform(partial(scene, order.fault), traffic, with_fallback=True, on_answer=steps.advance)
        alone = perform(partial(scene, order.fault), traffic, with_fallback=False, on_answer=steps.advance)
    return [
        outcome("healthy", healthy, healthy),
        outcome(f"{order.fault}, with fallback", hurt, healthy),
        outcome(f"{order.fault}, without fallback", alone, healthy),
    ]


def _title(order: _Order) -> str:
    return f"Drill: {order.fault} of {order.provider}"
