import gzip
import json
from pathlib import Path

import jsonschema_rs
import pytest

from polyroute.providers.sample import sample

SCHEMAS = Path(__file__).parents[4] / "shared" / "data" / "quality-gates" / "real_schemas.dev.jsonl.gz"


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({}, None),
        ({"type": "object"}, {}),
        ({"type": "string"}, "simulated"),
        ({"type": "string", "maxLength": 3}, "sim"),
        ({"type": "string", "minLength": 11}, "simulated.."),
        ({"type": "string", "format": "date"}, "2025-01-01"),
        ({"type": "integer"}, 0),
        ({"type": "integer", "minimum": 3}, 3),
        ({"type": "integer", "exclusiveMinimum": 3}, 4),
        ({"type": "integer", "maximum": -2}, -2),
        ({"type": "integer", "exclusiveMaximum": 0}, -1),
        ({"type": "integer", "minimum": 4, "multipleOf": 5}, 5),
        ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, 0.5),
        ({"type": "boolean"}, False),
        ({"type": "null"}, None),
        ({"type": ["null", "string"]}, "simulated"),
        ({"const": 7}, 7),
        ({"enum": ["b", "a"]}, "b"),
        ({"properties": {"a": {"type": "integer"}, "b": {}}, "required": ["a"]}, {"a": 0}),
        ({"type": "object", "required": ["x"], "additionalProperties": {"type": "boolean"}}, {"x": False}),
        ({"type": "object", "properties": {"a": {"type": "integer"}}, "minProperties": 1}, {"a": 0}),
        ({"type": "array", "items": {"type": "integer"}}, []),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 2}, [0, 0]),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 2, "uniqueItems": True}, [0, 1]),
        ({"type": "array", "items": {"enum": ["x", "y"]}, "minItems": 2, "uniqueItems": True}, ["x", "y"]),
        ({"type": "array", "prefixItems": [{"type": "string"}, {"type": "null"}]}, ["simulated", None]),
        ({"$ref": "#/$defs/n", "$defs": {"n": {"type": "integer", "minimum": 1}}}, 1),
        ({"allOf": [{"required": ["a"]}, {"properties": {"a": {"type": "boolean"}}}]}, {"a": False}),
        ({"anyOf": [{"type": "null"}, {"type": "integer"}]}, 0),
        ({"oneOf": [{"type": "integer"}, {"type": "string"}]}, 0),
    ],
)
def test_the_smallest_value_that_fits(schema: dict[str, object], expected: object) -> None:
    assert sample(schema) == expected
    assert jsonschema_rs.is_valid(schema, expected)


def test_a_schema_that_requires_itself_ends() -> None:
    sample({"type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["next"]})
    sample({"$ref": "#"})
    sample({"allOf": [{"$ref": "#"}]})


@pytest.mark.skipif(not SCHEMAS.exists(), reason="the shared data is not here")
def test_most_real_schemas_accept_their_sample() -> None:
    with gzip.open(SCHEMAS) as lines:
        schemas = [json.loads(line)["schema"] for line in lines]
    fitting = 0
    for schema in schemas:
        schema = json.loads(schema) if isinstance(schema, str) else schema
        fitting += jsonschema_rs.is_valid(schema, sample(schema))
    assert fitting / len(schemas) > 0.9, f"{fitting} of {len(schemas)}"
