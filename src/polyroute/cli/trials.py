"""How the arms of a split do beside each other, from the books; and whether the trial may stop."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from polyroute.cli.shell import print_table, say
from polyroute.cli.store import open_books, open_feedback
from polyroute.learning.sequences import Span
from polyroute.learning.trial import ArmFigures, Metric, Seen, TrialReport, report
from polyroute.stores.books import Books
from polyroute.types.receipt import Receipt

_FAILED = ("failed", "recovered")


def trial(split: str, config: Path | None, *, since: datetime, by: Metric, margin: float | None) -> TrialReport:
    with open_books(config) as books, open_feedback(config) as feedback:
        scores = {name: sum(one.score for one in said) / len(said) for name, said in feedback.every()}
        return report(_seen(split, books, scores, since), by=by, margin=margin)


def _seen(split: str, books: Books, scores: dict[str, float], since: datetime) -> Iterator[Seen]:
    for entry in books.entries(since):
        receipt = entry.receipt
        if receipt is None or receipt.split is None or receipt.split.split != split:
            continue
        if receipt.state != "cancelled":  # its caller left: nobody knows how it would have gone
            yield _of(receipt, receipt.split.arm, receipt.split.unit, scores.get(receipt.request_id))


def _of(receipt: Receipt, arm: str, unit: str | None, score: float | None) -> Seen:
    is_failed = receipt.state in _FAILED
    return Seen(
        arm=arm,
        unit=unit,
        score=score,
        cost=float(receipt.cost_usd) if receipt.cost_complete else None,
        latency=None if is_failed else receipt.total_ms,
        errors=float(is_failed),
    )


def show(found: TrialReport) -> None:
    columns = ("arm", "requests", "feedback", "USD per 1,000", "latency ms", "errors")
    print_table(columns, map(_row, found.arms))
    say(f"\n{found.verdict}: {found.why}")


def _row(figures: ArmFigures) -> tuple[str, ...]:
    return (
        figures.arm,
        str(figures.requests),
        _told(figures.score),
        _told(figures.cost, 1000),
        _told(figures.latency),
        _told(figures.errors),
    )


def _told(span: Span, times: float = 1) -> str:
    if span.value is None:
        return "unknown"
    ends = "" if span.low is None or span.high is None else f" [{span.low * times:.4g}, {span.high * times:.4g}]"
    return f"{span.value * times:.4g}{ends} (n {span.n})"
