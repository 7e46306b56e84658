"""The document's JSON Schema, for editors and for the reference of settings."""

from typing import Any

import msgspec

from polyroute.config.document import Document, JsonObject
from polyroute.config.durations import Duration
from polyroute.config.secret import Secret

_AMOUNT = {"type": "string", "format": "decimal"}  # how msgspec describes a Decimal


def schema() -> dict[str, Any]:
    """JSON Schema 2020-12, with a description for every section and setting."""
    made = msgspec.json.schema(Document, schema_hook=_own_types)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "polyroute.yaml", **_amounts(made)}


def _own_types(kind: type) -> dict[str, Any]:
    if kind is Secret:
        return {
            "description": "A secret, named rather than written.",
            "anyOf": [
                _one_key("env", "The environment variable that holds it."),
                _one_key("file", "The file that holds it."),
                _one_key("vault", "Path and field in Vault: secret/data/NAME#FIELD."),
                {"type": "string", "description": "`${NAME}`, or the secret itself where that does no harm."},
            ],
        }
    if kind is Duration:
        return {
            "anyOf": [
                {
                    "type": "string",
                    "pattern": r"^\s*[0-9.]+\s*(ms|s|m|h|d|w)?$",
                    "examples": ["30s", "24h"],
                },
                {"type": "number", "exclusiveMinimum": 0, "description": "Seconds."},
            ]
        }
    if kind is JsonObject:
        return {"type": "object"}
    raise NotImplementedError(kind)


def _one_key(name: str, description: str) -> dict[str, Any]:
    properties = {name: {"type": "string", "description": description}}
    return {"type": "object", "properties": properties, "required": [name], "additionalProperties": False}


def _amounts(value: Any) -> Any:
    """Amounts of money are written as numbers."""
    if isinstance(value, dict):
        if _AMOUNT.items() <= value.items():
            value = {**{k: v for k, v in value.items() if k not in _AMOUNT}, "type": ["number", "string"], "minimum": 0}
        return {key: _amounts(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_amounts(item) for item in value]
    return str(value) if type(value).__name__ == "Decimal" else value
