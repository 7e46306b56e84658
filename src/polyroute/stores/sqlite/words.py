"""Names that rows say again and again, each kept once: a row holds a short mark in its place.

Callers, routes, models, providers: few names, and more than half of a row. A mark is the word's number behind a
character that no name begins with, so that rows of before, which hold the names themselves, are read as they are.
"""

import sqlite3
from collections.abc import Sequence
from itertools import chain
from operator import itemgetter

from msgspec import json

_SUBSTITUTE = "\x1a"  # Unicode's name for it
_SHORTEST = 4  # a mark is not shorter
_FIND = "SELECT word, id FROM words WHERE word IN (SELECT value FROM json_each(?))"
_ADD = "INSERT INTO words (word) VALUES (?)"
_ALL = "SELECT id, word FROM words"

Row = tuple[object, ...]

# Of rows as `rows.request_values` and `rows.attempt_values` make them.
OF_REQUEST = (
    4,
    5,
    6,
    7,
    8,
    9,
    14,
    17,
    18,
    22,
)  # tenant, team, user, key, route, policy, baseline, model, provider, replica
OF_ATTEMPT = (3, 4, 5, 6, 7, 9)  # deployment, provider, model, upstream's, the answer's, error


def shortened(connection: sqlite3.Connection, rows: Sequence[Row], columns: Sequence[int]) -> list[Row]:
    """`rows` with marks; words that have none yet get one. In a transaction of its caller's."""
    words = set(chain.from_iterable(map(itemgetter(*columns), rows)))
    marks = _marks(connection, set(filter(_is_long, words)))
    mark = marks.get
    short = []
    for row in rows:
        values = list(row)
        for at in columns:
            word = values[at]
            values[at] = mark(word, word)
        short.append(tuple(values))
    return short


def spelling(connection: sqlite3.Connection) -> dict[object, str]:
    """The word for each mark."""
    return {_mark(number): word for number, word in connection.execute(_ALL)}


def number_of(text: object) -> int | None:
    """The number of the word that `text` stands for; None: it is the word itself."""
    return int(text[1:], 16) if isinstance(text, str) and text.startswith(_SUBSTITUTE) else None


def _marks(connection: sqlite3.Connection, words: set[object]) -> dict[object, object]:
    if not words:
        return {}
    marks: dict[object, object] = {
        word: _mark(number) for word, number in connection.execute(_FIND, (json.encode(list(words)).decode(),))
    }
    for word in words - marks.keys():
        marks[word] = _mark(connection.execute(_ADD, (word,)).lastrowid)
    return marks


def _is_long(word: object) -> bool:
    return isinstance(word, str) and (len(word) > _SHORTEST or word.startswith(_SUBSTITUTE))


def _mark(number: int | None) -> str:
    return f"{_SUBSTITUTE}{number:x}"
