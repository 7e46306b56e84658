"""Token counts in disjoint classes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyroute.dialects.bedrock_converse.usage import read_usage, write_usage
from polyroute.types.response import Usage

COUNTS = st.integers(0, 10_000)


def test_writes_are_split_by_their_lifetime() -> None:
    details = [{"ttl": "1h", "inputTokens": 30}, {"ttl": "5m", "inputTokens": 12}]
    given = {"inputTokens": 3, "outputTokens": 5, "cacheReadInputTokens": 7, "cacheWriteInputTokens": 42}
    assert read_usage({**given, "cacheDetails": details}) == Usage(
        input_tokens=3, output_tokens=5, cached_input_tokens=7, cache_write_tokens=12, cache_write_1h_tokens=30
    )


@pytest.mark.parametrize(
    "given",
    [
        None,
        {},
        [],
        {"inputTokens": -1, "outputTokens": 1},
        {"inputTokens": 1, "outputTokens": 10**12},
        {"inputTokens": "1", "outputTokens": 1},
        {"inputTokens": True, "outputTokens": 1},
        {"inputTokens": 1, "outputTokens": 1, "cacheDetails": [{"ttl": "1h", "inputTokens": -5}]},
    ],
)
def test_what_cannot_be_believed_is_none(given: object) -> None:
    assert read_usage(given) is None


@given(COUNTS, COUNTS, COUNTS, COUNTS, COUNTS)
def test_what_is_written_is_read(inputs: int, cached: int, short: int, hour: int, outputs: int) -> None:
    usage = Usage(
        input_tokens=inputs,
        cached_input_tokens=cached,
        cache_write_tokens=short,
        cache_write_1h_tokens=hour,
        output_tokens=outputs,
    )
    written = write_usage(usage)
    assert read_usage(written) == usage
    assert written["totalTokens"] == usage.total_tokens


def test_no_usage_is_written_as_zeros() -> None:
    assert write_usage(None) == {"inputTokens": 0, "outputTokens": 0, "totalTokens": 0}
