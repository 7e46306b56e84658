"""What of a text's spelling a learned classifier sees: words, pairs of words and runs of letters, hashed; and its form.

No vocabulary is kept: a feature is a place among `BUCKETS`, and its sign halves what collisions do.
Source: Weinberger et al. 2009, "Feature Hashing for Large Scale Multitask Learning" (arXiv 0902.2206).
"""

import itertools
import math
import zlib

BUCKETS = 2048
_MOST_CHARS = 2_000
_RUNS = (3, 4, 5)
_HALF = 1 << 31
FORM = ("length", "words", "word length", "digits", "capitals", "marks", "lines", "question", "code", "quotes")


def grams(text: str) -> dict[int, float]:
    """Bucket to weight: the logarithm of how often what falls there was seen."""
    kept = "".join(mark if mark.isalnum() or mark == "'" else " " for mark in text[:_MOST_CHARS].lower())
    words = kept.split()
    spelled = f" {' '.join(words)} "
    seen = [f"w{word}" for word in words]
    seen += [f"p{first} {second}" for first, second in itertools.pairwise(words)]
    for run in _RUNS:
        seen += [f"c{spelled[at : at + run]}" for at in range(len(spelled) - run + 1)]
    counts: dict[int, int] = {}
    for gram in seen:
        place = zlib.crc32(gram.encode("utf-8", "replace"))
        bucket = place % BUCKETS
        counts[bucket] = counts.get(bucket, 0) + (1 if place & _HALF else -1)
    return {bucket: math.copysign(math.log1p(abs(count)), count) for bucket, count in counts.items() if count}


def form(text: str) -> list[float]:
    """What can be seen without reading: one number for each of `FORM`."""
    chars, words = max(1, len(text)), text.split()
    return [
        math.log1p(len(text)),
        math.log1p(len(words)),
        sum(map(len, words)) / max(1, len(words)),
        sum(map(str.isdigit, text)) / chars,
        sum(map(str.isupper, text)) / chars,
        sum(not mark.isalnum() and not mark.isspace() for mark in text) / chars,
        math.log1p(text.count("\n")),
        float("?" in text),
        float(any(mark in text for mark in ("```", "def ", "();", "{", "SELECT "))),
        math.log1p(text.count('"')),
    ]
