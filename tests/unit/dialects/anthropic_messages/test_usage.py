import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyroute.dialects.anthropic_messages.usage import later_usage, read_usage, write_usage
from polyroute.types.response import Usage

counts = st.integers(0, 10**8)


@pytest.mark.parametrize(
    ("given_usage", "usage"),
    [
        ({"input_tokens": 3, "output_tokens": 5}, Usage(input_tokens=3, output_tokens=5)),
        (
            {
                "input_tokens": 3,
                "output_tokens": 50,
                "cache_read_input_tokens": 7,
                "cache_creation_input_tokens": 11,
                "cache_creation": {"ephemeral_5m_input_tokens": 4, "ephemeral_1h_input_tokens": 7},
                "output_tokens_details": {"thinking_tokens": 20},
            },
            Usage(
                input_tokens=3,
                cached_input_tokens=7,
                cache_write_tokens=4,
                cache_write_1h_tokens=7,
                output_tokens=30,
                reasoning_tokens=20,
            ),
        ),
        (
            {"input_tokens": 3, "output_tokens": 5, "cache_read_input_tokens": None},
            Usage(input_tokens=3, output_tokens=5),
        ),
        ({"input_tokens": -3, "output_tokens": 5}, None),
        ({"input_tokens": 3, "output_tokens": 10**12}, None),
        ({"input_tokens": "3", "output_tokens": 5}, None),
        ({"input_tokens": True, "output_tokens": 5}, None),
        ({}, None),
        (None, None),
        ([], None),
    ],
)
def test_read_usage(given_usage: object, usage: Usage | None) -> None:
    assert read_usage(given_usage) == usage


@given(
    st.builds(
        Usage,
        input_tokens=counts,
        cached_input_tokens=counts,
        cache_write_tokens=counts,
        cache_write_1h_tokens=counts,
        output_tokens=counts,
        reasoning_tokens=counts,
    )
)
def test_reading_what_was_written_gives_the_same_usage(usage: Usage) -> None:
    assert read_usage(write_usage(usage)) == usage


def test_audio_tokens_count_as_plain_ones() -> None:
    written = write_usage(Usage(input_tokens=1, input_audio_tokens=2, output_tokens=3, output_audio_tokens=4))
    assert (written["input_tokens"], written["output_tokens"]) == (3, 7)


def test_closing_counts_stand_over_opening_ones() -> None:
    first = {"input_tokens": 3, "output_tokens": 1, "cache_read_input_tokens": 9}
    assert later_usage(first, {"output_tokens": 8, "cache_read_input_tokens": None}) == {**first, "output_tokens": 8}
    assert later_usage(first, None) == first
    assert later_usage(None, {"output_tokens": 8}) == {"output_tokens": 8}
