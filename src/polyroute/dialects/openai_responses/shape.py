"""What servers of the Responses API send: a whole answer, and the answer inside a stream's last event.

Every field may be absent or null. What a field means is decided where it is read; this module only says which types
are believable.
"""

from typing import Any

from msgspec import DecodeError, Raw, Struct
from msgspec.json import Decoder

Item = dict[str, Any]

# What decoding may raise: not JSON or not the types below, bytes that are no text, and nesting without end.
UNREADABLE = (DecodeError, UnicodeDecodeError, RecursionError)


class SkimmedPart(Struct):
    type: str | None = None


class SkimmedItem(Struct):
    type: str | None = None
    id: Any = None
    container_id: Any = None  # where a tool of the provider's ran
    content: list[SkimmedPart] | None = None


class Incomplete(Struct):
    reason: str | None = None


class SkimmedAnswer(Struct):
    """As much as says how an answer ended."""

    output: list[SkimmedItem]
    status: str | None = None
    incomplete_details: Incomplete | None = None
    model: str | None = None
    error: Any = None
    usage: Raw = Raw()
    id: Any = None
    store: Any = None


class WireAnswer(Struct):
    output: list[Item]
    id: str | None = None
    created_at: int | float | None = None
    status: str | None = None
    incomplete_details: Incomplete | None = None
    model: str | None = None
    error: Any = None
    usage: Raw = Raw()
    service_tier: str | None = None


class LastEvent(Struct):
    response: Raw


SKIMMED = Decoder(SkimmedAnswer)
ANSWER = Decoder(WireAnswer)
LAST_EVENT = Decoder(LastEvent)
_LATEST_S = 1 << 40


def created_in(created_at: object) -> int | None:
    """A believable Unix time."""
    if isinstance(created_at, int | float) and 0 <= created_at < _LATEST_S:
        return int(created_at)
    return None
