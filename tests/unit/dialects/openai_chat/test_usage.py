from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyroute.dialects.openai_chat.usage import read_usage, write_usage
from polyroute.types.response import Usage

counts = st.integers(0, 10**9)


def reported(prompt: int, completion: int, **more: Any) -> dict[str, Any]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion, **more}


@pytest.mark.parametrize(
    ("wire", "expected"),
    [
        pytest.param(reported(10, 4), Usage(input_tokens=10, output_tokens=4), id="plain"),
        pytest.param(
            reported(
                100,
                50,
                prompt_tokens_details={"cached_tokens": 60, "audio_tokens": 10},
                completion_tokens_details={"reasoning_tokens": 30, "audio_tokens": 5},
            ),
            Usage(
                input_tokens=30,
                cached_input_tokens=60,
                input_audio_tokens=10,
                output_tokens=15,
                reasoning_tokens=30,
                output_audio_tokens=5,
            ),
            id="details are counted inside",
        ),
        pytest.param(
            reported(100, 5, prompt_tokens_details={"cached_tokens": 20, "cache_write_tokens": 70}),
            Usage(input_tokens=10, cached_input_tokens=20, cache_write_tokens=70, output_tokens=5),
            id="OpenRouter's cache writes",
        ),
        pytest.param(
            reported(100, 5, prompt_cache_hit_tokens=64, prompt_cache_miss_tokens=36),
            Usage(input_tokens=36, cached_input_tokens=64, output_tokens=5),
            id="DeepSeek's cache hits",
        ),
        pytest.param(
            reported(100, 5, num_cached_tokens=64),
            Usage(input_tokens=36, cached_input_tokens=64, output_tokens=5),
            id="Mistral's cache hits",
        ),
        pytest.param(
            {"prompt_tokens": 9, "completion_tokens": 201, "total_tokens": 585}
            | {"prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 375}},
            Usage(input_tokens=9, input_audio_tokens=375, output_tokens=201),
            id="Mistral's audio is counted beside",
        ),
        pytest.param(
            {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 115}
            | {"completion_tokens_details": {"reasoning_tokens": 100}},
            Usage(input_tokens=10, output_tokens=5, reasoning_tokens=100),
            id="xAI's reasoning is counted beside",
        ),
        pytest.param(
            {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 115},
            Usage(input_tokens=10, output_tokens=5, reasoning_tokens=100),
            id="Gemini's thoughts are in the total only",
        ),
        pytest.param(
            reported(33, 7163, reasoning_tokens=95305, citation_tokens=20016),
            Usage(input_tokens=33, output_tokens=7163, reasoning_tokens=95305),
            id="so is that of Perplexity's research models",
        ),
        pytest.param(
            {"prompt_tokens": 10, "total_tokens": 14}, Usage(input_tokens=10, output_tokens=4), id="only a total"
        ),
        pytest.param(
            reported(20, 4, completion_tokens_details={"reasoning_tokens": 3, "audio_tokens": 4}),
            Usage(input_tokens=20, reasoning_tokens=3, output_audio_tokens=1),
            id="parts are cut to their whole",
        ),
        pytest.param(
            reported(10, 4, prompt_tokens_details=None, cost=0.1, cost_details={"upstream": 1}),
            Usage(input_tokens=10, output_tokens=4),
            id="null details and unknown fields",
        ),
    ],
)
def test_each_token_is_counted_once(wire: dict[str, Any], expected: Usage) -> None:
    assert read_usage(orjson.dumps(wire)) == expected


@pytest.mark.parametrize(
    "wire",
    [
        b"",
        b"null",
        b"[]",
        b"7",
        b"{}",
        b'{"prompt_tokens":"ten","completion_tokens":1}',
        b'{"prompt_tokens":-1,"completion_tokens":4}',
        b'{"prompt_tokens":10,"completion_tokens":-4,"total_tokens":6}',
        b'{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}',
        b'{"prompt_tokens":9000000000000000000,"completion_tokens":1}',
        b'{"prompt_tokens":10}',
        b'{"prompt_tokens":10,"completion_tokens":4,"prompt_tokens_details":{"cached_tokens":-3}}',
        b'{"prompt_tokens":10,"completion_tokens":4',
    ],
)
def test_what_cannot_be_true_is_no_report(wire: bytes) -> None:
    assert read_usage(wire) is None


@given(
    st.builds(
        Usage,
        input_tokens=st.integers(1, 10**9),
        cached_input_tokens=counts,
        cache_write_tokens=counts,
        output_tokens=counts,
        reasoning_tokens=counts,
        input_audio_tokens=counts,
        output_audio_tokens=counts,
    )
)
def test_reading_what_was_written_is_the_same(usage: Usage) -> None:
    assert read_usage(orjson.dumps(write_usage(usage))) == usage
