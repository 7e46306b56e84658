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


def verdict(measured: Spread, goal: float) -> str:
    """Whether the median keeps to the goal; said when single rounds disagree with it."""
    word = "met" if measured.median <= goal else "not met"
    return f"{word}, rounds disagree" if measured.low <= goal < measured.high else word


def is_sound(*, requests: int, errors: int, forwarded: int, connections: int) -> bool:
    """Whether a pass may be believed: no errors, and each answer cost the upstream exactly one request.

    Requests still under way when the clock stops were forwarded without being answered, one a connection at most.
    """
    return requests > 0 and errors == 0 and 0.99 * requests <= forwarded <= 1.01 * requests + connections
