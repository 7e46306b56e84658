"""How a trial's arms do beside each other, and whether it may stop. Pure.

What stays with one arm counts once, with the mean of its requests: requests of one user are no independent evidence.
Each arm's interval holds at any time, all arms together at 95 %, so that looking often misleads nobody.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal

from msgspec import Struct

from polyroute.learning.sequences import Span, bounded, unbounded

ALPHA = 0.05
Metric = Literal["score", "cost", "latency", "errors"]
Verdict = Literal["go on", "stop: better", "stop: alike"]

_OF: Mapping[Metric, Callable[[Sequence[float], float], Span]] = {
    "score": bounded,
    "cost": unbounded,
    "latency": unbounded,
    "errors": bounded,
}


class Seen(Struct, frozen=True, kw_only=True):
    """One request of a trial. None: not known."""

    arm: str
    unit: str | None
    score: float | None = None
    cost: float | None = None  # US dollars
    latency: float | None = None  # milliseconds
    errors: float = 0.0  # 1: it failed


class ArmFigures(Struct, frozen=True, kw_only=True):
    arm: str
    requests: int
    score: Span
    cost: Span
    latency: Span
    errors: Span


class TrialReport(Struct, frozen=True, kw_only=True):
    """`n` of a figure counts units where the trial is sticky, else requests."""

    by: Metric
    arms: tuple[ArmFigures, ...]
    verdict: Verdict
    better: str | None = None  # the arm that is
    worse_in: tuple[Metric, ...] = ()  # in which it is shown to be worse than another
    why: str


def report(seen: Iterable[Seen], *, by: Metric = "score", margin: float | None = None) -> TrialReport:
    """It may stop where one arm's interval is better than all others', or no two arms can differ by `margin`."""
    every = tuple(seen)
    named = dict.fromkeys(one.arm for one in every)
    alpha = ALPHA / max(len(named), 2)
    arms = tuple(_figures(arm, [one for one in every if one.arm == arm], alpha) for arm in sorted(named))
    spans = {figures.arm: _span(figures, by) for figures in arms}
    best = next((arm for arm in spans if _beats_all(arm, spans, by)), None)
    if best is not None:
        worse = tuple(metric for metric in _OF if metric != by and _is_beaten(best, arms, metric))
        but = f", and worse in {', '.join(worse)}" if worse else ""
        why = f"{best} is better in {by} than every other arm, whenever one looks{but}"
        return TrialReport(by=by, arms=arms, verdict="stop: better", better=best, worse_in=worse, why=why)
    widest = _widest(list(spans.values()))
    if margin is not None and widest is not None and widest <= margin:
        why = f"no two arms differ by more than {widest:.4g} in {by}, within the margin of {margin:.4g}"
        return TrialReport(by=by, arms=arms, verdict="stop: alike", why=why)
    why = "fewer than two arms were called" if len(arms) < 2 else f"the intervals of {by} still overlap, or are missing"
    return TrialReport(by=by, arms=arms, verdict="go on", why=why)


def _figures(arm: str, seen: Sequence[Seen], alpha: float) -> ArmFigures:
    spans = {metric: of(_units(seen, metric), alpha) for metric, of in _OF.items()}
    return ArmFigures(
        arm=arm,
        requests=len(seen),
        score=spans["score"],
        cost=spans["cost"],
        latency=spans["latency"],
        errors=spans["errors"],
    )


def _units(seen: Sequence[Seen], metric: Metric) -> list[float]:
    """One value each, in the order of their first."""
    values: dict[object, list[float]] = {}
    for at, one in enumerate(seen):
        value: float | None = getattr(one, metric)
        if value is not None:
            values.setdefault(at if one.unit is None else one.unit, []).append(value)
    return [sum(of_one) / len(of_one) for of_one in values.values()]


def _span(figures: ArmFigures, metric: Metric) -> Span:
    span: Span = getattr(figures, metric)
    return span


def _beats(one: Span, other: Span, metric: Metric) -> bool:
    if one.low is None or one.high is None or other.low is None or other.high is None:
        return False
    return one.low > other.high if metric == "score" else one.high < other.low


def _beats_all(arm: str, spans: Mapping[str, Span], metric: Metric) -> bool:
    return len(spans) > 1 and all(_beats(spans[arm], span, metric) for name, span in spans.items() if name != arm)


def _is_beaten(arm: str, arms: Sequence[ArmFigures], metric: Metric) -> bool:
    own = next(_span(figures, metric) for figures in arms if figures.arm == arm)
    return any(_beats(_span(figures, metric), own, metric) for figures in arms if figures.arm != arm)


def _widest(spans: Sequence[Span]) -> float | None:
    """The most by which two arms can still differ."""
    ends = [(span.low, span.high) for span in spans]
    lows, highs = [low for low, _ in ends if low is not None], [high for _, high in ends if high is not None]
    return max(highs) - min(lows) if len(spans) > 1 and len(lows) == len(highs) == len(spans) else None
