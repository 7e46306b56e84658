"""Token counts: Bedrock's classes are disjoint already; reasoning is counted inside the output.

Source: Amazon Bedrock API reference, "TokenUsage" and "CacheDetail": inputTokens, cacheReadInputTokens,
cacheWriteInputTokens and outputTokens add up to totalTokens; cacheDetails splits the writes by their lifetime.
"""

from polyroute.dialects.counts import read_count
from polyroute.types.response import Usage


def read_usage(value: object) -> Usage | None:
    """None where the provider gave no usage, or one that cannot be believed."""
    if not isinstance(value, dict) or ("inputTokens" not in value and "outputTokens" not in value):
        return None
    inputs, outputs = read_count(value.get("inputTokens")), read_count(value.get("outputTokens"))
    cached = read_count(value.get("cacheReadInputTokens"))
    writes = read_count(value.get("cacheWriteInputTokens"))
    hour = _written_for_an_hour(value.get("cacheDetails"))
    if min(inputs, outputs, cached, writes, hour) < 0:
        return None
    hour = min(hour, writes)
    return Usage(
        input_tokens=inputs,
        cached_input_tokens=cached,
        cache_write_tokens=writes - hour,
        cache_write_1h_tokens=hour,
        output_tokens=outputs,
    )


def write_usage(usage: Usage | None) -> dict[str, object]:
    """Zeros where none is known: the fields are required."""
    if usage is None:
        usage = Usage()
    written: dict[str, object] = {
        "inputTokens": usage.input_tokens + usage.input_audio_tokens,
        "outputTokens": usage.total_output_tokens,
        "totalTokens": usage.total_tokens,
    }
    writes = usage.cache_write_tokens + usage.cache_write_1h_tokens
    if usage.cached_input_tokens or writes:
        written["cacheReadInputTokens"] = usage.cached_input_tokens
        written["cacheWriteInputTokens"] = writes
    if writes:
        split = (("5m", usage.cache_write_tokens), ("1h", usage.cache_write_1h_tokens))
        written["cacheDetails"] = [{"ttl": ttl, "inputTokens": count} for ttl, count in split if count]
    return written


def _written_for_an_hour(details: object) -> int:
    if not isinstance(details, list):
        return 0
    counts = [
        read_count(item.get("inputTokens")) for item in details if isinstance(item, dict) and item.get("ttl") == "1h"
    ]
    return -1 if any(count < 0 for count in counts) else sum(counts)
