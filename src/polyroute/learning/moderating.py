"""A moderator from labelled rows, and the thresholds beyond which it is believed alone.

Each head is a logistic regression over hashed spelling. A place counts by its rarity and by how differently the two
classes have it, to the power 0.25: after Wang and Manning 2012, "Baselines and Bigrams". The thresholds are fitted on
scores of rows held out in turn: as far as the lower confidence bound of what lies beyond being right reaches the
target. Source of the bound: Wilson 1927, one-sided.
"""

from array import array
from collections.abc import Callable, Sequence
from math import sqrt
from statistics import NormalDist

import msgspec
import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.sparse import csr_array

from polyroute.errors import InvalidRequest
from polyroute.stages.validation.moderation.lexicon import FORMAT, Artifact, Head, Held, Lexicon, Thresholds, written
from polyroute.stages.validation.moderation.spelling import pieces, places

Vector = NDArray[np.float64]
Flags = NDArray[np.bool_]
OnDone = Callable[[], None]

FOLDS = 5
_TRUST = 5.0  # what a row counts against the penalty; chosen by cross-validation, as all here
_CONTRAST = 0.25
_LEAST_SEEN = 2  # rows, for a place to count
_LEAST_ROWS = 50
_LEAST_OF_CATEGORY = 5
_STEPS = 100
_EVEN = 0.5


class Row(Struct, frozen=True, kw_only=True):
    """A labelled text. A category that is not named is unknown, unless the row is not flagged."""

    text: str
    flag: bool
    labels: dict[str, bool] = {}


class _Loose(Struct, frozen=True):
    """As it is written: 0 and 1 do for false and true."""

    text: str
    flag: bool | int
    labels: dict[str, bool | int] = {}


class Target(Struct, frozen=True, kw_only=True):
    precision: float = 0.99
    confidence: float = 0.95  # that it is reached


_ROW = msgspec.json.Decoder(_Loose)


def read_rows(data: bytes, name: str) -> list[Row]:
    """JSONL of `{text, flag, labels?}`. Raises InvalidRequest naming the line, and where nothing can be learned."""
    rows: list[Row] = []
    for number, line in enumerate(data.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = _ROW.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
            raise InvalidRequest(f"{name}:{number}: {exc}; a row is {{text, flag: true or false}}") from None
        if row.flag not in (0, 1) or any(value not in (0, 1) for value in row.labels.values()):
            raise InvalidRequest(f"{name}:{number}: `flag` and `labels` are true or false")
        if not row.text.strip():
            raise InvalidRequest(f"{name}:{number}: `text` is empty")
        labels = {label: bool(value) for label, value in row.labels.items() if label}
        rows.append(Row(text=row.text, flag=bool(row.flag), labels=labels))
    flagged = sum(row.flag for row in rows)
    if min(flagged, len(rows) - flagged) < FOLDS or len(rows) < _LEAST_ROWS:
        raise InvalidRequest(
            f"{name} has {flagged} flagged rows and {len(rows) - flagged} others: at least {_LEAST_ROWS} together and"
            f" {FOLDS} of each are needed"
        )
    return rows


def train(rows: Sequence[Row], target: Target, on_done: OnDone = lambda: None) -> Artifact:
    """`on_done` is told after each of FOLDS + 1 fits. The same rows give the same file."""
    seen = [places(next(pieces(row.text))) for row in rows]
    flags = np.array([row.flag for row in rows])
    scores = np.zeros(len(rows))
    folds = np.random.default_rng(0).permutation(len(rows)) % FOLDS
    for fold in range(FOLDS):
        ours, theirs = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        lexicon = Lexicon(_fitted([rows[int(at)] for at in ours], [seen[int(at)] for at in ours], target))
        scores[theirs] = [lexicon.score(rows[int(at)].text) for at in theirs]
        on_done()
    thresholds = fit_thresholds(scores, flags, target)
    artifact = replace(_fitted(rows, seen, target), thresholds=thresholds, held_out=held(scores, flags, thresholds))
    on_done()
    return replace(artifact, sha256=artifact.content)


def fit_thresholds(scores: Vector, flags: Flags, target: Target) -> Thresholds:
    """The widest tails whose rows are right often enough, at the confidence asked for; never beyond the even chance."""
    flag, allow = _tail(scores - _EVEN, flags, target), _tail(_EVEN - scores, ~flags, target)
    return Thresholds(flag=None if flag is None else flag + _EVEN, allow=None if allow is None else _EVEN - allow)


def held(scores: Vector, flags: Flags, thresholds: Thresholds) -> Held:
    """What the thresholds do to rows with these scores."""
    none = np.zeros(len(scores), bool)
    blocked = none if thresholds.flag is None else scores >= thresholds.flag
    allowed = none if thresholds.allow is None else (scores <= thresholds.allow) & ~blocked
    return Held(
        rows=len(scores),
        flagged=int(flags.sum()),
        settled=int((blocked | allowed).sum()),
        allowed=int(allowed.sum()),
        wrongly_allowed=int((allowed & flags).sum()),
        blocked=int(blocked.sum()),
        wrongly_blocked=int((blocked & ~flags).sum()),
    )


def lower_bound(hits: int, trials: int, confidence: float) -> float:
    """Of a share, one-sided; at 0.5 it is the share itself."""
    z = NormalDist().inv_cdf(confidence)
    share, spread = hits / trials, z * z / trials
    return (share + spread / 2 - z * sqrt(share * (1 - share) / trials + spread / trials / 4)) / (1 + spread)


def _tail(scores: Vector, right: Flags, target: Target) -> float | None:
    """How far above 0 it begins."""
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(right[order])
    for count in range(int((scores > 0).sum()), 0, -1):
        last = scores[order[count - 1]]
        if count < len(scores) and scores[order[count]] == last:
            continue  # equal scores are on one side together
        if lower_bound(int(hits[count - 1]), count, target.confidence) >= target.precision:
            return float(last)
    return None


def _fitted(rows: Sequence[Row], seen: Sequence[list[int]], target: Target) -> Artifact:
    """With neither thresholds nor hash."""
    flags = np.array([row.flag for row in rows])
    found, columns = np.unique(np.concatenate([np.asarray(one, np.int64) for one in seen]), return_inverse=True)
    starts = np.concatenate([[0], np.cumsum([len(one) for one in seen])])
    there = csr_array((np.ones(len(columns)), columns, starts), shape=(len(rows), len(found)))
    counts = np.bincount(columns, minlength=len(found))
    bad = np.asarray(there[np.flatnonzero(flags)].sum(0)).ravel() + 1
    good = counts - bad + 2
    scale = (np.log((len(rows) + 1) / (counts + 1)) + 1) * np.abs(
        np.log(bad / bad.sum() / (good / good.sum()))
    ) ** _CONTRAST
    kept = np.flatnonzero((counts >= _LEAST_SEEN) & (scale > 0))
    found, scale, there = found[kept], scale[kept], csr_array(there[:, kept])
    there.data *= scale[there.indices]
    sizes = np.sqrt(np.asarray(there.multiply(there).sum(1)).ravel())
    there.data /= np.repeat(np.maximum(sizes, 1e-12), np.diff(there.indptr))
    heads = [_head("", there, flags)]
    for name in sorted({label for row in rows for label in row.labels}):
        known = np.array([name in row.labels or not row.flag for row in rows])
        wanted = np.array([row.labels.get(name, False) for row in rows])[known]
        if _LEAST_OF_CATEGORY <= wanted.sum() <= len(wanted) - _LEAST_OF_CATEGORY:
            heads.append(_head(name, csr_array(there[np.flatnonzero(known)]), wanted))
    nothing = Held(rows=0, flagged=0, settled=0, allowed=0, wrongly_allowed=0, blocked=0, wrongly_blocked=0)
    return Artifact(
        format=FORMAT,
        target_precision=target.precision,
        confidence=target.confidence,
        thresholds=Thresholds(),
        held_out=nothing,
        places=written(array("I", found.astype("u4").tobytes())),
        scale=written(array("f", scale.astype("f4").tobytes())),
        heads=tuple(heads),
    )


def _head(name: str, there: "csr_array[np.float64]", wanted: Flags) -> Head:
    signs, turned = np.where(wanted, 1.0, -1.0), csr_array(there.T)

    def loss(weights: Vector) -> tuple[float, Vector]:
        margins = signs * (there @ weights[:-1] + weights[-1])
        pulls = -_TRUST * signs / (1 + np.exp(np.clip(margins, -30, 30)))
        missed = _TRUST * float(np.logaddexp(0, -margins).sum()) + float(weights[:-1] @ weights[:-1]) / 2
        return missed, np.concatenate([turned @ pulls + weights[:-1], [pulls.sum()]])

    start = np.zeros(there.shape[1] + 1)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": _STEPS, "gtol": 1e-3}).x
    return Head(name=name, bias=float(found[-1]), weights=written(array("f", found[:-1].astype("f4").tobytes())))
