"""A learned moderator as a file and as a score: weights of places, one head for what is flagged and one per category.

Settled is what lies beyond one of two thresholds, which `learning.moderating` fits on rows held out. The file is JSON
with its arrays in base64 and a hash over all of it. It holds no text and no code, and reading it needs no library.
"""

import hashlib
import sys
from array import array
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable
from math import exp, sqrt
from operator import itemgetter

import msgspec
from msgspec import Struct

from polyroute.stages.validation.moderation.spelling import PLACES, pieces, places

FORMAT = "polyroute-moderator@1"
_FAR = 30.0


class Thresholds(Struct, frozen=True, kw_only=True):
    """None: nothing is settled on that side."""

    allow: float | None = None  # up to this score
    flag: float | None = None  # from this score on


class Head(Struct, frozen=True, kw_only=True):
    name: str  # "" of what is flagged at all
    bias: float
    weights: str  # little-endian float32, of the file's places


class Held(Struct, frozen=True, kw_only=True):
    """What was measured on rows that were not learned from."""

    rows: int
    flagged: int
    settled: int
    allowed: int
    wrongly_allowed: int
    blocked: int
    wrongly_blocked: int


class Artifact(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file. `places` and `scale` say which places count, and how much, before a text is brought to length one."""

    format: str
    target_precision: float
    confidence: float
    thresholds: Thresholds
    held_out: Held
    places: str  # little-endian uint32
    scale: str  # little-endian float32
    heads: tuple[Head, ...]
    sha256: str = ""

    @property
    def content(self) -> str:
        """The hash of everything else in it."""
        return hashlib.sha256(msgspec.json.encode(msgspec.structs.replace(self, sha256=""))).hexdigest()


class Lexicon:
    """Scores texts. Pure, and safe to share among threads."""

    def __init__(self, artifact: Artifact) -> None:
        """Raises ValueError where the arrays are none, or do not fit together."""
        found, scale = _numbers("I", artifact.places), _numbers("f", artifact.scale)
        heads = [_numbers("f", head.weights) for head in artifact.heads]
        if not heads or artifact.heads[0].name or any(len(each) != len(found) for each in (scale, *heads)):
            raise ValueError("its arrays do not fit together")
        if any(place >= PLACES for place in found):
            raise ValueError(f"a place is {PLACES} or more")
        self.thresholds = artifact.thresholds
        self._names = tuple(head.name for head in artifact.heads)
        self._biases = tuple(head.bias for head in artifact.heads)
        self._squares = _spread(found, (size * size for size in scale))
        self._weights = tuple(
            _spread(found, (weight * size for weight, size in zip(head, scale, strict=True))) for head in heads
        )

    def score(self, text: str) -> float:
        """Of its worst piece: 0..1."""
        return max(map(self._score, pieces(text)))

    def categories(self, text: str) -> dict[str, float]:
        """What each has of its worst piece, 0..1."""
        pick, size = _found(max(pieces(text), key=self._score), self._squares)
        heads = zip(self._names, self._weights, self._biases, strict=True)
        return {name: round(_sure(sum(pick(weights)) / size + bias), 4) for name, weights, bias in heads if name}

    def settled(self, score: float) -> bool | None:
        """Whether it is flagged, where that is beyond doubt."""
        if self.thresholds.flag is not None and score >= self.thresholds.flag:
            return True
        return False if self.thresholds.allow is not None and score <= self.thresholds.allow else None

    def _score(self, text: str) -> float:
        pick, size = _found(text, self._squares)
        return _sure(sum(pick(self._weights[0])) / size + self._biases[0])


def _found(text: str, squares: "array[float]") -> tuple[Callable[["array[float]"], tuple[float, ...]], float]:
    """What takes the text's places out of an array, and the text's length. Two places more, which weigh nothing."""
    pick = itemgetter(PLACES, PLACES, *places(text))
    return pick, sqrt(sum(pick(squares))) or 1.0


def read(data: bytes) -> tuple[Lexicon, Artifact]:
    """Raises ValueError saying what is wrong with it."""
    try:
        artifact = msgspec.json.decode(data, type=Artifact)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise ValueError(f"is no moderator: {exc}") from None
    if artifact.format != FORMAT:
        raise ValueError(f"is no {FORMAT}")
    if artifact.sha256 != artifact.content:
        raise ValueError("its content is not what its hash says: it was changed, or cut short")
    return Lexicon(artifact), artifact


def written(numbers: "array[int] | array[float]") -> str:
    if sys.byteorder == "big":
        numbers = numbers[:]
        numbers.byteswap()
    return b64encode(numbers.tobytes()).decode()


def _numbers(kind: str, said: str) -> "array[float]":
    found: array[float] = array(kind)
    found.frombytes(b64decode(said, validate=True))
    if sys.byteorder == "big":
        found.byteswap()
    return found


def _spread(found: "array[float]", values: Iterable[float]) -> "array[float]":
    """Over all places; what was never learned weighs nothing."""
    spread = array("f", bytes(4 * (PLACES + 1)))
    for place, value in zip(found, values, strict=True):
        spread[int(place)] = value
    return spread


def _sure(logit: float) -> float:
    return 1 / (1 + exp(-max(-_FAR, min(_FAR, logit))))
