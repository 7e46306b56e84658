"""The arithmetic of the figures: spreads over rounds, percentiles, CPU spent, verdicts. Pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Spread:
    """The median of some rounds, with the least and the greatest of them."""

    median: float
    low: float
    high: float

    def text(self, digits: int) -> str:
        if self.low == self.high:
            return f"{self.median:.{digits}f}"
        return f"{self.median:.{digits}f} ({self.low:.{digits}f}–{self.high:.{digits}f})"


def spread(values: Sequence[float]) -> Spread:
    """Raises statistics.StatisticsError where there are no values."""
    return Spread(median=statistics.median(values), low=min(values), high=max(values))


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` (0..1) of the values do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def cpu_spent_s(before: Mapping[int, float], after: Mapping[int, float]) -> float:
    """CPU seconds between two readings of a process tree, by thread id.

    A thread born in between counts whole; one that ended in between is lost with its reading.
    """
    return sum(seconds - before.get(thread, 0.0) for thread, seconds in after.items())


def slope(points: Sequence[tuple[float, float]]) -> Spread:
    """Theil-Sen: the median of the slopes between all pairs, with the bounds of its 95 % confidence interval.

    Source: P. K. Sen, "Estimates of the Regression Coefficient Based on Kendall's Tau", JASA 63 (1968). It takes the
    points for independent; readings of one process are not quite, so that the interval is somewhat too narrow.
    Raises statistics.StatisticsError where no two points differ in x.
    """
    n = len(points)
    slopes = sorted(
        (y - earlier_y) / (x - earlier_x)
        for index, (x, y) in enumerate(points)
        for earlier_x, earlier_y in points[:index]
        if x != earlier_x
    )
    median = statistics.median(slopes)
    within = 1.96 * math.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    low = max(0, math.floor((len(slopes) - within) / 2))
    high = min(len(slopes) - 1, math.ceil((len(slopes) + within) / 2))
    return Spread(median=median, low=slopes[low], high=slopes[high])


def growth_verdict(growth: Spread, goal: float) -> str:
    """Whether a slope, of which `low` to `high` is the confidence interval, is below the goal."""
    if growth.high <= goal:
        return "met"
    return "not met" if growth.low > goal else "undecided: run longer"


def verdict(measured: Spread, goal: float) -> str:
    """Whether the median keeps to the goal; said when single rounds disagree with it."""
    word = "met" if measured.median <= goal else "not met"
    return f"{word}, rounds disagree" if measured.low <= goal < measured.high else word


def is_sound(*, requests: int, errors: int, forwarded: int, connections: int) -> bool:
    """Whether a pass may be believed: no errors, and each answer cost the upstream exactly one request.

    Requests still under way when the clock stops were forwarded without being answered, one a connection at most.
    """
    return requests > 0 and errors == 0 and 0.99 * requests <= forwarded <= 1.01 * requests + connections
