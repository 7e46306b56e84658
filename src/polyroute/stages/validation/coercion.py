"""When a JSON value of the wrong type says plainly what it was meant to be. Nothing is lost: what is unclear stays.

    schema says      and the answer holds                                   becomes
    integer          text of a whole number ("3", "-4", "3.0")              3
    number           text of a JSON number ("3.5", "1e3")                   3.5
    boolean          "true" or "false", in any case                         true
    string           a whole number, true or false                          "3"
    null             "null" or ""                                           null
    object, array    text that is a JSON object or array                    the object, the array
    enum of texts    one of them in another case, or with blanks around     that one

No other text is read as anything: "yes", "1,000", "about 3" and 3.5 for an integer are left as wrong as they are.
"""

import json
from collections.abc import Iterable

_MOST_DIGITS = 300  # of a number written as text
_EXACT = 2**53  # beyond it a float no longer tells one whole number from the next


class Wrong(ValueError):
    """Text that is no JSON value, or not one that every reader reads alike."""


def read_json(text: str) -> object:
    """Raises Wrong. Whole numbers are whole however they are written; a name given twice is an error."""
    try:
        return json.loads(text, parse_float=_number, parse_constant=_no_constant, object_pairs_hook=_once)
    except json.JSONDecodeError as exc:
        raise Wrong(f"not JSON: {exc.msg} at line {exc.lineno} column {exc.colno}") from None
    except RecursionError:
        raise Wrong("not JSON that can be read: it is nested too deeply") from None
    except ValueError as exc:  # Wrong, and integers of thousands of digits
        raise exc if isinstance(exc, Wrong) else Wrong("a number has too many digits") from None


def type_of(value: object) -> str:
    """JSON Schema's word for what `value` is; whole numbers are `integer`."""
    match value:
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case None:
            return "null"
        case list():
            return "array"
        case _:
            return "object"


def is_of(value: object, types: Iterable[str]) -> bool:
    own = type_of(value)
    return own in types or (own == "integer" and "number" in types)


def coerced(value: object, types: tuple[str, ...]) -> object:
    """`value` as the one of `types` that it can only have meant; itself where that is none, or more than one."""
    if is_of(value, types):
        return value
    meant = [made for kind in types if (made := _as(value, kind)) is not value]
    if len(meant) == 2 and meant[0] == meant[1] and set(types) >= {"integer", "number"}:
        return meant[0]  # every whole number is a number too
    return meant[0] if len(meant) == 1 else value


def same_choice(value: object, choices: list[object]) -> object:
    """The one of `choices` that `value` spells otherwise; itself where that is none, or more than one."""
    if not isinstance(value, str) or value in choices:
        return value
    spelt = value.strip().casefold()
    alike = [choice for choice in choices if isinstance(choice, str) and choice.casefold() == spelt]
    return alike[0] if len(alike) == 1 else value


def _as(value: object, kind: str) -> object:
    """`value` as a `kind`; the very same object where it is none."""
    match kind, value:
        case "string", bool():
            return "true" if value else "false"
        case "string", int():
            return str(value)
        case "integer" | "number", str() if len(value) <= _MOST_DIGITS:
            return _number_in(value, kind)
        case "boolean", str() if value.strip().lower() in ("true", "false"):
            return value.strip().lower() == "true"
        case "null", str() if value.strip() in ("", "null"):
            return None
        case "object" | "array", str() if value.lstrip()[:1] == ("{" if kind == "object" else "["):
            try:
                return read_json(value)
            except Wrong:
                return value
        case _:
            return value


def _number_in(text: str, kind: str) -> object:
    stripped = text.strip()
    if not stripped or stripped[0] not in "-0123456789" or not stripped[-1].isdigit():
        return text
    try:
        number = read_json(stripped)
    except Wrong:
        return text
    if kind == "integer":
        return number if type_of(number) == "integer" else text
    return number if type_of(number) in ("integer", "number") else text


def _number(written: str) -> int | float:
    number = float(written)
    if number in (float("inf"), float("-inf")):
        raise Wrong(f"the number {written[:40]} is beyond what JSON readers read")
    return int(number) if number.is_integer() and abs(number) < _EXACT else number


def _no_constant(written: str) -> object:
    raise Wrong(f"not JSON: {written} is no JSON value")


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise Wrong(f"`{twice[:80]}` is given twice")
    return found
