"""JSON that a provider sent: what reading it may raise, and a value inside it as JSON text again.

What came as JSON cannot always be written as JSON: it may be nested deeper than writers go, or hold an integer beyond
64 bits. Such an answer can be handed to nobody.
"""

import msgspec
import orjson

from polyroute.errors import MalformedReply

# What msgspec's decoders raise: not JSON or not the types asked for, bytes that are no text, and nesting without end.
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def json_text(value: object) -> str:
    """Raises MalformedReply."""
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError as exc:
        raise MalformedReply(f"the provider's answer holds a value that no JSON can carry: {exc}") from exc
