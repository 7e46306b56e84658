"""A JSON Schema in the subset that Anthropic's structured outputs enforce. Pure; the given schema is left alone.

What the subset lacks moves into the `description`, where the model at least reads it: the caller is told, and
a gate can still check the answer against the schema as given.
Source: platform.claude.com, "Structured outputs", JSON Schema limitations; `transform_schema` of the Anthropic SDK.
"""

import orjson

_KEPT = frozenset({"$ref", "type", "enum", "const", "description", "title", "default", "required"})
_MANY = ("anyOf", "oneOf", "allOf")
_NAMED = ("properties", "$defs", "definitions")
_FORMATS = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"},
)


def enforceable(schema: dict[str, object], moved: list[str]) -> dict[str, object]:
    """`schema` as Anthropic takes it; the keywords it could not keep are appended to `moved`."""
    kept: dict[str, object] = {}
    left: dict[str, object] = {}
    for word, value in schema.items():
        if word in _KEPT:
            kept[word] = value
        elif word in _NAMED and isinstance(value, dict):
            kept[word] = {name: _enforceable(inner, moved) for name, inner in value.items()}
        elif word in _MANY and isinstance(value, list):
            kept["anyOf" if word == "oneOf" else word] = [_enforceable(inner, moved) for inner in value]
        elif word == "items" and isinstance(value, dict):
            kept[word] = _enforceable(value, moved)
        elif word == "additionalProperties":
            if value is not False:
                left[word] = value
        elif _is_kept(word, value):
            kept[word] = value
        elif word not in ("$schema", "$id", "$comment", "nullable", "examples"):
            left[word] = value
    if "properties" in kept or kept.get("type") == "object":
        kept["additionalProperties"] = False
    if left:
        moved.extend(left)
        hint = "{" + ", ".join(f"{word}: {orjson.dumps(value).decode()}" for word, value in left.items()) + "}"
        described = kept.get("description")
        kept["description"] = f"{described}\n\n{hint}" if described else hint
    return kept


def _enforceable(value: object, moved: list[str]) -> object:
    return enforceable(value, moved) if isinstance(value, dict) else value


def _is_kept(word: str, value: object) -> bool:
    if word == "format":
        return value in _FORMATS
    return word == "minItems" and value in (0, 1)
