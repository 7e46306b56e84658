"""A call's arguments as the object that most dialects want, out of the text that a model wrote. Pure.

The text is put in as it stands: parsing it would lose digits of long numbers. One that is no JSON object is wrapped, as
Anthropic asks for it (platform.claude.com, "Fine-grained tool streaming", handling invalid JSON).
"""

import orjson

INVALID_JSON = "INVALID_JSON"  # the key under which a call carries arguments that are no object


def write_arguments(arguments: str) -> object:
    if not arguments or arguments.isspace():
        return {}
    return orjson.Fragment(arguments) if is_json_object(arguments) else {INVALID_JSON: arguments}


def is_json_object(text: str) -> bool:
    if not text.lstrip().startswith("{"):
        return False
    try:
        return isinstance(orjson.loads(text), dict)
    except orjson.JSONDecodeError:
        return False
