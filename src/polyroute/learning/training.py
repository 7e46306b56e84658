"""From labelled rows to a trained router: what it would have said of rows it had not seen, then the router of all rows.

Everything that is chosen or calibrated (the penalty, what counts as strange, bounds, what cost weighs) is chosen on
out-of-fold predictions, with rows alike on one side of every split.
"""

from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from polyroute.learning.fitting import MEASURE_SCALE, Matrix, Vector, Vocabulary, ridge, surprise, surprises
from polyroute.learning.rows import Rate, Row, cost_of
from polyroute.learning.trading import pruned, trades
from polyroute.stages.selection.lexical import MEASURES, Look, look
from polyroute.stages.selection.router import FORMAT, Artifact, Measure, ModelFacts, Numbers

FOLDS = 5
LEAST_ROWS = 100  # under which nothing beats prompt length: docs/decisions/0012
_PENALTIES = (3.0, 6.0, 12.0)
_STRANGE = 0.95  # this share of the training's own rows is not strange
_PRIOR_SLOPE = 0.2  # of a gap in mean quality, per standard deviation of the log of the words
WARM_ROWS = 800  # how many rows the prior counts for beside what is learned; both chosen by cross-validation
_BINS = 10
_Z = 1.64  # one-sided 95 %


class Sample(Struct, frozen=True, kw_only=True):
    """The rows as arrays."""

    models: tuple[str, ...]
    looks: tuple[Look, ...]
    scores: Matrix  # by row, by model
    usd: Matrix
    folds: NDArray[np.int64]
    data: str  # hash of the rows

    @property
    def words(self) -> Vector:
        return np.array([one.log_words for one in self.looks])


def sample_of(rows: Sequence[Row], models: Sequence[str], rates: Mapping[str, Rate]) -> Sample:
    usual = {
        model: float(np.mean([row.output_tokens[model] for row in rows if model in row.output_tokens] or [0]))
        for model in models
    }
    told = [(row.text, [row.scores[model] for model in models]) for row in rows]
    return Sample(
        models=tuple(models),
        looks=tuple(look(row.text) for row in rows),
        scores=np.array([scores for _, scores in told], float),
        usd=np.array([[cost_of(row, model, rates[model], usual[model]) for model in models] for row in rows]),
        folds=np.array([int(row.stem[:8], 16) % FOLDS for row in rows]),
        data=sha256(msgspec.json.encode(told)).hexdigest(),
    )


class Unseen(Struct, frozen=True, kw_only=True):
    """What routers trained on the other folds said of each row."""

    predicted: Matrix
    surprise: Vector
    unseen: Vector
    penalty: float

    @property
    def most_surprise(self) -> float:
        return float(np.quantile(self.surprise, _STRANGE))

    @property
    def most_unseen(self) -> float:
        return float(np.quantile(self.unseen, _STRANGE))

    @property
    def strange(self) -> NDArray[np.bool_]:
        return (self.surprise > self.most_surprise) | (self.unseen > self.most_unseen)


def predict_unseen(sample: Sample) -> Unseen:
    """By the penalty whose predictions err the least."""
    predicted = {penalty: np.zeros_like(sample.scores) for penalty in _PENALTIES}
    odd, unseen = np.zeros(len(sample.looks)), np.zeros(len(sample.looks))
    for train, test in _splits(sample):
        shown, held = [sample.looks[at] for at in train], [sample.looks[at] for at in test]
        words = Vocabulary.of(shown)
        mean, prior = sample.scores[train].mean(0), prior_of(sample, train)
        features, asked = words.matrix(shown), words.matrix(held)
        for penalty, table in predicted.items():
            table[test] = (
                mean + asked @ ridge(features, sample.scores[train] - mean, penalty) + prior.adds(sample, test)
            )
        odd[test] = surprise(words.scales, surprises(words.scales, shown), held)
        unseen[test] = words.unseen(held)
    best = min(predicted, key=lambda penalty: float(((predicted[penalty] - sample.scores) ** 2).sum()))
    return Unseen(predicted=predicted[best], surprise=odd, unseen=unseen, penalty=best)


class Prior(Struct, frozen=True, kw_only=True):
    """What is thought without having learned: the shorter a prompt, the better for the weaker models."""

    words_mean: float
    words_sd: float
    slopes: Vector  # by model
    share: float  # how much of it is added to what was learned

    def adds(self, sample: Sample, rows: NDArray[np.int64]) -> Matrix:
        longer = (sample.words[rows] - self.words_mean) / self.words_sd
        return self.share * longer[:, None] * self.slopes[None, :]


def prior_of(sample: Sample, rows: NDArray[np.int64]) -> Prior:
    words, mean = sample.words[rows], sample.scores[rows].mean(0)
    return Prior(
        words_mean=float(words.mean()),
        words_sd=float(words.std() or 1.0),
        slopes=_PRIOR_SLOPE * (mean - mean.max()),
        share=WARM_ROWS / (WARM_ROWS + len(rows)),
    )


def _splits(sample: Sample) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    for fold in np.unique(sample.folds):
        yield np.flatnonzero(sample.folds != fold), np.flatnonzero(sample.folds == fold)


def train(sample: Sample, unseen: Unseen, made_at: datetime) -> Artifact:
    """The router of all rows."""
    words = Vocabulary.of(sample.looks)
    mean, prior = sample.scores.mean(0), prior_of(sample, np.arange(len(sample.looks)))
    weights = ridge(words.matrix(sample.looks), sample.scores - mean, unseen.penalty)
    grams = len(words.idf)
    artifact = Artifact(
        format=FORMAT,
        content="",
        made_at=made_at.isoformat(timespec="seconds"),
        rows=len(sample.looks),
        data=sample.data,
        forced=False,
        models=_facts(sample, unseen, mean + weights[-1], prior),
        ngrams=_numbers("I", np.array(list(words.places), np.uint32)),
        idf_squares=_numbers("f", words.idf**2),
        weights=_numbers("f", weights[:grams] * words.idf[:, None]),
        measures=_measures(words, sample.looks, weights[grams:-1]),
        words_mean=prior.words_mean,
        words_sd=prior.words_sd,
        prior_share=prior.share,
        most_surprise=unseen.most_surprise,
        most_unseen=unseen.most_unseen,
        trades=trades(sample.scores, sample.usd, unseen.predicted),
        metrics={},
    )
    return replace(artifact, content=artifact.hashed())


def measured(artifact: Artifact, metrics: Mapping[str, Any], *, forced: bool) -> Artifact:
    """With what was measured on rows not seen; `forced`: it does not beat what costs nothing."""
    told = replace(artifact, metrics=dict(metrics), forced=forced)
    return replace(told, content=told.hashed())


def _facts(sample: Sample, unseen: Unseen, bias: Vector, prior: Prior) -> tuple[ModelFacts, ...]:
    why, mean = pruned(sample.models, sample.scores, sample.usd), sample.scores.mean(0)
    return tuple(
        ModelFacts(
            name=name,
            quality=float(mean[at]),
            bias=float(bias[at]),
            length_slope=float(prior.slopes[at]),
            lower=_lower_bounds(sample.scores[:, at], unseen.predicted[:, at]),
            pruned=why.get(name),
        )
        for at, name in enumerate(sample.models)
    )


def _lower_bounds(scored: Vector, predicted: Vector) -> tuple[tuple[float, float], ...]:
    """Of each tenth of the predictions, its upper end and the lower bound of the mean score there; never falling."""
    points, highest = [], 0.0
    for part in np.array_split(np.argsort(predicted, kind="stable"), min(_BINS, len(predicted))):
        mean, spread = scored[part].mean(), scored[part].std()
        highest = max(highest, float(mean - _Z * spread / np.sqrt(len(part))))
        points.append((float(predicted[part].max()), max(0.0, highest)))
    return tuple(points)


def _measures(words: Vocabulary, looks: Sequence[Look], weights: Matrix) -> tuple[Measure, ...]:
    """What a place adds is what all the cuts under it add."""
    told, at = [], 0
    for scale, table in zip(words.scales, surprises(words.scales, looks), strict=True):
        steps = weights[at : at + len(scale.cuts)] * MEASURE_SCALE
        at += len(scale.cuts)
        added = np.vstack([np.zeros((1, weights.shape[1])), np.cumsum(steps, 0)])
        by_place = [added[0], *added, added[-1]]
        told.append(
            Measure(
                least=scale.least,
                most=scale.most,
                cuts=scale.cuts,
                weights=tuple(tuple(map(float, row)) for row in by_place),
                surprise=tuple(map(float, table)),
            )
        )
    assert len(told) == len(MEASURES)
    return tuple(told)


def _numbers(kind: str, values: NDArray[Any]) -> Numbers:
    form = {"f": "<f4", "I": "<u4"}[kind]
    return Numbers(kind=kind, data=b64encode(np.ascontiguousarray(values, form).tobytes()).decode())
