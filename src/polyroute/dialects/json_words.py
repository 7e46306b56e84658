"""JSON asked for in words, for models that know no other way. Whoever answers so must be checked. Pure."""

import orjson

JSON_OBJECT = "Answer with one JSON object and nothing else: no Markdown fence, no words before or after it."
_JSON_VALUE = "Answer with one JSON value and nothing else: no Markdown fence, no words before or after it."


def json_in_words(schema: object = None, description: object = None) -> str:
    """`schema`: None asks for any object."""
    has_object = not isinstance(schema, dict) or schema.get("type", "object") == "object"
    words = [JSON_OBJECT if has_object else _JSON_VALUE]
    if description:
        words.append(f"It is: {description}")
    if schema:
        words.append(f"It must fit this JSON Schema:\n{orjson.dumps(schema).decode()}")
    return "\n".join(words)
