"""A trained router: what each of its models is expected to score on a prompt, and whether it may say so.

A linear model over what `lexical` sees, one column a model. A prompt unlike those it was trained on is not scored:
the router abstains and gives the prior in its place, every model's mean, and the shorter the prompt the better for
the weaker models. (A score learned on other prompts is worse than chance on new ones: docs/decisions/0012.)
Pure: arrays and looking things up. It is made by `learning`, and told apart by the hash of its content.
"""

import sys
from array import array
from base64 import b64decode
from bisect import bisect_left
from collections.abc import Mapping
from hashlib import sha256
from math import sqrt
from typing import Any

import msgspec
from msgspec import Struct

from polyroute.errors import ConfigError, Problem
from polyroute.stages.selection.lexical import Look, look

FORMAT = "polyroute-router/1"


class Numbers(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An array of a file: little-endian, base64."""

    kind: str  # `f` 32-bit floats, `I` unsigned 32-bit integers
    data: str

    def read(self) -> "array[Any]":
        numbers: array[Any] = array(self.kind)
        numbers.frombytes(b64decode(self.data, validate=True))
        if sys.byteorder == "big":
            numbers.byteswap()
        return numbers


class Measure(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One measure's part. A value's place is 0 under `least`, the last over `most`, else by the cuts under it."""

    least: float
    most: float
    cuts: tuple[float, ...]
    weights: tuple[tuple[float, ...], ...]  # by place, by model
    surprise: tuple[float, ...]  # by place: minus the log of how often it was seen

    def place(self, value: float) -> int:
        if value < self.least:
            return 0
        return len(self.cuts) + 2 if value > self.most else 1 + bisect_left(self.cuts, value)


class ModelFacts(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is known of one model from the rows."""

    name: str
    quality: float  # mean score
    bias: float
    length_slope: float  # of the prior, per standard deviation of the log of the number of words
    lower: tuple[tuple[float, float], ...]  # (predicted, the lower bound of what was then scored), both rising
    pruned: str | None = None  # why it is never chosen


class Trade(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """For a loss of quality that is accepted, what a unit of cost weighs against quality."""

    quality_loss: float
    weight: float


class Artifact(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file. `content` is the SHA-256 of the rest, so that what was measured is what runs."""

    format: str
    content: str
    made_at: str
    rows: int
    data: str  # SHA-256 of the rows it was trained on
    forced: bool  # written although it does not beat what costs nothing
    models: tuple[ModelFacts, ...]
    ngrams: Numbers
    idf_squares: Numbers  # by n-gram
    weights: Numbers  # by n-gram, by model; the n-gram's idf is in it
    measures: tuple[Measure, ...]
    words_mean: float  # of log(1 + words)
    words_sd: float
    prior_share: float  # of the prior's slope, added to what was learned: the fewer rows, the more
    most_surprise: float  # a prompt of more is not scored
    most_unseen: float  # nor one of which a larger share of n-grams was never seen
    trades: tuple[Trade, ...]  # by rising loss
    metrics: dict[str, Any]

    def hashed(self) -> str:
        return sha256(msgspec.json.encode(msgspec.structs.replace(self, content=""), order="sorted")).hexdigest()


class Prediction(Struct, frozen=True, kw_only=True):
    scores: Mapping[str, float]  # expected, by model
    strange: str | None = None  # why the router abstained


class Router:
    """An artifact made ready. Thread-safe: it is never changed."""

    def __init__(self, artifact: Artifact) -> None:
        self.artifact = artifact
        self.names = tuple(facts.name for facts in artifact.models)
        self._places = {gram: at for at, gram in enumerate(artifact.ngrams.read())}
        self._squares = artifact.idf_squares.read()
        weights, width = artifact.weights.read(), len(self.names)
        self._weights = [tuple(weights[at : at + width]) for at in range(0, len(weights), width)]

    def predict(self, text: str) -> Prediction:
        seen = look(text)
        facts = self.artifact.models
        longer = (seen.log_words - self.artifact.words_mean) / self.artifact.words_sd
        strange = self._strange(seen)
        if strange is None:
            lean = longer * self.artifact.prior_share
            told = zip(facts, self._sums(seen), strict=True)
            return Prediction(scores={f.name: _share(f.bias + add + f.length_slope * lean) for f, add in told})
        return Prediction(scores={f.name: _share(f.quality + f.length_slope * longer) for f in facts}, strange=strange)

    def _sums(self, seen: Look) -> list[float]:
        """What the features add for each model."""
        sums, squares = [0.0] * len(self.names), 0.0
        for gram in seen.ngrams:
            at = self._places.get(gram)
            if at is not None:
                squares += self._squares[at]
                sums = [total + weight for total, weight in zip(sums, self._weights[at], strict=True)]
        scale = 1.0 / sqrt(squares) if squares else 0.0
        sums = [total * scale for total in sums]
        for measure, value in zip(self.artifact.measures, seen.measures, strict=True):
            added = measure.weights[measure.place(value)]
            sums = [total + weight for total, weight in zip(sums, added, strict=True)]
        return sums

    def _strange(self, seen: Look) -> str | None:
        """What of a prompt is unlike the rows."""
        measures = zip(self.artifact.measures, seen.measures, strict=True)
        surprise = sum(measure.surprise[measure.place(value)] for measure, value in measures) / len(seen.measures)
        if surprise > self.artifact.most_surprise:
            return f"its form is unlike the {self.artifact.rows} prompts of the training"
        unseen = sum(gram not in self._places for gram in seen.ngrams) / max(len(seen.ngrams), 1)
        if unseen > self.artifact.most_unseen:
            return f"{unseen:.0%} of its words and word pairs were not in the training"
        return None

    def weight_for(self, quality_loss: float) -> float:
        """What cost weighs where so much quality may be lost: that of the largest calibrated loss not above it."""
        allowed = [trade.weight for trade in self.artifact.trades if trade.quality_loss <= quality_loss + 1e-12]
        return allowed[-1] if allowed else 0.0

    def lower(self, name: str, predicted: float) -> float:
        """The lower bound of what `name` scores on prompts of this prediction, as it was on rows it had not seen."""
        table = next(facts.lower for facts in self.artifact.models if facts.name == name)
        at = bisect_left([point for point, _ in table], predicted)
        return table[min(at, len(table) - 1)][1] if table else 0.0


def read_router(content: bytes, path: str) -> Router:
    """Raises ConfigError naming `path`, the setting that names the file, where it is not a router's."""

    def wrong(message: str) -> ConfigError:
        return ConfigError([Problem(path=path, message=message, fix="make one with `polyroute train`")])

    try:
        artifact = msgspec.json.decode(content, type=Artifact)
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise wrong(f"is not a trained router: {exc}") from exc
    if artifact.format != FORMAT:
        raise wrong(f"is of the form {artifact.format!r}, this version reads {FORMAT!r}")
    if artifact.hashed() != artifact.content:
        raise wrong("was changed after it was made: its content does not have the hash it names")
    return Router(artifact)


def _share(value: float) -> float:
    return min(1.0, max(0.0, value))
