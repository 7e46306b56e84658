"""W3C Trace Context: which trace a request belongs to, and how that is told on. Source: W3C Recommendation, 23 November
2021 (Level 1), sections 3.2 and 3.3.

A context that does not follow the grammar counts as none. Span ids are derived from our own ids, which are unique: a
span is named before it exists, and nothing has to be carried along for it.
"""

from hashlib import blake2b
from typing import Self

from msgspec import Struct

_HEX = frozenset("0123456789abcdef")
_KEY = _HEX | frozenset("ghijklmnopqrstuvwxyz_-*/@")
_MEMBERS = 32
_STATE_LENGTH = 512  # characters that everybody must pass on


class Trace(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Ids are lower-case hexadecimal."""

    trace_id: str  # 32 digits
    parent_id: str | None = None  # 16 digits, of the caller's span; None: the trace begins here
    sampled: bool = True
    state: str | None = None  # `tracestate`, as it came

    @classmethod
    def read(cls, traceparent: str, tracestate: str | None = None) -> Self | None:
        """None where `traceparent` is not of the form; a `tracestate` that is not is left out."""
        version, parts = traceparent[:2], traceparent[:55].split("-")
        if len(parts) != 4 or version == "ff" or [len(part) for part in parts] != [2, 32, 16, 2]:
            return None
        if not _HEX.issuperset("".join(parts)) or not (parts[1].strip("0") and parts[2].strip("0")):
            return None
        if len(traceparent) > 55 and (version == "00" or traceparent[55] != "-"):
            return None
        is_state = tracestate is not None and _is_state(tracestate)
        return cls(
            trace_id=parts[1],
            parent_id=parts[2],
            sampled=bool(int(parts[3], 16) & 1),
            state=tracestate if is_state else None,
        )

    @classmethod
    def begin(cls, request_id: str, sampled_share: float = 1.0) -> Self:
        """A trace of its own for a request that came without one."""
        trace_id = blake2b(request_id.encode(), digest_size=16).hexdigest()
        return cls(trace_id=trace_id, sampled=int(trace_id[16:], 16) < sampled_share * 2**64)

    def under(self, own_id: str) -> "Trace":
        """What is told to whoever is called within the span of `own_id`."""
        return Trace(trace_id=self.trace_id, parent_id=span_id(own_id), sampled=self.sampled, state=self.state)

    @property
    def traceparent(self) -> str:
        return f"00-{self.trace_id}-{self.parent_id}-{'01' if self.sampled else '00'}"


def span_id(own_id: str) -> str:
    """Of a request or an attempt."""
    return blake2b(own_id.encode(), digest_size=8).hexdigest()


def _is_state(tracestate: str) -> bool:
    """A list of `key=value`, printable and short."""
    if len(tracestate) > _STATE_LENGTH or not (tracestate.isascii() and tracestate.isprintable()):
        return False
    members = [member.strip(" ") for member in tracestate.split(",") if member.strip(" ")]
    pairs = [member.partition("=") for member in members]
    keys = {key for key, _, _ in pairs}
    return len(keys) == len(pairs) <= _MEMBERS and all(
        key and value and "=" not in value and _KEY.issuperset(key) for key, _, value in pairs
    )
