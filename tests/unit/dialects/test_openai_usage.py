"""Nested counts as disjoint ones."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyroute.dialects.openai_usage import Counts, disjoint
from polyroute.types.response import Usage

few = st.integers(0, 50)


@given(few, few, few, few, few, few, few)
def test_each_token_is_counted_once_whatever_its_parts_say(
    given_: int, made: int, cached: int, written: int, heard: int, thought: int, spoken: int
) -> None:
    usage = disjoint(
        Counts(given=given_, made=made, cached=cached, written=written, heard=heard, thought=thought, spoken=spoken)
    )
    if given_ + made == 0:
        assert usage is None
    else:
        assert usage is not None
        assert (usage.total_input_tokens, usage.total_output_tokens) == (given_, made)


@pytest.mark.parametrize(
    ("counts", "usage"),
    [
        (Counts(given=0, made=0), None),
        (Counts(given=5, made=-1), None),
        (Counts(given=5, made=1, cached=-1), None),
        (Counts(given=1 << 41, made=1), None),
        (
            Counts(given=10, made=5, cached=3, written=2, heard=1, thought=2, spoken=1),
            Usage(
                input_tokens=4,
                cached_input_tokens=3,
                cache_write_tokens=2,
                input_audio_tokens=1,
                output_tokens=2,
                reasoning_tokens=2,
                output_audio_tokens=1,
            ),
        ),
    ],
)
def test_counts_that_cannot_be_true_are_none(counts: Counts, usage: Usage | None) -> None:
    assert disjoint(counts) == usage
