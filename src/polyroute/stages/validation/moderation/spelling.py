"""What of a text's spelling a moderator sees: words, pairs of words and runs of four bytes, each hashed to a place.

Runs of bytes see through joined and misspelt words, in any language. A place is there or not: how often does not count.
"""

from collections.abc import Iterator
from itertools import pairwise
from zlib import crc32

PLACES = 1 << 18
_RUN = 4
_MARKS = ".,!?:;\"'()[]{}<>*"
PIECE = 4_000  # characters
_OVERLAP = 200


def places(text: str) -> list[int]:
    """Each once, in order, below PLACES: the same text always gives the same sum."""
    words = text.lower().split()
    spelled = f" {' '.join(words)} ".encode("utf-8", "replace")
    seen = {spelled[at : at + _RUN] for at in range(len(spelled) - _RUN + 1)}
    bare = [word.strip(_MARKS) for word in words]
    seen |= {f"w{word}".encode("utf-8", "replace") for word in bare}
    seen |= {f"p{first} {second}".encode("utf-8", "replace") for first, second in pairwise(bare)}
    return sorted({hashed % PLACES for hashed in map(crc32, seen)})


def pieces(text: str) -> Iterator[str]:
    """All of a long text, in pieces that overlap: nothing hides behind what is harmless."""
    yield text[:PIECE]
    for start in range(PIECE - _OVERLAP, len(text) - _OVERLAP, PIECE - _OVERLAP):
        yield text[start : start + PIECE]
