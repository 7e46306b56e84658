"""What a prompt looks like to a trained router: its words and word pairs, hashed, and twenty-odd measures of its form.

Nothing here knows a benchmark, a wrapper or a language: the measures count what can be counted in any text. Source of
the choice: hashed n-grams with hand-made features equal or beat sentence embeddings in most measured pairs of models,
at a fiftieth of the time (docs/decisions/0012).
"""

import re
from itertools import pairwise
from math import log1p
from zlib import crc32

from msgspec import Struct

# One pattern for all: a letter run, a digit run, or a single mark. Linear in the text's length.
_TOKEN = re.compile(r"[^\W\d_]+|\d+|_+|[^\w\s]")
_OPTION = re.compile(r"^\(?[A-Ja-j][.):] ", re.MULTILINE)
_NEGATIONS = frozenset(("not", "no", "never", "except", "without", "false", "incorrect", "cannot", "neither", "nor"))
_OPERATORS = frozenset("+-*/=^<>%")
_ENDS = frozenset(".!?")
_LONG_WORD = 9  # characters
READ_CHARACTERS = 20_000  # of a longer prompt, this many from its beginning

MEASURES = (
    "words", "characters", "letters_ratio", "digits_ratio", "numbers", "lines", "options", "capitals_ratio",
    "marks_ratio", "negations", "questions", "word_length", "distinct_ratio", "stem_words", "option_words",
    "longest_option", "shortest_option", "operators", "operators_ratio", "sentences", "long_words_ratio", "blanks",
    "backslashes", "dollars", "brackets",
)  # fmt: skip


class Look(Struct, frozen=True, kw_only=True):
    """A prompt's features."""

    ngrams: tuple[int, ...]  # distinct, 32 bits each
    measures: tuple[float, ...]  # one for each of MEASURES

    @property
    def log_words(self) -> float:
        return log1p(self.measures[0])


def look(text: str) -> Look:
    text = text[:READ_CHARACTERS]
    tokens = _TOKEN.findall(text.lower())
    grams = {crc32(token.encode()) for token in tokens}
    grams.update([crc32(f"{first} {second}".encode()) for first, second in pairwise(tokens)])
    return Look(ngrams=tuple(sorted(grams)), measures=_measures(text, tokens))


def _measures(text: str, tokens: list[str]) -> tuple[float, ...]:
    words = text.split()
    number, length = max(len(words), 1), max(len(text), 1)
    pieces = _OPTION.split(text)
    options = [len(piece.split()) for piece in pieces[1:]] or [0]
    letters = sum(map(str.isalpha, text))
    digits = sum(map(str.isdigit, text))
    marks = sum(len(token) == 1 and not token.isalnum() for token in tokens)
    operators = sum(token in _OPERATORS for token in tokens)
    return (
        len(words),
        len(text),
        letters / length,
        digits / length,
        sum(token.isdigit() for token in tokens),
        text.count("\n"),
        len(pieces) - 1,
        sum(map(str.isupper, text)) / length,
        marks / length,
        sum(token in _NEGATIONS for token in tokens),
        text.count("?"),
        letters / number,
        len(set(tokens)) / max(len(tokens), 1),
        len(pieces[0].split()),
        sum(options) / len(options),
        max(options),
        min(options),
        operators,
        operators / length,
        sum(token in _ENDS for token in tokens),
        sum(len(word) >= _LONG_WORD for word in words) / number,
        text.count("_"),
        text.count("\\"),
        text.count("$"),
        text.count("(") + text.count("[") + text.count("{"),
    )
