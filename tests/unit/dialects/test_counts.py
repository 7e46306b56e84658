"""What counts as a count of tokens."""

import pytest

from polyroute.dialects.counts import read_count


@pytest.mark.parametrize(
    ("value", "tokens"), [(None, 0), (0, 0), (7, 7), (-1, -1), (True, -1), (1.5, -1), ("7", -1), (10**9 + 1, -1)]
)
def test_a_count_is_a_believable_number(value: object, tokens: int) -> None:
    assert read_count(value) == tokens
