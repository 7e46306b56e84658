"""Phrases in a text, and whether they are negated. Substring search only: no regular expression meets user text here.

"This is not a refund request" holds the phrase "refund", negated: a cue word stands among the three words before
it, in the same clause.
"""

from collections.abc import Iterable

from msgspec import Struct

_CUES = frozenset(
    {"not", "no", "never", "without", "neither", "nor", "avoid", "cannot", "don't", "dont", "doesn't", "doesnt"}
    | {"didn't", "didnt", "isn't", "isnt", "wasn't", "wasnt", "aren't", "arent", "won't", "wont", "can't", "cant"}
    | {"shouldn't", "shouldnt"}
)
_REACH = 3  # words before the phrase that a cue may stand in
_LOOK_BACK = 48  # characters that hold those words
_CLAUSE_ENDS = ".,;:!?\n"


class Hit(Struct, frozen=True, kw_only=True):
    phrase: str
    start: int  # in the lower-cased text
    negated: bool


def find(lowered: str, phrases: Iterable[str]) -> list[Hit]:
    """The first hit of each phrase in an already lower-cased text; a hit that is not negated wins over one that is."""
    hits = []
    for phrase in phrases:
        start = lowered.find(phrase)
        if start < 0:
            continue
        first = start
        while start >= 0 and _negated(lowered, start):
            start = lowered.find(phrase, start + len(phrase))
        hits.append(Hit(phrase=phrase, start=first if start < 0 else start, negated=start < 0))
    return hits


def _negated(lowered: str, start: int) -> bool:
    before = lowered[max(0, start - _LOOK_BACK) : start].replace("\u2019", "'")
    for end in _CLAUSE_ENDS:
        before = before.rpartition(end)[2]
    return any(word in _CUES for word in before.split()[-_REACH:])
