"""How good an order of prompts is for routing between a weaker and a stronger model, and against what costs nothing.

APGR, CPT50 and CPT80 as RouteLLM defines them (arXiv 2406.18665, section 4.1): the performance gap recovered, averaged
over ten equal steps of the share of calls that go to the stronger model; and the share that recovers half, or four
fifths, of the gap.
"""

from collections.abc import Callable

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from polyroute.learning.fitting import Vector

_STEPS = 11
RESAMPLES = 400


class Pair(Struct, frozen=True, kw_only=True):
    """What the two models scored and cost on the same rows."""

    weak: Vector
    strong: Vector
    weak_usd: Vector
    strong_usd: Vector

    def at(self, rows: NDArray[np.int64]) -> "Pair":
        return Pair(
            weak=self.weak[rows], strong=self.strong[rows], weak_usd=self.weak_usd[rows],
            strong_usd=self.strong_usd[rows],
        )  # fmt: skip


class Interval(Struct, frozen=True, kw_only=True):
    """A figure with its 95 % bootstrap interval."""

    value: float | None
    low: float | None
    high: float | None
    n: int


class Curve(Struct, frozen=True, kw_only=True):
    """By the number of prompts that go to the stronger model, from none to all."""

    share: Vector
    recovered: Vector  # of the gap between the two
    quality: Vector
    usd: Vector


def curve(pair: Pair, order: Vector) -> Curve:
    """The prompts of the largest `order` go to the stronger model first; among equals, all in one step."""
    ranks = np.argsort(-order, kind="stable")
    ends = np.concatenate([[0], np.flatnonzero(np.diff(order[ranks]) != 0) + 1, [len(order)]])
    quality = np.concatenate([[0.0], np.cumsum((pair.strong - pair.weak)[ranks])])[ends] / len(order) + pair.weak.mean()
    usd = np.concatenate([[0.0], np.cumsum((pair.strong_usd - pair.weak_usd)[ranks])])[ends] + pair.weak_usd.sum()
    gap = pair.strong.mean() - pair.weak.mean()
    recovered = (quality - pair.weak.mean()) / gap if gap else np.zeros(len(ends))
    return Curve(share=ends / len(order), recovered=recovered, quality=quality, usd=usd / len(order))


def apgr(pair: Pair, order: Vector) -> float:
    found, at = curve(pair, order), np.linspace(0, 1, _STEPS)
    return float(np.trapezoid(np.interp(at, found.share, found.recovered), at))


def calls_for(pair: Pair, order: Vector, recovered: float) -> float:
    """The least share of calls to the stronger model that recovers so much of the gap (CPT)."""
    found, at = curve(pair, order), np.linspace(0, 1, 1001)
    return float(at[np.argmax(np.interp(at, found.share, found.recovered) >= recovered)])


def cost_at(pair: Pair, order: Vector, kept: float) -> float | None:
    """The cost, as a share of always-strong's, where `kept` of the stronger model's quality is kept."""
    found = curve(pair, order)
    enough = np.flatnonzero(found.quality >= kept * pair.strong.mean() - 1e-12)
    always = pair.strong_usd.mean()
    return float(found.usd[enough].min() / always) if len(enough) and always > 0 else None


def interval(n: int, figure: Callable[[NDArray[np.int64]], float | None], seed: int = 0) -> Interval:
    """`figure` of all rows, and where it lies in nineteen of twenty resamples of them."""
    draw = np.random.default_rng(seed)
    told = [figure(draw.integers(0, n, n)) for _ in range(RESAMPLES)]
    known = [value for value in told if value is not None]
    low, high = np.quantile(known, (0.025, 0.975)) if known else (None, None)
    return Interval(
        value=figure(np.arange(n)),
        low=None if low is None else float(low),
        high=None if high is None else float(high),
        n=n,
    )


def auc(labels: NDArray[np.bool_], scores: Vector) -> float | None:
    """The chance that a right one is ranked above a wrong one; None where there is but one kind."""
    right, wrong = int(labels.sum()), int((~labels).sum())
    if not right or not wrong:
        return None
    _, at, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[at]
    return float((ranks[labels].sum() - right * (right + 1) / 2) / (right * wrong))


def calibration_error(outcomes: Vector, predicted: Vector, bins: int = 10) -> float:
    """Mean distance between what was predicted and what came, over bins of equal size (ECE)."""
    parts = np.array_split(np.argsort(predicted, kind="stable"), min(bins, len(predicted)))
    gaps = [abs(outcomes[part].mean() - predicted[part].mean()) * len(part) for part in parts if len(part)]
    return float(sum(gaps) / len(predicted))
