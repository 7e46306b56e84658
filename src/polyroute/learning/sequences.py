"""Intervals around a mean that hold at every moment at once: one may look after each observation, and stop at will.

`bounded` is the empirical Bernstein confidence sequence of Waudby-Smith and Ramdas, *Estimating means of bounded random
variables by betting*, JRSS B 86 (2024), theorem 2. `unbounded` is the asymptotic one of Waudby-Smith, Arbour, Sinha,
Kennedy and Ramdas, *Time-uniform central limit theory and asymptotic confidence sequences*, Annals of Statistics 52
(2024), theorem 2.2; it promises its level for many observations, so that of few there is none.
"""

from collections.abc import Sequence
from math import log, sqrt

from msgspec import Struct

_MOST_BET = 0.5
_LEAST_SEEN = 30
_TIGHTEST_AT = 500  # observations, of the asymptotic one


class Span(Struct, frozen=True, kw_only=True):
    """A mean with its interval. None: not known from so few."""

    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int


def bounded(values: Sequence[float], alpha: float) -> Span:
    """Of values from 0 to 1."""
    mean, variance = 0.5, 0.25  # before anything is seen
    total, squares = 0.5, 0.25
    bets = told = slack = 0.0
    low, high = 0.0, 1.0
    for t, value in enumerate(values, start=1):
        bet = min(sqrt(2 * log(2 / alpha) / (variance * t * log(1 + t))), _MOST_BET)
        bets += bet
        told += bet * value
        slack += (value - mean) ** 2 * (-log(1 - bet) - bet)
        centre, reach = told / bets, (log(2 / alpha) + slack) / bets
        low, high = max(low, centre - reach), min(high, centre + reach)
        total += value
        mean = total / (t + 1)
        squares += (value - mean) ** 2
        variance = squares / (t + 1)
    n = len(values)
    return Span(value=sum(values) / n if n else None, low=low if n else None, high=high if n else None, n=n)


def unbounded(values: Sequence[float], alpha: float) -> Span:
    n = len(values)
    if not n:
        return Span(n=0)
    mean = sum(values) / n
    if n < _LEAST_SEEN:
        return Span(value=mean, n=n)
    deviation = sqrt(sum((value - mean) ** 2 for value in values) / n)
    weight = n * (-2 * log(alpha) + log(-2 * log(alpha)) + 1) / _TIGHTEST_AT
    reach = deviation / sqrt(n) * sqrt(2 * (weight + 1) / weight * log(sqrt(weight + 1) / alpha))
    return Span(value=mean, low=mean - reach, high=mean + reach, n=n)
