"""The verb `savings`: what was spent and saved, from the books' own rows; and what a mix of models would cost.

Every figure stands beside cost, latency and quality, unknown where it is not known; a saving names its baseline.
"""

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated

import typer
from msgspec import Struct
from msgspec.structs import asdict

from polyroute.catalog.cards import Catalogue
from polyroute.cli.blend import read_blend, read_weights
from polyroute.cli.blend import show as show_blend
from polyroute.cli.mix import Counted, Part, mix
from polyroute.cli.moments import moment
from polyroute.cli.shell import ConfigOption, DebugOption, JsonOption, document_path, print_json, print_table, say, told
from polyroute.config.load import read
from polyroute.config.resolve import deployments
from polyroute.stores.books import Books
from polyroute.stores.figures import Figures
from polyroute.stores.verify import Entry
from polyroute.types.money import ZERO_USD, format_usd, from_nanos
from polyroute.wiring.stores import open_store

_TIERS = ("simple", "moderate", "complex")
_EVER = datetime(1970, 1, 1, tzinfo=UTC)


class Against(Struct, frozen=True, kw_only=True):
    """The requests whose saving is measured against one baseline."""

    baseline: str
    requests: int
    cost_usd: Decimal
    baseline_usd: Decimal
    saved_usd: Decimal  # signed


class Line(Struct, frozen=True, kw_only=True):
    """One route or model: cost, latency and quality together."""

    figures: Figures
    quality: float | None = None  # None: not known


class Savings(Struct, frozen=True, kw_only=True):
    requests: int
    cost_usd: Decimal
    cost_complete: bool  # False: some attempts had no known price
    saved_usd: Decimal  # of the requests that have a baseline
    without_baseline: int  # requests whose saving is not known
    baselines: tuple[Against, ...]
    routes: tuple[Line, ...]
    models: tuple[Line, ...]
    tiers: tuple[Part, ...]
    mix: tuple[Part, ...]


def savings(
    since: Annotated[
        str | None, typer.Option(help="Requests of the last 24h, 7d, … or since a date (UTC).", metavar="WHEN")
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="The mix of tiers that was planned, as 70/20/10.", metavar="S/M/C")
    ] = None,
    shares: Annotated[
        str | None, typer.Option("--mix", help="What this mix would cost, as 60/30/10.", metavar="A/B/C")
    ] = None,
    models: Annotated[str | None, typer.Option(help="With --mix: its models, as a,b,c.", metavar="A,B,C")] = None,
    prices: Annotated[
        str | None, typer.Option(help="With --mix: prices in $/M instead of models, as 0.15,2.50,15.", metavar="A,B,C")
    ] = None,
    baseline: Annotated[
        str | None, typer.Option(help="With --mix: the model or price to compare with; else the dearest.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Show what was spent and what routing saved, from the books."""
    if shares is not None:
        with told(debug=debug):
            blended = read_blend(shares, models=models, prices=prices, baseline=baseline, config=config)
        if as_json:
            print_json(blended)
        else:
            show_blend(blended)
        return
    if models or prices or baseline:
        raise typer.BadParameter("`--models`, `--prices` and `--baseline` go with `--mix`")
    start = _EVER if since is None else moment(since)
    targets = {} if target is None else _targets(target)
    with told(debug=debug):
        loaded = read(document_path(config), os.environ)
        quality = {d.model: d.card.quality for d in reversed(deployments(loaded.document, Catalogue()))}
        with open_store(loaded.document, loaded.folder).open_books() as books:
            found = _add_up(books, start, quality, targets)
    if as_json:
        flat = {
            name: [_flat(line) for line in lines]
            for name, lines in (("routes", found.routes), ("models", found.models))
        }
        print_json({**asdict(found), **flat})
    else:
        _show(found)


def _flat(line: Line) -> dict[str, object]:
    return {**asdict(line.figures), "quality": line.quality}


def _add_up(
    books: Books, start: datetime, quality: Mapping[str, float | None], targets: Mapping[str, float]
) -> Savings:
    against: dict[str, Against] = {}
    tiers, answered = [], []
    cost_nanos, is_complete = 0, True
    for entry in books.entries(start):
        request = entry.request
        cost_nanos += request.cost_nanos
        is_complete &= request.cost_complete
        cost_usd = from_nanos(request.cost_nanos)
        tiers.append(Counted(name=_tier(entry), cost_usd=cost_usd))
        answered.append(Counted(name=request.model or "no answer", cost_usd=cost_usd))
        if request.baseline is not None:
            so_far = against.get(request.baseline)
            against[request.baseline] = Against(
                baseline=request.baseline,
                requests=(so_far.requests if so_far else 0) + 1,
                cost_usd=(so_far.cost_usd if so_far else ZERO_USD) + cost_usd,
                baseline_usd=(so_far.baseline_usd if so_far else ZERO_USD) + from_nanos(request.baseline_nanos or 0),
                saved_usd=(so_far.saved_usd if so_far else ZERO_USD) + from_nanos(request.saved_nanos or 0),
            )
    measured = sum(group.requests for group in against.values())
    return Savings(
        requests=len(answered),
        cost_usd=from_nanos(cost_nanos),
        cost_complete=is_complete,
        saved_usd=sum((group.saved_usd for group in against.values()), ZERO_USD),
        without_baseline=len(answered) - measured,
        baselines=tuple(sorted(against.values(), key=lambda group: -group.requests)),
        routes=tuple(Line(figures=figures) for figures in books.by_route(start)),
        models=tuple(Line(figures=figures, quality=quality.get(figures.name)) for figures in books.by_model(start)),
        tiers=mix(tiers, targets),
        mix=mix(answered),
    )


def _tier(entry: Entry) -> str:
    seen = entry.receipt.classification if entry.receipt else None
    return seen.label if seen else "unclassified"


# ── for people ────────────────────────────────────────────────────────────────────────────────────────

_COLUMNS = (
    "calls", "errors", "tokens in", "tokens out", "cost", "saved", "p50 ms", "p95 ms", "quality",
)  # fmt: skip


def _show(found: Savings) -> None:
    unpriced = "" if found.cost_complete else ", and calls whose price is not known"
    say(f"{found.requests} requests, {_usd(found.cost_usd)} spent{unpriced}")
    for group in found.baselines:
        share = f", {group.saved_usd / group.baseline_usd:.1%} of" if group.baseline_usd else ","
        verb = "saved" if group.saved_usd >= 0 else "lost"
        say(
            f"{verb} {_usd(abs(group.saved_usd))}{share} {_usd(group.baseline_usd)}: what the same tokens of "
            f"{group.requests} requests cost at the baseline {group.baseline}"
        )
    if found.without_baseline:
        say(f"the saving of {found.without_baseline} requests is not known (no answer, or no known price)")
    for title, lines in (("route", found.routes), ("model", found.models)):
        say("")
        print_table((title, *_COLUMNS), [_line(line) for line in lines])
    for title, parts in (("tier", found.tiers), ("answered by", found.mix)):
        say("")
        columns = (title, "requests", "share", "cost", "share of cost")
        has_targets = any(part.target_share is not None for part in parts)
        print_table((*columns, "target", "drift") if has_targets else columns, [_part(part) for part in parts])


def _line(line: Line) -> tuple[str, ...]:
    figures = line.figures
    return (
        figures.name,
        str(figures.calls),
        str(figures.errors),
        str(figures.input_tokens),
        str(figures.output_tokens),
        _usd(figures.cost_usd) + (f" + {figures.unpriced} unpriced" if figures.unpriced else ""),
        _signed(figures.saved_usd),
        f"{figures.p50_ms:.1f}",
        f"{figures.p95_ms:.1f}",
        "unknown" if line.quality is None else f"{line.quality:g} declared",
    )


def _part(part: Part) -> tuple[str, ...]:
    of_cost = "-" if part.cost_share is None else f"{part.cost_share:.1%}"
    cells = (part.name, str(part.requests), f"{part.request_share:.1%}", _usd(part.cost_usd), of_cost)
    if part.target_share is None or part.drift is None:
        return cells
    return (*cells, f"{part.target_share:.1%}", f"{part.drift * 100:+.1f} points")


def _usd(amount: Decimal) -> str:
    return f"${format_usd(amount)}"


def _signed(amount: Decimal) -> str:
    return f"{'-' if amount < 0 else '+'}${format_usd(abs(amount))}"


def _targets(written: str) -> dict[str, float]:
    weights = read_weights(written, "--target")
    if len(weights) != len(_TIERS):
        raise typer.BadParameter("`--target` has three parts: simple/moderate/complex, as 70/20/10")
    return {tier: float(weight / sum(weights)) for tier, weight in zip(_TIERS, weights, strict=True)}
