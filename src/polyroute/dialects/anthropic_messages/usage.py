"""Token counts: Anthropic's classes are disjoint already, but for thinking, which it counts inside the output.

Source: platform.claude.com, "Create a Message", `usage`: input_tokens, cache_creation_input_tokens and
cache_read_input_tokens add up to the whole input; cache_creation splits the writes by their lifetime.
"""

from polyroute.dialects.counts import read_count
from polyroute.types.response import Usage


def read_usage(value: object) -> Usage | None:
    """None where the provider gave no usage, or one that cannot be believed."""
    if not isinstance(value, dict) or ("input_tokens" not in value and "output_tokens" not in value):
        return None
    details = value.get("output_tokens_details")
    split = value.get("cache_creation")
    hour = read_count(split.get("ephemeral_1h_input_tokens")) if isinstance(split, dict) else 0
    short = read_count(split.get("ephemeral_5m_input_tokens")) if isinstance(split, dict) else 0
    counts = {
        name: read_count(value.get(name)) for name in ("input_tokens", "output_tokens", "cache_read_input_tokens")
    }
    written = value.get("cache_creation_input_tokens")
    writes = hour + short if written is None else read_count(written)
    thinking = read_count(details.get("thinking_tokens")) if isinstance(details, dict) else 0
    output = counts["output_tokens"]
    if min(hour, short, writes, thinking, *counts.values()) < 0:
        return None
    hour, thinking = min(hour, writes), min(thinking, output)
    return Usage(
        input_tokens=counts["input_tokens"],
        cached_input_tokens=counts["cache_read_input_tokens"],
        cache_write_tokens=writes - hour,
        cache_write_1h_tokens=hour,
        output_tokens=output - thinking,
        reasoning_tokens=thinking,
    )


def later_usage(first: object, last: object) -> object:
    """The usage of a stream: its closing counts are cumulative, and stand over those it began with."""
    if not isinstance(first, dict) or not isinstance(last, dict):
        return first if last is None else last
    return {**first, **{name: count for name, count in last.items() if count is not None}}


def write_usage(usage: Usage | None) -> dict[str, object]:
    """Zeros where none is known: the field is required."""
    if usage is None:
        usage = Usage()
    writes = usage.cache_write_tokens + usage.cache_write_1h_tokens
    written: dict[str, object] = {
        "input_tokens": usage.input_tokens + usage.input_audio_tokens,
        "cache_creation_input_tokens": writes,
        "cache_read_input_tokens": usage.cached_input_tokens,
        "output_tokens": usage.total_output_tokens,
    }
    if writes:
        written["cache_creation"] = {
            "ephemeral_5m_input_tokens": usage.cache_write_tokens,
            "ephemeral_1h_input_tokens": usage.cache_write_1h_tokens,
        }
    if usage.reasoning_tokens:
        written["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}
    return written
