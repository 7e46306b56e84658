"""What a router is worth on rows it had not seen, beside what costs nothing: prompt length, the heuristic, chance."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from polyroute.learning.curves import Interval, Pair, apgr, auc, calibration_error, calls_for, cost_at, interval
from polyroute.learning.fitting import Vector
from polyroute.learning.trading import pruned
from polyroute.learning.training import WARM_ROWS, Sample, Unseen

_KEPT = (0.95, 0.98, 0.99)


class Score(Struct, frozen=True, kw_only=True):
    """One order of the prompts, and what it is worth."""

    apgr: Interval
    cpt50: Interval
    cpt80: Interval
    cost: Mapping[str, Interval]  # share of always-strong's cost that keeps 95, 98, 99 % of its quality


class Report(Struct, frozen=True, kw_only=True):
    rows: int
    weak: str  # the cheapest of the pool
    strong: str  # the best of it
    weak_quality: float
    strong_quality: float
    price_ratio: float | None  # what always-strong costs beside always-weak
    auc: Interval  # that a prompt where the stronger is better is ranked above one where it is not
    calibration_error: Mapping[str, float]  # by model
    abstained: float  # share of rows
    scores: Mapping[str, Score]
    pruned: Mapping[str, str]

    @property
    def gap(self) -> float:
        return self.strong_quality - self.weak_quality

    @property
    def unbeaten(self) -> tuple[str, ...]:
        """What costs nothing and orders the prompts at least as well."""
        learned = self.scores["learned"].apgr.value or 0.0
        return tuple(
            name for name in ("length", "heuristic", "random") if learned <= (self.scores[name].apgr.value or 0)
        )


def report(sample: Sample, unseen: Unseen, heuristic: Vector, strange: "NDArray[np.bool_]") -> Report:
    """Of the pair that says most: the pool's cheapest model and its best."""
    why = pruned(sample.models, sample.scores, sample.usd)
    pool = [at for at, name in enumerate(sample.models) if name not in why]
    weak = min(pool, key=lambda at: (float(sample.usd[:, at].mean()), float(sample.scores[:, at].mean())))
    strong = max(pool, key=lambda at: float(sample.scores[:, at].mean()))
    pair = Pair(
        weak=sample.scores[:, weak],
        strong=sample.scores[:, strong],
        weak_usd=sample.usd[:, weak],
        strong_usd=sample.usd[:, strong],
    )
    gain = pair.strong - pair.weak
    learned = unseen.predicted[:, strong] - unseen.predicted[:, weak]
    orders = {"learned": learned, "length": sample.words, "heuristic": heuristic, "oracle": gain}
    scores = {name: _score(pair, order) for name, order in orders.items()}
    scores["random"] = _score(pair, np.zeros(len(gain)))  # all equal: any share of calls recovers that share of the gap
    cost = pair.weak_usd.mean()
    return Report(
        rows=len(gain),
        weak=sample.models[weak],
        strong=sample.models[strong],
        weak_quality=float(pair.weak.mean()),
        strong_quality=float(pair.strong.mean()),
        price_ratio=float(pair.strong_usd.mean() / cost) if cost > 0 else None,
        auc=interval(len(gain), lambda at: auc(gain[at] > 0, learned[at])),
        calibration_error={
            name: calibration_error(sample.scores[:, at], unseen.predicted[:, at])
            for at, name in enumerate(sample.models)
        },
        abstained=float(strange.mean()),
        scores=scores,
        pruned=why,
    )


def _score(pair: Pair, order: Vector) -> Score:
    def told(figure: Callable[[Pair, Vector], float | None]) -> Interval:
        return interval(len(order), lambda rows: figure(pair.at(rows), order[rows]))

    return Score(
        apgr=told(apgr),
        cpt50=told(partial(calls_for, recovered=0.5)),
        cpt80=told(partial(calls_for, recovered=0.8)),
        cost={f"{kept:.0%}": told(partial(cost_at, kept=kept)) for kept in _KEPT},
    )


def metrics_of(found: Report, decision_ms: Mapping[str, float]) -> dict[str, Any]:
    """The figures that an artifact carries: what it knows, how well, and what time it adds."""
    learned = found.scores["learned"]
    return {
        "rows": found.rows,
        "weak": found.weak,
        "strong": found.strong,
        "weak_quality": found.weak_quality,
        "strong_quality": found.strong_quality,
        "warm": found.rows >= WARM_ROWS,  # the prior no longer counts for more than what was learned
        "decision_ms": dict(decision_ms),
        "auc": found.auc.value,
        "apgr": learned.apgr.value,
        "apgr_length": found.scores["length"].apgr.value,
        "cpt50": learned.cpt50.value,
        "cpt80": learned.cpt80.value,
    }
