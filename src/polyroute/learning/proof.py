"""Whether a policy pays, on rows where every model's score is known; or that it does not; or that nobody can say yet.

It is held against each model alone, and against the same spending without a thought: its own choices dealt out to
other prompts, mixed with the cheapest or the best model until the cost is the same. Only what it is better by than
that is its own doing. Every difference has a bootstrap interval, drawn over prompts and paired.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from polyroute.learning.curves import Interval
from polyroute.learning.fitting import Matrix, Vector

Verdict = Literal["pass", "do not route", "not enough data"]

_RESAMPLES = 600
_BATCH = 50  # resamples at a time: 100,000 rows at once would not fit
_INTERVAL = (0.025, 0.975)


class Alone(Struct, frozen=True, kw_only=True):
    """One model for every prompt."""

    model: str
    quality: float
    usd: float  # mean, a request


class Proof(Struct, frozen=True, kw_only=True):
    """`verdict`, and everything it is read from. Shares are of the best model's cost or quality."""

    verdict: Verdict
    why: str
    rows: int
    quality: float
    usd: float
    shares: dict[str, float]  # of prompts, by the model they went to
    alone: tuple[Alone, ...]  # by rising cost
    cheapest: str
    best: str  # "always strong": the named baseline of every saving here
    saving: Interval  # share of what the best model alone costs
    quality_lost: Interval  # share of the best model's quality; negative where the policy is better
    over_chance: Interval  # quality over the shuffled policy of equal cost, in score points
    enough_alone: str | None  # a model that alone loses no more and costs no more than the policy
    saving_per_1k_usd: float


class Outcomes(Struct, frozen=True, kw_only=True):
    """What each model scored and would have cost on each prompt, and which one the policy took."""

    models: tuple[str, ...]
    scores: Matrix
    usd: Matrix
    chosen: NDArray[np.int64]


def prove(outcomes: Outcomes, *, quality_loss: float, least_rows: int = 100, seed: int = 0) -> Proof:
    """`quality_loss` is the share of the best model's mean score that may be lost."""
    scores, usd, rows = outcomes.scores, outcomes.usd, np.arange(len(outcomes.chosen))
    best, cheap = int(np.argmax(scores.mean(0))), int(np.argmin(usd.mean(0)))
    own, paid = scores[rows, outcomes.chosen], usd[rows, outcomes.chosen]
    saved, lost, over = _resampled(outcomes, own, paid, best, cheap, seed)
    alone = [
        Alone(model=name, quality=float(scores[:, at].mean()), usd=float(usd[:, at].mean()))
        for at, name in enumerate(outcomes.models)
    ]
    least = (1 - quality_loss) * alone[best].quality
    enough = [one for one in alone if one.quality >= least and one.usd <= paid.mean()]
    enough_alone = max(enough, key=lambda one: (one.quality, -one.usd)).model if enough else None
    verdict, why = _verdict(saved, lost, over, enough_alone, quality_loss, alone[best].model, least_rows)
    return Proof(
        verdict=verdict,
        why=why,
        rows=len(rows),
        quality=float(own.mean()),
        usd=float(paid.mean()),
        shares={name: float((outcomes.chosen == at).mean()) for at, name in enumerate(outcomes.models)},
        alone=tuple(sorted(alone, key=lambda one: one.usd)),
        cheapest=alone[cheap].model,
        best=alone[best].model,
        saving=saved,
        quality_lost=lost,
        over_chance=over,
        enough_alone=enough_alone,
        saving_per_1k_usd=float((usd[:, best].mean() - paid.mean()) * 1000),
    )


def _verdict(
    saved: Interval, lost: Interval, over: Interval, enough_alone: str | None, loss: float, best: str, least_rows: int
) -> tuple[Verdict, str]:
    if saved.n < least_rows:
        return "not enough data", f"{saved.n} rows are fewer than the {least_rows} that intervals need"
    if enough_alone is not None:
        return "do not route", f"{enough_alone} alone is good enough and costs no more"
    if _high(saved) <= 0:
        return "do not route", f"it saves nothing against {best} alone"
    if _low(lost) > loss:
        return "do not route", f"it loses more quality than the {loss:.1%} that was accepted"
    if _high(over) <= 0:
        return "do not route", "dealing its choices out at random is as good"
    if _high(lost) <= loss and _low(saved) > 0 and _low(over) > 0:
        return "pass", f"it saves {saved.value:.1%} against {best} alone, within {loss:.1%} of its quality"
    lacking = [
        text
        for text, is_open in (
            (f"that no more than {loss:.1%} of the quality is lost", _high(lost) > loss),
            ("that anything is saved", _low(saved) <= 0),
            ("that it is better than chance at equal cost", _low(over) <= 0),
        )
        if is_open
    ]
    return "not enough data", f"{saved.n} rows do not show {' nor '.join(lacking)}"


def _resampled(
    outcomes: Outcomes, own: Vector, paid: Vector, best: int, cheap: int, seed: int
) -> tuple[Interval, Interval, Interval]:
    draw, rows = np.random.default_rng(seed), len(own)
    whole = _differences(outcomes, own, paid, best, cheap, np.ones((1, rows)))
    drawn = []
    for _ in range(_RESAMPLES // _BATCH):
        counts = draw.poisson(1.0, size=(_BATCH, rows)).astype(float)  # how often each row is drawn
        drawn.append(_differences(outcomes, own, paid, best, cheap, counts))
    told = np.concatenate(drawn, axis=1)
    lows, highs = np.quantile(told, _INTERVAL, axis=1)
    saved, lost, over = (
        Interval(value=float(value), low=float(low), high=float(high), n=rows)
        for value, low, high in zip(whole[:, 0], lows, highs, strict=True)
    )
    return saved, lost, over


def _differences(outcomes: Outcomes, own: Vector, paid: Vector, best: int, cheap: int, counts: Matrix) -> Matrix:
    """Saving, quality lost and quality over chance, by resample; `counts` is how often each row is in one."""
    total = counts.sum(1)
    quality, usd = counts @ outcomes.scores / total[:, None], counts @ outcomes.usd / total[:, None]
    mean, cost = counts @ own / total, counts @ paid / total
    dealt = np.stack([counts @ (outcomes.chosen == at) / total for at in range(len(outcomes.models))], axis=1)
    chance = _of_equal_cost((dealt * quality).sum(1), (dealt * usd).sum(1), cost, quality, usd, best, cheap)
    strong, price = quality[:, best], usd[:, best]
    saved = np.divide(price - cost, price, out=np.zeros_like(price), where=price > 0)
    lost = np.divide(strong - mean, strong, out=np.zeros_like(strong), where=strong > 0)
    return np.stack([saved, lost, mean - chance])


def _of_equal_cost(
    quality: Vector, usd: Vector, cost: Vector, alone: Matrix, price: Matrix, best: int, cheap: int
) -> Vector:
    """The shuffled policy's quality once so many prompts go to the best, or to the cheapest, that it costs `cost`."""
    towards = np.where(usd < cost, best, cheap)
    rows = np.arange(len(usd))
    other_usd, other_quality = price[rows, towards], alone[rows, towards]
    gap = other_usd - usd
    share = np.clip(np.divide(cost - usd, gap, out=np.zeros_like(gap), where=np.abs(gap) > 1e-15), 0, 1)
    return np.asarray(quality + share * (other_quality - quality), float)


def _low(told: Interval) -> float:
    return told.low if told.low is not None else float("-inf")


def _high(told: Interval) -> float:
    return told.high if told.high is not None else float("inf")


def outcomes_of(models: Sequence[str], scores: Matrix, usd: Matrix, chosen: Sequence[str]) -> Outcomes:
    places = {name: at for at, name in enumerate(models)}
    return Outcomes(models=tuple(models), scores=scores, usd=usd, chosen=np.array([places[name] for name in chosen]))


class Comparison(Struct, frozen=True, kw_only=True):
    """One policy beside another on the same rows; positive: the first has more."""

    verdict: Literal["better", "worse", "no difference shown", "a trade"]
    quality: Interval  # score points
    usd: Interval  # mean, a request


def compare(first: Outcomes, second: Outcomes, *, seed: int = 0) -> Comparison:
    """Better: at least as good for less, or better for no more, as far as the intervals tell."""
    rows = np.arange(len(first.chosen))
    quality = first.scores[rows, first.chosen] - second.scores[rows, second.chosen]
    usd = first.usd[rows, first.chosen] - second.usd[rows, second.chosen]
    draw = np.random.default_rng(seed)
    told: list[Vector] = []
    for _ in range(_RESAMPLES // _BATCH):
        counts = draw.poisson(1.0, size=(_BATCH, len(rows))).astype(float)
        told.append(np.stack([counts @ quality, counts @ usd]) / counts.sum(1))
    lows, highs = np.quantile(np.concatenate(told, axis=1), _INTERVAL, axis=1)
    means = (quality.mean(), usd.mean())
    better_by, dearer_by = (
        Interval(value=float(mean), low=float(low), high=float(high), n=len(rows))
        for mean, low, high in zip(means, lows, highs, strict=True)
    )
    return Comparison(verdict=_compared(better_by, dearer_by), quality=better_by, usd=dearer_by)


def _compared(quality: Interval, usd: Interval) -> Literal["better", "worse", "no difference shown", "a trade"]:
    gains, costs = _sign(quality), _sign(usd)
    if gains == costs == 0:
        return "no difference shown"
    if gains >= 0 >= costs:
        return "better"
    return "worse" if gains <= 0 <= costs else "a trade"


def _sign(told: Interval) -> int:
    """Of a difference that is shown; 0 where its interval holds none."""
    return (_low(told) > 0) - (_high(told) < 0)
