"""Schemas between Gemini's subset of OpenAPI 3.0 and JSON Schema. Pure; the given schema is left alone.

Towards Gemini they go as JSON Schema (`responseJsonSchema`, `parametersJsonSchema`), of which it leaves out a few
words; from its callers they come in either form. Source: ai.google.dev, API reference "Schema" and "GenerationConfig";
the words it refuses or passes over: `profiles/google.py` of Pydantic AI.
"""

from collections.abc import Callable

from polyroute.dialects.gemini.names import Block, camel

_NAMED = ("properties", "$defs", "definitions")
_MANY = ("anyOf", "oneOf", "allOf", "prefixItems")
_ONE = ("items", "additionalProperties")
_COUNTS = ("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties")  # int64: may be strings
_SNAKE = ("any_of", "prefix_items", "max_items", "min_items", "max_length", "min_length", "property_ordering")
_REFUSED = frozenset({"$schema", "$comment", "discriminator", "examples", "exclusiveMinimum", "exclusiveMaximum"})


def from_openapi(schema: Block) -> Block:
    """JSON Schema that means what `schema`, a Gemini one, means: `{"type": "STRING", "nullable": true}`."""
    if any(name in schema for name in _SNAKE):
        schema = camel(schema)
    written: Block = {}
    for word, value in schema.items():
        if word == "type" and isinstance(value, str):
            written[word] = value.lower()
        elif word in _COUNTS and isinstance(value, str) and value.isdecimal():
            written[word] = int(value)
        elif word not in ("propertyOrdering", "nullable") and not (word == "format" and value == "enum"):
            written[word] = _deeper(word, value, from_openapi)
    if schema.get("nullable") is True:
        kind = written.get("type")
        if isinstance(kind, str):
            written["type"] = [kind, "null"]
        if isinstance(values := written.get("enum"), list) and None not in values:
            written["enum"] = [*values, None]
    return written


def acceptable(schema: Block, left_out: list[str]) -> Block:
    """`schema` without what Gemini refuses; the words of it that constrained the answer are added to `left_out`."""
    written: Block = {}
    for word, value in schema.items():
        if word == "const":
            written["enum"] = [value]
        elif word in _REFUSED:
            if word.startswith("exclusive"):
                left_out.append(word)
        else:
            written[word] = _deeper(word, value, lambda inner: acceptable(inner, left_out))
    return written


def _deeper(word: str, value: object, change: Callable[[Block], Block]) -> object:
    if word in _NAMED and isinstance(value, dict):
        return {name: _changed(inner, change) for name, inner in value.items()}
    if word in _MANY and isinstance(value, list):
        return [_changed(inner, change) for inner in value]
    return _changed(value, change) if word in _ONE else value


def _changed(value: object, change: Callable[[Block], Block]) -> object:
    return change(value) if isinstance(value, dict) else value
