from typing import Any

import pytest

from polyroute.dialects.anthropic_messages.schemas import enforceable


@pytest.mark.parametrize(
    ("schema", "expected", "moved"),
    [
        ({"type": "string"}, {"type": "string"}, []),
        (
            {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}}, "required": ["a"]},
            {
                "type": "object",
                "properties": {"a": {"type": "integer", "description": "{minimum: 1}"}},
                "required": ["a"],
                "additionalProperties": False,
            },
            ["minimum"],
        ),
        (
            {"type": "string", "description": "a name", "minLength": 2, "format": "phone"},
            {"type": "string", "description": 'a name\n\n{minLength: 2, format: "phone"}'},
            ["minLength", "format"],
        ),
        ({"type": "string", "format": "uuid"}, {"type": "string", "format": "uuid"}, []),
        (
            {"type": "array", "items": {"type": "object", "properties": {}}, "minItems": 1, "maxItems": 3},
            {
                "type": "array",
                "items": {"type": "object", "properties": {}, "additionalProperties": False},
                "minItems": 1,
                "description": "{maxItems: 3}",
            },
            ["maxItems"],
        ),
        (
            {"oneOf": [{"type": "null"}, {"$ref": "#/$defs/A"}]},
            {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/A"}]},
            [],
        ),
        (
            {"$schema": "x", "$defs": {"A": {"enum": ["a"]}}, "$ref": "#/$defs/A"},
            {"$defs": {"A": {"enum": ["a"]}}, "$ref": "#/$defs/A"},
            [],
        ),
        (
            {"type": "object", "additionalProperties": {"type": "string"}},
            {
                "type": "object",
                "additionalProperties": False,
                "description": '{additionalProperties: {"type":"string"}}',
            },
            ["additionalProperties"],
        ),
    ],
)
def test_what_cannot_be_enforced_moves_into_the_description(schema: Any, expected: Any, moved: list[str]) -> None:
    before = repr(schema)
    found: list[str] = []
    assert enforceable(schema, found) == expected
    assert found == moved
    assert repr(schema) == before


def test_an_enforceable_schema_stays_as_it_is() -> None:
    schema: Any = {"type": "object", "properties": {"minimum": {"type": "number"}}, "additionalProperties": False}
    assert enforceable(schema, []) == schema
