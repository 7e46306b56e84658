import orjson
import pytest

from polyroute.dialects.openai_responses.usage import read_usage, write_usage
from polyroute.types.response import Usage

TOLD = {
    "input_tokens": 100,
    "input_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 10},
    "output_tokens": 50,
    "output_tokens_details": {"reasoning_tokens": 20},
    "total_tokens": 150,
}
MEANT = Usage(input_tokens=30, cached_input_tokens=60, cache_write_tokens=10, output_tokens=30, reasoning_tokens=20)


def test_nested_counts_are_disjoint_classes_and_back() -> None:
    assert read_usage(orjson.dumps(TOLD)) == MEANT
    assert write_usage(MEANT) == TOLD


@pytest.mark.parametrize(
    "told",
    [
        None,
        {},
        {"input_tokens": 1},
        {"input_tokens": -1, "output_tokens": 1},
        {"input_tokens": 1 << 50, "output_tokens": 1},
        {"input_tokens": 0, "output_tokens": 0},
        {"input_tokens": "7", "output_tokens": 1},
        [7],
    ],
)
def test_counts_that_cannot_be_true_are_no_report(told: object) -> None:
    assert read_usage(orjson.dumps(told)) is None


def test_a_part_larger_than_its_whole_is_cut_to_it() -> None:
    told = {
        "input_tokens": 5,
        "output_tokens": 5,
        "input_tokens_details": {"cached_tokens": 9},
        "output_tokens_details": {"reasoning_tokens": 9},
    }
    assert read_usage(orjson.dumps(told)) == Usage(cached_input_tokens=5, reasoning_tokens=5)


def test_no_usage_is_null() -> None:
    assert write_usage(None) is None
