import pytest

from polyroute.dialects.openai_chat.stops import read_stop, write_stop
from polyroute.types.response import StopReason


@pytest.mark.parametrize(
    ("finish", "expected"),
    [
        ("stop", StopReason.END),
        ("eos", StopReason.END),
        ("length", StopReason.MAX_TOKENS),
        ("model_length", StopReason.MAX_TOKENS),
        ("tool_calls", StopReason.TOOL_CALLS),
        ("function_call", StopReason.TOOL_CALLS),
        ("content_filter", StopReason.CONTENT_FILTER),
        ("stop_sequence", StopReason.STOP_SEQUENCE),
        ("a new word", StopReason.UNKNOWN),
        (None, StopReason.UNKNOWN),
    ],
)
def test_each_word_has_a_meaning(finish: str | None, expected: StopReason) -> None:
    assert read_stop(finish) is expected


def test_a_tool_call_that_ends_with_stop_waits_for_its_result() -> None:
    assert read_stop("stop", calls_tools=True) is StopReason.TOOL_CALLS
    assert read_stop("length", calls_tools=True) is StopReason.MAX_TOKENS


def test_a_refusal_that_ends_with_stop_is_one() -> None:
    assert read_stop("stop", refuses=True) is StopReason.REFUSAL


@pytest.mark.parametrize("stop", StopReason)
def test_every_reason_has_a_word_that_openai_knows(stop: StopReason) -> None:
    for shown in (True, False):
        word = write_stop(stop, refusal_shown=shown, legacy_calls=False)
        assert word in {"stop", "length", "tool_calls", "content_filter"}


def test_callers_of_2023_read_function_call() -> None:
    assert write_stop(StopReason.TOOL_CALLS, refusal_shown=False, legacy_calls=True) == "function_call"
    assert write_stop(StopReason.END, refusal_shown=False, legacy_calls=True) == "stop"
