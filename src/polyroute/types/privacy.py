"""Words for what must stay private: personal data found in a request, and where a provider may keep what it is sent."""

from typing import Literal, get_args

from msgspec import Struct

PiiKind = Literal["email", "card", "iban", "phone", "ip", "national_id", "passport", "secret"]
PiiAction = Literal["allow", "redact", "private", "refuse"]
KINDS: tuple[PiiKind, ...] = get_args(PiiKind)


class Finding(Struct, frozen=True, kw_only=True):
    """Personal data, or a secret, in a text: characters `start` to `end`, the end not among them."""

    kind: PiiKind
    start: int
    end: int
    confidence: float  # 0..1; a checksum or a mark of its own makes it high, a label or a mere form low


class PiiRule(Struct, frozen=True, kw_only=True):
    """What happens where a request holds one of `kinds`."""

    kinds: frozenset[PiiKind]
    action: PiiAction


class DataPolicy(Struct, frozen=True, kw_only=True):
    """What a provider promises about what it is sent. None: it was not said."""

    retention_days: int | None = None
    trains: bool | None = None  # whether models learn from it
