"""Token counts between the Responses API's nested form and our disjoint classes.

Cached and written tokens are counted inside `input_tokens`, reasoning inside `output_tokens` (API reference, "The
response object", `usage`). Counts that cannot be true are no report at all: None.
"""

from msgspec import Raw, Struct
from msgspec.json import Decoder

from polyroute.dialects.openai_responses.shape import UNREADABLE
from polyroute.dialects.openai_usage import Counts, disjoint
from polyroute.types.response import Usage


class _InputDetails(Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    audio_tokens: int | None = None


class _OutputDetails(Struct):
    reasoning_tokens: int | None = None
    audio_tokens: int | None = None


class _WireUsage(Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_details: _InputDetails | None = None
    output_tokens_details: _OutputDetails | None = None


_DECODER = Decoder(_WireUsage | None)
_NO_INPUT_DETAILS = _InputDetails()
_NO_OUTPUT_DETAILS = _OutputDetails()


def read_usage(raw: Raw | bytes) -> Usage | None:
    """The usage object in `raw`; None where it is absent, null, malformed or absurd."""
    if not raw:
        return None
    try:
        wire = _DECODER.decode(raw)
    except UNREADABLE:
        return None
    if wire is None or wire.input_tokens is None or wire.output_tokens is None:
        return None
    inside = wire.input_tokens_details or _NO_INPUT_DETAILS
    outside = wire.output_tokens_details or _NO_OUTPUT_DETAILS
    return disjoint(
        Counts(
            given=wire.input_tokens,
            made=wire.output_tokens,
            cached=inside.cached_tokens or 0,
            written=inside.cache_write_tokens or 0,
            heard=inside.audio_tokens or 0,
            thought=outside.reasoning_tokens or 0,
            spoken=outside.audio_tokens or 0,
        )
    )


def write_usage(usage: Usage | None) -> dict[str, object] | None:
    if usage is None:
        return None
    return {
        "input_tokens": usage.total_input_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cached_input_tokens,
            "cache_write_tokens": usage.cache_write_tokens + usage.cache_write_1h_tokens,
        },
        "output_tokens": usage.total_output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.total_tokens,
    }
