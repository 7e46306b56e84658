"""The error of token estimates, and weights that make it small. Pure: no numpy, the same rows give the same weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.figures import percentile
from polyroute.catalog.counting import Found, Weights
from polyroute.catalog.tokens import Size

_SMALL = 20  # tokens: an error of less than a few of them is none that matters
_ROUNDS, _SOFT, _SHRINK = 400, 0.01, 0.3

# The weights that are fitted, with what each is weighed by. Those of media are documented figures.
FITTED = ("request", "message", "text", "tools", "tool", "schema", "call", "output", "output_schema", "thinking")


@dataclass(frozen=True, slots=True)
class Row:
    size: Size
    billed: int


def columns(size: Size) -> tuple[float, ...]:
    """What each fitted weight is multiplied with."""
    one = size.wrapped
    return (
        *(1.0, one.messages, one.texts, float(one.tools > 0), one.tools, one.schemas, one.calls),
        *(one.outputs, one.output_schemas, one.thinks),
    )


def fit(rows: Sequence[Row], start: Weights) -> Weights:
    """Weights, none below 0, of least absolute relative error; those that the rows say nothing of stay near `start`.

    Least squares with weights that make it least absolute deviations, one coordinate at a time: the problem is convex,
    so this ends at its least (Daubechies et al., "Iteratively reweighted least squares", 2010).
    """
    table = [columns(row.size) for row in rows]
    scales = [max(row.billed, _SMALL) for row in rows]
    prior = [getattr(start, name) for name in FITTED]
    found = list(prior)
    left = [
        row.billed - sum(x * w for x, w in zip(line, found, strict=True)) for row, line in zip(rows, table, strict=True)
    ]
    for _ in range(_ROUNDS):
        pull = [1 / (scale * max(abs(rest), _SOFT * scale)) for scale, rest in zip(scales, left, strict=True)]
        for at, before in enumerate(prior):
            hold = _SHRINK / max(before, 0.5) ** 2 * len(rows) / 10
            ahead, curve = hold * (before - found[at]), hold
            for line, weight, rest in zip(table, pull, left, strict=True):
                if line[at]:
                    ahead += weight * line[at] * rest
                    curve += weight * line[at] ** 2
            step = max(found[at] + ahead / curve, 0.0) - found[at]
            if step:
                found[at] += step
                left = [rest - step * line[at] for rest, line in zip(left, table, strict=True)]
    rounded = {name: round(value, 2) for name, value in zip(FITTED, found, strict=True)}
    return Weights(**rounded, image=start.image, page=start.page)


def errors(estimates: Sequence[int], billed: Sequence[int]) -> Found:
    """Shares of what was billed."""
    shares = [estimate / real - 1 for estimate, real in zip(estimates, billed, strict=True)]
    long = [abs(share) for share, real in zip(shares, billed, strict=True) if real >= 100]
    return Found(
        n=len(shares),
        bias=round(percentile(shares, 0.5), 3),
        median=round(percentile([abs(share) for share in shares], 0.5), 3),
        p90=round(percentile([abs(share) for share in shares], 0.9), 3),
        n_100=len(long),
        median_100=round(percentile(long, 0.5), 3) if long else None,
        p90_100=round(percentile(long, 0.9), 3) if long else None,
    )
