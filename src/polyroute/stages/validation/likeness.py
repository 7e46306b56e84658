"""When two answers say the same, in one of five ways. Pure.

- exact: the same text, blanks at its ends aside;
- normalised: the same words, whatever their case, punctuation and articles;
- numeric: the same last number, within a relative 1e-6; thousands may be parted, signs of money and per cent aside;
- json: the same JSON value, whatever the order of members; 1 and 1.0 are one number;
- embedding: meanings that lie close together. Here their texts only; `agreement.py` has them embedded.
"""

import json
from decimal import Decimal, InvalidOperation
from typing import Literal

from polyroute.stages.validation.coercion import Wrong, read_json
from polyroute.stages.validation.texts import member, unfenced

Likeness = Literal["exact", "normalised", "numeric", "json", "embedding"]
_ARTICLES = frozenset(("a", "an", "the"))
_TOLERANCE = Decimal("1e-6")
_MOST_DIGITS = 60


def meaning(text: str, by: Likeness, field: str | None = None) -> object:
    """What two answers are compared by. Raises Wrong where the answer has nothing of the kind."""
    value: object = text
    if field is not None:
        value = member(text, field)
        if by != "json":
            value = value if isinstance(value, str) else str(value)
    elif by == "json":
        value = read_json(unfenced(text))
    if not isinstance(value, str) or by == "json":
        return json.dumps(value, sort_keys=True)  # where true is not 1, and whole numbers are whole
    match by:
        case "normalised":
            return _words(value)
        case "numeric":
            return last_number(value)
        case _:
            return value.strip()


def alike(one: object, other: object) -> bool:
    """Whether two meanings are the same."""
    if isinstance(one, Decimal) and isinstance(other, Decimal):
        return abs(one - other) <= _TOLERANCE * max(abs(one), abs(other))
    return one == other


def last_number(text: str) -> Decimal:
    """Raises Wrong where the text holds none."""
    end = len(text)
    while end:
        if not ("0" <= text[end - 1] <= "9"):
            end -= 1
            continue
        start = end
        while start and (text[start - 1] in ".,/" or "0" <= text[start - 1] <= "9"):
            start -= 1
        written = text[start:end].lstrip(".,/")
        negative = text[:start].rstrip("$€£ ").endswith(("-", "−")) and _is_sign(text, start)
        return -_number(written) if negative else _number(written)
    raise Wrong("the answer holds no number")


def _is_sign(text: str, start: int) -> bool:
    """Whether the dash before `start` is a minus, and no dash between two things."""
    before = text[:start].rstrip("$€£ ")[:-1]
    return not before or not (before[-1].isalnum() or before[-1] == ")")


def _number(written: str) -> Decimal:
    if len(written) > _MOST_DIGITS:
        raise Wrong("the answer's last number has too many digits")
    over, slash, under = written.partition("/")
    try:
        if slash and "/" not in under and Decimal(under.replace(",", "")):
            return Decimal(over.replace(",", "")) / Decimal(under.replace(",", ""))
        return Decimal(written.rpartition("/")[2].replace(",", ""))
    except InvalidOperation:
        raise Wrong(f"the answer's last number cannot be read: {written[:20]}") from None


def _words(text: str) -> str:
    kept = "".join(mark if mark.isalnum() else " " for mark in text.casefold())
    return " ".join(word for word in kept.split() if word not in _ARTICLES)
