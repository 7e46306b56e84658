"""A classifier learned from labelled texts: which class, how sure, and whether it is any of them at all. Needs numpy.

A linear head over vectors and spelling (`softmax.py`) names the class; the class's own name is one more example of it.
How far the text is from the nearest known one of that class says whether it belongs there: acceptance is that nearness
times the head's probability to the power 0.3. Where acceptance must not fall below is chosen on rows held out in turn,
against a background of things that people ask about anything (`data/background.txt`): so a narrow set of classes
rejects hardly anything of its own, and a wide one more. A fitted curve turns acceptance into the score: the probability
that the class is right.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from polyroute.stages.classification.grams import BUCKETS, FORM, form, grams
from polyroute.stages.classification.softmax import Array, fit, probabilities, with_constant

_VECTOR_SCALE, _SPELLING_SCALE, _SPELLING_ALONE, _FORM_SCALE = 8.0, 3.0, 8.0, 0.5
_SURENESS = 0.3
_FOLDS, _MOST_FOLDED = 5, 3_000  # more rows than these are held out once, not in turn
_KNOWN_PER_CLASS = 40
_TRIMMED = 0.1  # of the background: it may hold what the classes are about
_MOST_REJECTED = 0.05  # of the rows that are classed right
_MOST_REJECTED_TOLD = 0.1  # the same, where rows of no class were given


def words_of(name: str) -> str:
    """A class's name as a text: `card_arrival` is about the arrival of cards."""
    return "".join(mark if mark.isalnum() else " " for mark in name)


class Learned(Struct, frozen=True, kw_only=True):
    """Everything needed to class a text."""

    classes: tuple[str, ...]
    weights: Array
    rarity: Array  # of each bucket
    known: Array  # rows that acceptance is measured against
    known_classes: Array
    uses_vectors: bool
    form_mean: Array  # empty: its form is not looked at
    form_spread: Array
    floor: float  # of acceptance
    curve: tuple[float, float]  # slope and height over the logarithm of acceptance
    held_out: tuple[int, int] = (0, 0)  # of rows not learned from: how many, and how many were classed right

    def classed(self, texts: Sequence[str], vectors: Array | None) -> list[tuple[str | None, float]]:
        """Label, None for none of the classes; and the score."""
        spelled = _spelled(texts, self.rarity)
        top, accepted = self._accepted(texts, spelled, vectors)
        scores = 1 / (1 + np.exp(-(self.curve[0] * np.log(accepted) + self.curve[1])))
        return [
            (self.classes[at] if acceptance >= self.floor else None, round(float(score), 4))
            for at, acceptance, score in zip(top, accepted, scores, strict=True)
        ]

    def _accepted(self, texts: Sequence[str], spelled: Array, vectors: Array | None) -> tuple[Array, Array]:
        forms = (
            (np.array([form(t) for t in texts], "f4") - self.form_mean) / self.form_spread
            if self.form_mean.size
            else None
        )
        base = vectors if self.uses_vectors else spelled
        logits = with_constant(_joined(spelled, vectors if self.uses_vectors else None, forms)) @ self.weights
        return _acceptance(logits, base, self.known, self.known_classes)


class Lesson(Struct, frozen=True, kw_only=True):
    """What is learned from. `vectors` and `background_vectors` are None where spelling alone must do."""

    texts: tuple[str, ...]
    labels: tuple[str, ...]  # of each text
    outside: tuple[str, ...] = ()  # texts of no class
    background: tuple[str, ...] = ()
    vectors: Array | None = None
    name_vectors: Array | None = None  # of the classes' names, in their order
    outside_vectors: Array | None = None
    background_vectors: Array | None = None
    uses_form: bool = False
    rejects: bool = True


def learn(lesson: Lesson) -> Learned:
    """The same lesson gives the same classifier."""
    classes = tuple(sorted(set(lesson.labels)))
    numbers = {name: at for at, name in enumerate(classes)}
    labels = np.array([numbers[label] for label in lesson.labels], "i4")
    counted = _counted(lesson.texts)
    rarity = (np.log((len(counted) + 1) / ((counted != 0).sum(0) + 1)) + 0.3).astype("f4")
    spelled = _weighted(counted, rarity)
    forms, mean, spread = _forms(lesson)
    rows, base = _joined(spelled, lesson.vectors, forms), spelled if lesson.vectors is None else lesson.vectors
    named = _named(classes, lesson, rarity)
    kept = _spread_over(labels, len(classes))
    whole = Learned(
        classes=classes,
        weights=_fitted(rows, labels, named, steps=40),
        rarity=rarity,
        known=base[kept].astype("f2").astype("f4"),  # as it is kept in its file
        known_classes=labels[kept].astype("i4"),
        uses_vectors=lesson.vectors is not None,
        form_mean=mean,
        form_spread=spread,
        floor=0.0,
        curve=(1.0, 0.0),
    )
    accepted, right = _held_out(rows, base, labels, named, kept)
    strangers = [
        whole._accepted(texts, _spelled(texts, rarity), vectors)[1]
        for texts, vectors in ((lesson.outside, lesson.outside_vectors), (lesson.background, lesson.background_vectors))
        if texts
    ]
    if lesson.background:
        strangers[-1] = np.sort(strangers[-1])[: int(len(strangers[-1]) * (1 - _TRIMMED))]
    most = _MOST_REJECTED_TOLD if len(lesson.outside) >= 20 else _MOST_REJECTED
    floor = _floor(accepted, right, strangers, most) if lesson.rejects and strangers else 0.0
    held_out = (len(right), int(right.sum()))
    return replace(whole, floor=floor, curve=_curve(np.log(accepted), right), held_out=held_out)


# ── features ──────────────────────────────────────────────────────────────────────────────────────────


def _counted(texts: Sequence[str]) -> Array:
    rows = np.zeros((len(texts), BUCKETS), "f4")
    for row, text in enumerate(texts):
        found = grams(text)
        rows[row, list(found)] = list(found.values())
    return rows


def _weighted(counted: Array, rarity: Array) -> Array:
    rows = counted * rarity
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)


def _spelled(texts: Sequence[str], rarity: Array) -> Array:
    return _weighted(_counted(texts), rarity)


def _forms(lesson: Lesson) -> tuple[Array | None, Array, Array]:
    none = np.zeros(0, "f4")
    if not lesson.uses_form:
        return None, none, none
    forms = np.array([form(text) for text in lesson.texts], "f4")
    mean, spread = forms.mean(0), np.maximum(forms.std(0), 1e-6)
    return (forms - mean) / spread, mean, spread


def _joined(spelled: Array, vectors: Array | None, forms: Array | None) -> Array:
    parts = [_SPELLING_ALONE * spelled] if vectors is None else [_VECTOR_SCALE * vectors, _SPELLING_SCALE * spelled]
    return np.hstack(parts if forms is None else [*parts, _FORM_SCALE * forms]).astype("f4", copy=False)


def _named(classes: tuple[str, ...], lesson: Lesson, rarity: Array) -> Array:
    """A row for each class's name, which is one more example of it."""
    forms = np.zeros((len(classes), len(FORM)), "f4") if lesson.uses_form else None
    return _joined(_spelled(tuple(map(words_of, classes)), rarity), lesson.name_vectors, forms)


def _fitted(rows: Array, labels: Array, named: Array, *, steps: int) -> Array:
    taught = np.concatenate([labels, np.arange(len(named), dtype=labels.dtype)])
    return fit(np.vstack([rows, named]), taught, len(named), steps=steps)


# ── acceptance ────────────────────────────────────────────────────────────────────────────────────────


def _acceptance(logits: Array, base: Array, known: Array, known_classes: Array) -> tuple[Array, Array]:
    """The best class of each row, and how far it is to be believed: 0 to 1, never 0. `known` goes by class."""
    sure = probabilities(logits)
    top = sure.argmax(1)
    starts, ends = (np.searchsorted(known_classes, top, side) for side in ("left", "right"))
    near = [
        float((known[start:end] @ row).max()) if start < end else 0.0
        for row, start, end in zip(base, starts, ends, strict=True)
    ]
    return top, np.maximum(sure.max(1) ** _SURENESS * np.array(near), 1e-6)


def _held_out(rows: Array, base: Array, labels: Array, named: Array, kept: Array) -> tuple[Array, Array]:
    """Acceptance of rows that were not learned from, and whether they were classed right."""
    folds = np.random.default_rng(0).permutation(len(rows)) % _FOLDS
    accepted, right = [], []
    for fold in range(_FOLDS if len(rows) < _MOST_FOLDED else 1):
        ours, theirs = folds != fold, folds == fold
        if not ours.any() or not theirs.any():
            continue
        weights = _fitted(rows[ours], labels[ours], named, steps=25)
        known = kept[ours[kept]]
        top, found = _acceptance(with_constant(rows[theirs]) @ weights, base[theirs], base[known], labels[known])
        accepted.append(found)
        right.append(top == labels[theirs])
    return np.concatenate(accepted), np.concatenate(right)


def _floor(accepted: Array, right: Array, strangers: list[Any], most: float) -> float:
    """Where right rows kept and strangers rejected are the most together; at most that share of right rows is lost."""
    if not right.any():
        return 0.0
    marks = np.unique(np.concatenate([accepted, *strangers]))
    marks = marks[:: max(1, len(marks) // 500)]
    marks = marks[marks <= np.quantile(accepted[right], most)]
    worth = [
        ((accepted >= mark) & right).mean() + np.mean([(found < mark).mean() for found in strangers]) for mark in marks
    ]
    return float(marks[int(np.argmax(worth))]) if len(marks) else 0.0


def _curve(seen: Array, right: Array) -> tuple[float, float]:
    """Slope and height of a logistic curve through what was right, by Newton's method.

    Targets are drawn a little towards the middle: Platt 1999, "Probabilistic Outputs for Support Vector Machines".
    """
    hits = int(right.sum())
    goals = np.where(right, (hits + 1) / (hits + 2), 1 / (len(right) - hits + 2))
    columns = np.stack([seen, np.ones(len(seen))], 1).astype("f8")
    curve = np.array([1.0, 0.0])
    for _ in range(50):
        sure = 1 / (1 + np.exp(-np.clip(columns @ curve, -30, 30)))
        bend = (columns * (sure * (1 - sure))[:, None]).T @ columns + 1e-3 * np.eye(2)
        step = np.linalg.solve(bend, columns.T @ (sure - goals) + 1e-3 * (curve - [1.0, 0.0]))
        curve -= np.clip(step, -2, 2)
        if np.abs(step).max() < 1e-6:
            break
    return max(float(curve[0]), 0.01), float(curve[1])


def _spread_over(labels: Array, count: int) -> Array:
    """The first rows of each class, as many as are kept."""
    return np.concatenate([np.flatnonzero(labels == at)[:_KNOWN_PER_CLASS] for at in range(count)])
