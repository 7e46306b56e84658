"""The smallest value that fits a JSON Schema, for simulated models. Pure.

Only what is required is there. Follows local `$ref`, `allOf`, and the first branch of `anyOf` and `oneOf`; conditions
(`if`, `not`, `dependentRequired`) and `pattern` are beyond it, so a schema that leans on them may refuse the sample.
"""

from collections.abc import Mapping
from math import ceil

_DEEPEST = 32  # a schema that requires itself has no smallest value; it ends here
_FORMATS = {
    "date": "2025-01-01",
    "date-time": "2025-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "duration": "P1D",
    "email": "simulated@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "uri-reference": "/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}
_TYPE_OF_KEYWORD = {
    "properties": "object", "required": "object", "additionalProperties": "object", "items": "array",
    "prefixItems": "array", "minItems": "array", "minLength": "string", "maxLength": "string", "format": "string",
    "minimum": "number", "maximum": "number", "exclusiveMinimum": "number", "multipleOf": "number",
}  # fmt: skip


def sample(schema: Mapping[str, object]) -> object:
    return _Sampler(schema).value(schema, 0)


class _Sampler:
    def __init__(self, root: Mapping[str, object]) -> None:
        self._root = root

    def value(self, given: object, depth: int) -> object:
        if not isinstance(given, Mapping) or depth > _DEEPEST:
            return None
        schema = self._flat(given, depth)
        if "const" in schema:
            return schema["const"]
        choices = schema.get("enum")
        if isinstance(choices, list) and choices:
            return choices[0]
        match _type_of(schema):
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, depth)
            case "string":
                return _string(schema)
            case "integer":
                return _number(schema, step=1)
            case "number":
                return _number(schema, step=0)
            case "boolean":
                return False
            case _:
                return None

    def _flat(self, schema: Mapping[str, object], depth: int) -> dict[str, object]:
        """`schema` with what it refers to and combines, in one."""
        flat = dict(schema)
        parts: list[object] = [self._referred(flat.pop("$ref", None))]
        every = flat.pop("allOf", None)
        parts += every if isinstance(every, list) else []
        for word in ("anyOf", "oneOf"):
            some = flat.pop(word, None)
            if isinstance(some, list) and some:
                parts.append(
                    next((one for one in some if isinstance(one, Mapping) and one.get("type") != "null"), some[0])
                )
        for part in parts:
            if isinstance(part, Mapping) and depth <= _DEEPEST:
                flat = _joined(flat, self._flat(part, depth + 1))
        return flat

    def _referred(self, reference: object) -> object:
        if not isinstance(reference, str) or not reference.startswith("#"):
            return None
        found: object = self._root
        for name in reference[1:].split("/")[1:]:
            if not isinstance(found, Mapping):
                return None
            found = found.get(name.replace("~1", "/").replace("~0", "~"))
        return found

    def _object(self, schema: Mapping[str, object], depth: int) -> dict[str, object]:
        properties, required = schema.get("properties"), schema.get("required")
        known: Mapping[str, object] = properties if isinstance(properties, Mapping) else {}
        names = [name for name in required if isinstance(name, str)] if isinstance(required, list) else []
        least = schema.get("minProperties")
        if isinstance(least, int):
            names += [name for name in known if name not in names][: max(0, least - len(names))]
        return {name: self.value(known.get(name, schema.get("additionalProperties")), depth + 1) for name in names}

    def _array(self, schema: Mapping[str, object], depth: int) -> list[object]:
        fixed, least = schema.get("prefixItems"), schema.get("minItems")
        items = [self.value(item, depth + 1) for item in fixed] if isinstance(fixed, list) else []
        while isinstance(least, int) and len(items) < min(least, 1000):
            items.append(self.value(schema.get("items"), depth + 1))
        if schema.get("uniqueItems"):
            items = self._distinct(items, schema.get("items"))
        return items

    def _distinct(self, items: list[object], schema: object) -> list[object]:
        flat = self._flat(schema, 0) if isinstance(schema, Mapping) else {}
        choices = flat.get("enum")
        if isinstance(choices, list):
            return choices[: len(items)]
        return [_varied(item, at) for at, item in enumerate(items)]


def _varied(item: object, at: int) -> object:
    """`item`, made unlike its neighbours where it can be."""
    if isinstance(item, str):
        return f"{item}{at}" if at else item
    return item + at if isinstance(item, int | float) and not isinstance(item, bool) else item


def _joined(first: dict[str, object], second: Mapping[str, object]) -> dict[str, object]:
    joined = {**second, **first}
    for word in ("properties", "required"):
        one, other = first.get(word), second.get(word)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            joined[word] = {**other, **one}
        elif isinstance(one, list) and isinstance(other, list):
            joined[word] = [*one, *(name for name in other if name not in one)]
    return joined


def _type_of(schema: Mapping[str, object]) -> object:
    kind = schema.get("type")
    if isinstance(kind, list):
        return next((one for one in kind if one != "null"), "null")
    return kind or next((kind for keyword, kind in _TYPE_OF_KEYWORD.items() if keyword in schema), None)


def _string(schema: Mapping[str, object]) -> str:
    shape, least, most = schema.get("format"), schema.get("minLength"), schema.get("maxLength")
    text = _FORMATS.get(shape, "simulated") if isinstance(shape, str) else "simulated"
    if isinstance(least, int):
        text = text.ljust(min(least, 100_000), ".")
    return text[:most] if isinstance(most, int) else text


def _number(schema: Mapping[str, object], *, step: int) -> float:
    """The bounded number nearest to 0; an integer where `step` is 1."""

    def bound(word: str) -> float | None:
        value = schema.get(word)
        return value if isinstance(value, int | float) and not isinstance(value, bool) else None

    low, high = bound("minimum"), bound("maximum")
    above, below = bound("exclusiveMinimum"), bound("exclusiveMaximum")
    value: float = 0
    if low is not None and value < low:
        value = ceil(low) if step else low
    if above is not None and value <= above:
        value = int(above // 1) + 1 if below is None or above // 1 + 1 < below else (above + below) / 2
    if high is not None and value > high:
        value = int(high // 1) if step else high
    if below is not None and value >= below:
        value = ceil(below) - 1
    multiple = bound("multipleOf")
    if multiple:
        value = ceil(value / multiple) * multiple
    return value
