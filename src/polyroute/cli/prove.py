"""The verb `prove`: whether a route pays, on labelled rows: pass, do not route, or not enough data."""

import asyncio
import os
import time
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from msgspec import Struct

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
from polyroute.cli.train import rates_of
from polyroute.config import document as settings
from polyroute.config.load import Loaded, read
from polyroute.errors import InvalidRequest
from polyroute.journey import Entry
from polyroute.learning.proof import Alone, Comparison, Proof, compare, outcomes_of
from polyroute.learning.proof import prove as proven
from polyroute.learning.rows import Row, read_rows
from polyroute.learning.training import sample_of
from polyroute.types.access import Caller
from polyroute.types.request import ask
from polyroute.wiring.build import Built, open_gateway

_CALLER = Caller(user="cli")


class BreakEven(Struct, frozen=True, kw_only=True):
    """When an effort is paid back."""

    effort_usd: Decimal
    requests: int | None  # None: never
    days: float | None  # at `--requests-per-day`


def prove(
    rows: Annotated[Path, typer.Option(help="JSONL of {id, prompt or messages, scores: {model: 0..1}, …}.")],
    route: Annotated[str, typer.Option(help="The route whose decisions are judged.")] = "auto",
    against: Annotated[str | None, typer.Option(help="Another route, compared on the same rows.")] = None,
    quality_loss: Annotated[
        float | None, typer.Option(min=0, max=1, help="The share of the best model's quality that may be lost.")
    ] = None,
    effort_usd: Annotated[
        float, typer.Option(min=0, help="What routing takes to set up and keep, for break-even.")
    ] = 0,
    requests_per_day: Annotated[float | None, typer.Option(min=0, help="For break-even.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Show that a route pays, against each model alone and chance at equal cost. Exit 1 where it does not show."""
    with told(debug=debug):
        loaded = read(document_path(config), os.environ)
        loss = quality_loss if quality_loss is not None else _accepted(loaded, route)
        named = (route,) if against is None else (route, against)
        known, decided, pool = asyncio.run(_decide(loaded, rows, named))
        sample = sample_of(known, pool, rates_of(loaded, pool))
        policies = [outcomes_of(pool, sample.scores, sample.usd, chosen) for chosen in decided]
        found = proven(policies[0], quality_loss=loss)
        compared = compare(*policies) if against is not None else None
    back = _break_even(found, effort_usd, requests_per_day)
    if as_json:
        told_ = {"route": route, "quality_loss": loss, "proof": found, "break_even": back}
        print_json(told_ if against is None else {**told_, "against": against, "comparison": compared})
    else:
        _show(found, back)
        if compared is not None:
            _show_beside(compared, route, against)
    raise typer.Exit(0 if found.verdict == "pass" else 1)


def _accepted(loaded: Loaded, route: str) -> float:
    said = loaded.document.routes.get(route)
    strategy = None if said is None else said.strategy
    return strategy.quality_loss if isinstance(strategy, settings.Learned) else 0.01


async def _decide(
    loaded: Loaded, file: Path, names: tuple[str, ...]
) -> tuple[tuple[Row, ...], list[list[str]], tuple[str, ...]]:
    """The rows; by route, the model that each goes to first; and every model that any could go to."""
    async with open_gateway(loaded, os.environ) as built:
        pool = _pool(built, names)
        known, decided = read_rows(file, pool), list[list[str]]()
        with progress(len(known) * len(names), "decided") as steps:
            for name in names:
                chosen = []
                for row in known:
                    entry = Entry(request_id="proof", arrived_s=time.monotonic(), door="python")
                    plan = built.path.prepare(ask(name, row.text), _CALLER, entry).plan
                    if not plan.steps:
                        raise InvalidRequest(f"{file}: no model can serve row {row.id!r}: {plan.reason}")
                    chosen.append(plan.steps[0].candidate.deployment.model)
                    steps.advance()
                decided.append(chosen)
    return known, decided, pool


def _pool(built: Built, names: tuple[str, ...]) -> tuple[str, ...]:
    routes = [built.path.routes.find(name) for name in names]
    for route in routes:
        if route.strategy_name == "cascade":
            raise InvalidRequest(
                f"`{route.name}` is a cascade: it decides by answers, and rows hold none of its checks"
            )
    pool = tuple(dict.fromkeys(model for route in routes for model in route.strategy.pool))
    if len(pool) < 2:
        raise InvalidRequest(f"`{names[0]}` names one model: there is nothing to prove")
    return pool


def _break_even(found: Proof, effort_usd: float, requests_per_day: float | None) -> BreakEven | None:
    if not effort_usd:
        return None
    each = found.saving_per_1k_usd / 1000
    requests = int(np.ceil(effort_usd / each)) if each > 0 else None
    days = requests / requests_per_day if requests is not None and requests_per_day else None
    return BreakEven(effort_usd=Decimal(str(effort_usd)), requests=requests, days=days)


def _show(found: Proof, back: BreakEven | None) -> None:
    say(f"{found.verdict}: {found.why}\n")
    policy = Alone(model="this route", quality=found.quality, usd=found.usd)
    best = next(one for one in found.alone if one.model == found.best)
    print_table(
        ("policy", "quality", "USD per 1,000", "of always-best: quality", "cost", "share of prompts"),
        [
            (
                f"always {one.model}" if one is not policy else one.model,
                f"{one.quality:.4f}",
                f"{one.usd * 1000:.4f}",
                f"{one.quality / best.quality:.1%}" if best.quality else "-",
                f"{one.usd / best.usd:.1%}" if best.usd else "-",
                f"{found.shares[one.model]:.1%}" if one is not policy else "",
            )
            for one in (*found.alone, policy)
        ],
    )
    for name, told_ in (
        (f"saving against always {found.best}", found.saving),
        ("quality lost, of its quality", found.quality_lost),
    ):
        say(f"{name}: {told_.value:.2%}, 95 % {told_.low:.2%} to {told_.high:.2%} (n {told_.n})")
    over = found.over_chance
    say(f"quality over chance at equal cost: {over.value:+.4f}, 95 % {over.low:+.4f} to {over.high:+.4f}")
    if back is not None:
        never = "never: nothing is saved"
        when = never if back.requests is None else f"after {back.requests:,} requests"
        say(f"an effort of ${back.effort_usd} is paid back {when}" + (f", {back.days:.0f} days" if back.days else ""))


def _show_beside(compared: Comparison, route: str, against: str | None) -> None:
    quality, usd = compared.quality, compared.usd
    say(f"\n{route} beside {against}: {compared.verdict}")
    say(f"quality {quality.value:+.4f}, 95 % {quality.low:+.4f} to {quality.high:+.4f} (n {quality.n})")
    a_thousand = [f"{1000 * (amount or 0):+.4f}" for amount in (usd.value, usd.low, usd.high)]
    say(f"USD per 1,000 requests {a_thousand[0]}, 95 % {a_thousand[1]} to {a_thousand[2]}")
