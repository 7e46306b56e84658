"""The verb `train`: a router from labelled rows, written only where it beats what costs nothing."""

import os
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
import typer

from polyroute.catalog import pricing, tasks
from polyroute.catalog.cards import Catalogue
from polyroute.cli.shell import (
    ConfigOption,
    DebugOption,
    JsonOption,
    document_path,
    err,
    fail,
    print_json,
    print_table,
    say,
    told,
)
from polyroute.config.load import Loaded, read
from polyroute.config.resolve import deployments
from polyroute.errors import ConfigError, InvalidRequest, Problem
from polyroute.learning.curves import Interval
from polyroute.learning.report import Report, metrics_of, report
from polyroute.learning.rows import Rate, Row, read_rows
from polyroute.learning.training import LEAST_ROWS, measured, predict_unseen, sample_of
from polyroute.learning.training import train as trained
from polyroute.stages.classification.heuristic import HeuristicClassifier
from polyroute.stages.selection.router import Router
from polyroute.types.request import ask

_TIMED = 500  # prompts whose decisions are timed


def train(
    rows: Annotated[Path, typer.Option(help="JSONL of {id, prompt or messages, scores: {model: 0..1}, …}.")],
    models: Annotated[str, typer.Option(help="To choose from, with commas between, as rows and document name them.")],
    out: Annotated[Path, typer.Option(help="Where the router goes: what `strategy.artifact` then names.")],
    force: Annotated[
        bool, typer.Option("--force", help="Write it though free baselines do as well; it says so.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Train a router on labelled rows; exit 1, and no file, where prompt length or chance routes as well."""
    names = tuple(dict.fromkeys(name.strip() for name in models.split(",") if name.strip()))
    with told(debug=debug):
        if len(names) < 2:
            raise InvalidRequest("`--models` names fewer than two models: there is nothing to choose")
        rates = rates_of(read(document_path(config), os.environ), names)
        known = read_rows(rows, names)
        if len(known) < LEAST_ROWS:
            raise InvalidRequest(
                f"{rows} has {len(known)} rows with a score of every model; under {LEAST_ROWS} a router is no better "
                "than prompt length: gather more with feedback, `compare` or a shadow"
            )
        sample = sample_of(known, names, rates)
        unseen = predict_unseen(sample)
        found = report(sample, unseen, _heuristic(known), unseen.strange)
        if found.gap <= 0:
            raise InvalidRequest(
                f"{found.strong} scores best ({found.strong_quality:.3f}) and costs least: use it alone, "
                "there is nothing to route"
            )
        beaten = not found.unbeaten
        plain = trained(sample, unseen, datetime.now(UTC))
        latency_ms = _latency_ms(Router(plain), known)
        artifact = measured(plain, metrics_of(found, latency_ms), forced=not beaten)
        if beaten or force:
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_bytes(msgspec.json.encode(artifact))
    if as_json:
        written = str(out) if beaten or force else None
        print_json({"artifact": written, "content": artifact.content, "decision_ms": latency_ms, "report": found})
    else:
        _show(found, latency_ms)
    if not beaten:
        as_well = ", ".join(found.unbeaten)
        if not force:
            fail(f"no file was written: {as_well} order these prompts as well; more rows may help (or --force)")
        err.print(f"written although {as_well} order these prompts as well; the file says so")
    if not as_json:
        say(f"{out}: {artifact.content[:12]}, {artifact.rows} rows")


def rates_of(loaded: Loaded, names: Sequence[str]) -> dict[str, Rate]:
    """Raises ConfigError naming every model without a price."""
    today, rates = datetime.now(UTC).date(), dict[str, Rate]()
    for found in deployments(loaded.document, Catalogue()):
        price = pricing.price_at(found.card, today)
        if found.model in names and price is not None:
            zero = Decimal(0)
            rate = Rate(input_usd=price.rates.input or zero, output_usd=price.rates.output or zero)
            rates.setdefault(found.model, rate)
    if lacking := [name for name in names if name not in rates]:
        fix = "name it there, with `price: {input: …, output: …}` or `price: free`"
        raise ConfigError([Problem(path=f"models.{name}", message="has no known price", fix=fix) for name in lacking])
    return rates


def _heuristic(rows: Sequence[Row]) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    """What the untrained classifier scores them: the simpler, the lower."""
    classifier = HeuristicClassifier(tasks=tasks.load(None))
    return np.array([classifier.classify(ask("any", row.text)).score for row in rows])


def _latency_ms(router: Router, rows: Sequence[Row]) -> dict[str, float]:
    times = []
    for row in rows[:_TIMED]:
        started = time.perf_counter()
        router.predict(row.text)
        times.append((time.perf_counter() - started) * 1e3)
    return {"p50": float(np.quantile(times, 0.5)), "p95": float(np.quantile(times, 0.95))}


def _show(found: Report, latency_ms: dict[str, float]) -> None:
    ratio = "unknown" if found.price_ratio is None else f"{found.price_ratio:.1f}"
    say(
        f"{found.rows} rows, out of fold; {found.weak} {found.weak_quality:.3f} → {found.strong} "
        f"{found.strong_quality:.3f}, price ratio {ratio}"
    )
    say(f"AUC {_figure(found.auc)}; abstains on {found.abstained:.1%} of its own rows")
    columns = ("order", "APGR", "CPT50", "CPT80", "cost at 95 %", "98 %", "99 %")
    print_table(
        columns,
        [
            (name, *map(_figure, (score.apgr, score.cpt50, score.cpt80, *score.cost.values())))
            for name, score in found.scores.items()
        ],
    )
    for why in found.pruned.values():
        say(f"never chosen: {why}")
    say(f"a decision takes {latency_ms['p50']:.2f} ms (p95 {latency_ms['p95']:.2f})")


def _figure(told: Interval) -> str:
    if told.value is None or told.low is None or told.high is None:
        return "never"
    return f"{told.value:.3f} [{told.low:.3f}, {told.high:.3f}]"
