"""Ridge regression of several models' scores on one set of features, and what it says of rows it has not seen.

Linear in the scores: what it predicts of one model over another is what it would predict had only their difference
been learned. The penalty pulls every prediction towards the model's mean, so that the largest of several noisy
estimates is not taken for a large one (Hoerl and Kennard, "Ridge Regression", 1970).
"""

from collections import Counter
from collections.abc import Sequence
from math import log

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from scipy.sparse import csr_array, hstack

from polyroute.stages.selection.lexical import MEASURES, Look

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

PLACES = 17  # bins of a measure
_MOST_NGRAMS = 65_536  # the most frequent are kept
MEASURE_SCALE = 0.1  # how far a measure counts beside the n-grams; chosen by cross-validation
_TOLERANCE = 1e-4
_STEPS = 60


class Scale(Struct, frozen=True, kw_only=True):
    """Where one measure's values lie among the rows."""

    least: float
    most: float
    cuts: tuple[float, ...]

    def places(self, values: Vector) -> NDArray[np.int64]:
        """0 under `least`, the last over `most`, else 1 + how many cuts are under it."""
        inside = 1 + np.searchsorted(np.asarray(self.cuts), values)
        return np.where(values < self.least, 0, np.where(values > self.most, len(self.cuts) + 2, inside))


class Vocabulary(Struct, frozen=True, kw_only=True):
    """What the features of any prompt are told against: the rows of the training, never those of a test."""

    places: dict[int, int]  # by n-gram
    idf: Vector
    scales: tuple[Scale, ...]

    @classmethod
    def of(cls, looks: Sequence[Look]) -> "Vocabulary":
        seen = Counter(gram for one in looks for gram in one.ngrams)
        kept = [gram for gram, _ in sorted(seen.items(), key=lambda item: (-item[1], item[0]))[:_MOST_NGRAMS]]
        idf = np.array([log((1 + len(looks)) / (1 + seen[gram])) + 1 for gram in kept])
        values = np.array([one.measures for one in looks])
        shares = np.linspace(0, 1, PLACES)[1:-1]
        scales = tuple(
            Scale(
                least=float(column.min()),
                most=float(column.max()),
                cuts=tuple(float(cut) for cut in np.unique(np.quantile(column, shares)) if cut < column.max()),
            )
            for column in values.T
        )
        return cls(places={gram: at for at, gram in enumerate(kept)}, idf=idf, scales=scales)

    def matrix(self, looks: Sequence[Look]) -> "csr_array[np.float64]":
        """A row for each prompt: its n-grams' idf, of length one; the cuts its measures lie above; and 1."""
        return csr_array(
            hstack([self._ngrams(looks), csr_array(self._measures(looks)), csr_array(np.ones((len(looks), 1)))])
        )

    def _ngrams(self, looks: Sequence[Look]) -> "csr_array[np.float64]":
        columns, starts, values = [], [0], []
        for one in looks:
            found = [at for gram in one.ngrams if (at := self.places.get(gram)) is not None]
            idf = self.idf[found]
            columns += found
            values.append(idf / (np.sqrt(idf @ idf) or 1.0))
            starts.append(len(columns))
        told = np.concatenate(values) if values else np.zeros(0)
        return csr_array((told, np.asarray(columns, np.int64), starts), shape=(len(looks), len(self.idf)))

    def _measures(self, looks: Sequence[Look]) -> Matrix:
        values = np.array([one.measures for one in looks])
        blocks = [values[:, [at]] > np.asarray(scale.cuts)[None, :] for at, scale in enumerate(self.scales)]
        return np.asarray(np.hstack(blocks), float) * MEASURE_SCALE

    def unseen(self, looks: Sequence[Look]) -> Vector:
        """Of each prompt, the share of n-grams that are not in the vocabulary."""
        return np.array([sum(g not in self.places for g in one.ngrams) / max(len(one.ngrams), 1) for one in looks])


def surprises(scales: Sequence[Scale], looks: Sequence[Look]) -> tuple[Vector, ...]:
    """By measure and place, minus the log of the share of rows there, half a row added to each place."""
    values = np.array([one.measures for one in looks])
    tables = []
    for at, scale in enumerate(scales):
        counts = np.bincount(scale.places(values[:, at]), minlength=len(scale.cuts) + 3) + 0.5
        tables.append(-np.log(counts / counts.sum()))
    return tuple(tables)


def surprise(scales: Sequence[Scale], tables: Sequence[Vector], looks: Sequence[Look]) -> Vector:
    """Of each prompt, the mean over its measures."""
    values = np.array([one.measures for one in looks])
    told = [table[scale.places(values[:, at])] for at, (scale, table) in enumerate(zip(scales, tables, strict=True))]
    return np.asarray(np.sum(told, axis=0) / len(MEASURES), float)


def ridge(features: "csr_array[np.float64]", scores: Matrix, penalty: float) -> Matrix:
    """Weights, a column a model, by conjugate gradients on the normal equations, all columns in step."""
    turned = csr_array(features.T)
    weights = np.zeros((features.shape[1], scores.shape[1]))
    left = np.asarray(turned @ scores)
    way, size = left.copy(), (left**2).sum(0)
    enough = _TOLERANCE**2 * size
    for _ in range(_STEPS):
        if (size <= enough).all():
            break
        pushed = np.asarray(turned @ (features @ way)) + penalty * way
        step = size / np.maximum((way * pushed).sum(0), 1e-300)
        weights += step * way
        left -= step * pushed
        before, size = size, (left**2).sum(0)
        way = left + size / np.maximum(before, 1e-300) * way
    return weights
