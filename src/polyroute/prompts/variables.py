"""The variables a request brings for its route's prompt: found, taken out of the request, checked, written as text.

They stand in `polyroute.variables` of the body or in `metadata.variables`, there also as JSON text, for SDKs whose
metadata holds text only. Neither reaches an upstream. A missing, unknown or wrong one is the caller's, by name.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import NoReturn

import orjson
from msgspec import Struct
from msgspec.structs import replace

from polyroute.errors import InvalidRequest
from polyroute.types.prompts import Variable
from polyroute.types.request import Request

OWN_FIELD = "polyroute"  # of a body: what is said to the gateway, not to a model
_FIELD = "variables"
_MARKED = ("metadata", "requestMetadata")  # what bodies call a request's metadata; the latter is Bedrock's
_WORDS = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "json": "any JSON value",
}
_JSON_TYPES: dict[type, str] = {
    str: "text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    list: "a list",
    dict: "an object",
    type(None): "null",
}


class Brought(Struct, frozen=True, kw_only=True):
    """A request without what it says to the gateway, and the variables it said."""

    request: Request
    at: str  # where they stood, for messages
    variables: Mapping[str, object]


def take_variables(request: Request, *, has_prompt: bool) -> Brought:
    """Without a prompt, `metadata.variables` is the caller's own affair and stays. Raises InvalidRequest."""
    own = request.extensions.get(OWN_FIELD)
    marked = request.metadata.get(_FIELD) if has_prompt else None
    if own is None and marked is None:
        return Brought(request=request, at=f"{OWN_FIELD}.{_FIELD}", variables={})
    said = {} if own is None else _object(own, OWN_FIELD)
    for name in said:
        if name != _FIELD:
            _refuse(f"{OWN_FIELD}.{name[:60]}", f"is not known: `{OWN_FIELD}` holds `{_FIELD}`")
    at = f"{OWN_FIELD}.{_FIELD}"
    given = said.get(_FIELD)
    if given is not None and marked is not None:
        _refuse(at, f"is given twice: here and in `metadata.{_FIELD}`")
    if marked is not None:
        at, given = f"metadata.{_FIELD}", _parsed(marked)
    variables = {} if given is None else _object(given, at)
    if variables and not has_prompt:
        _refuse(at, "has no effect: this route has no prompt")
    return Brought(request=_without(request, drops_marked=marked is not None), at=at, variables=variables)


def texts_of(declared: Mapping[str, Variable], brought: Brought) -> dict[str, str]:
    """What each declared variable stands for. Raises InvalidRequest that names the one at fault."""
    for name in brought.variables:
        if name not in declared:
            known = ", ".join(f"`{known}`" for known in declared) or "none"
            _refuse(f"{brought.at}.{name[:60]}", f"is no variable of this route's prompt; it has {known}")
    return {
        name: _text(variable, brought.variables.get(name), f"{brought.at}.{name}")
        for name, variable in declared.items()
    }


def problem_of(variable: Variable, value: object) -> str | None:
    """Why `value` cannot stand for `variable`; None where it can."""
    if not _is_of(variable, value):
        return f"must be {_WORDS[variable.type]}, got {_JSON_TYPES.get(type(value), 'something else')}"
    if variable.choices and not any(type(value) is type(one) and value == one for one in map(_plain, variable.choices)):
        return "must be one of " + ", ".join(orjson.dumps(_plain(one)).decode() for one in variable.choices)
    if variable.max_chars is not None and len(written(value)) > variable.max_chars:
        return f"is {len(written(value))} characters long; at most {variable.max_chars} are taken"
    return None


def written(value: object) -> str:
    """As it stands in the prompt: text as it is, anything else as JSON."""
    return value if isinstance(value, str) else orjson.dumps(_plain(value)).decode()


def _text(variable: Variable, value: object, at: str) -> str:
    if value is None:
        if variable.default is not None:
            return written(variable.default)
        if variable.required:
            _refuse(at, f"is missing: the route's prompt needs it ({_WORDS[variable.type]})")
        return ""
    problem = problem_of(variable, value)
    if problem is not None:
        _refuse(at, problem)
    return written(value)


def _is_of(variable: Variable, value: object) -> bool:
    match variable.type:
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "number":
            return isinstance(value, int | float | Decimal) and not isinstance(value, bool)
        case "json":
            return True


def _plain(value: object) -> object:
    """The document's own numbers as JSON's."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value


def _parsed(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        _refuse(f"metadata.{_FIELD}", "is text that is no JSON object")


def _object(value: object, at: str) -> dict[str, object]:
    if not isinstance(value, dict):
        _refuse(at, f"must be an object, got {_JSON_TYPES.get(type(value), 'something else')}")
    return value


def _without(request: Request, *, drops_marked: bool) -> Request:
    wire = request.wire
    if wire is not None:
        body = {name: value for name, value in wire.body.items() if name != OWN_FIELD}
        for at in _MARKED if drops_marked else ():
            marks = body.get(at)
            if isinstance(marks, dict) and _FIELD in marks:
                body[at] = {name: value for name, value in marks.items() if name != _FIELD}
                if not body[at]:
                    del body[at]
        wire = replace(wire, body=body)
    metadata, extensions = request.metadata, request.extensions
    return replace(
        request,
        metadata={name: value for name, value in metadata.items() if name != _FIELD} if drops_marked else metadata,
        extensions={name: value for name, value in extensions.items() if name != OWN_FIELD},
        wire=wire,
    )


def _refuse(at: str, why: str) -> NoReturn:
    raise InvalidRequest(f"`{at}` {why}", field=at, code="invalid_variable")
