"""Readers for one JSON value at a time: the value in its type, or an InvalidRequest that names the field and the fix.

`at` is the value's place in the body, as the caller would write it: `messages[2].content[0].image_url.url`.
"""

from collections.abc import Collection
from typing import NoReturn

from polyroute.errors import InvalidRequest

_SHOWN = 60  # characters of a wrong value that an error repeats


def wrong(at: str, wanted: str, value: object, *, code: str = "invalid_type") -> NoReturn:
    shown = repr(value)
    if len(shown) > _SHOWN:
        shown = shown[:_SHOWN] + "…"
    raise InvalidRequest(f"`{at}` must be {wanted}, got {shown}", field=at, code=code)


def missing(at: str, wanted: str) -> NoReturn:
    raise InvalidRequest(f"`{at}` is missing: it must be {wanted}", field=at, code="missing_field")


def text(value: object, at: str) -> str:
    if type(value) is str:
        return value
    wrong(at, "a string", value)


def boolean(value: object, at: str) -> bool:
    if type(value) is bool:
        return value
    wrong(at, "true or false", value)


def integer(value: object, at: str, low: int | None = None, high: int | None = None) -> int:
    """`low` and `high` are inclusive."""
    if type(value) is not int:
        wrong(at, "an integer", value)
    _in_range(value, at, low, high)
    return value


def number(value: object, at: str, low: float | None = None, high: float | None = None) -> float:
    """`low` and `high` are inclusive."""
    if type(value) is not int and type(value) is not float:
        wrong(at, "a number", value)
    _in_range(value, at, low, high)
    return float(value)


def mapping(value: object, at: str) -> dict[str, object]:
    if type(value) is dict:
        return value
    wrong(at, "an object", value)


def array(value: object, at: str) -> list[object]:
    if type(value) is list:
        return value
    wrong(at, "an array", value)


def one_of(value: object, at: str, allowed: Collection[str]) -> str:
    if type(value) is str and value in allowed:
        return value
    wrong(at, "one of " + ", ".join(f"`{item}`" for item in allowed), value, code="invalid_value")


def _in_range(value: float, at: str, low: float | None, high: float | None) -> None:
    if low is not None and value < low:
        wrong(at, f"at least {low}", value, code="out_of_range")
    if high is not None and value > high:
        wrong(at, f"at most {high}", value, code="out_of_range")
