import pytest

from polyroute.dialects.anthropic_messages.stops import read_stop, write_stop
from polyroute.types.response import StopReason


@pytest.mark.parametrize(
    ("word", "stop"),
    [
        ("end_turn", StopReason.END),
        ("max_tokens", StopReason.MAX_TOKENS),
        ("model_context_window_exceeded", StopReason.MAX_TOKENS),
        ("stop_sequence", StopReason.STOP_SEQUENCE),
        ("tool_use", StopReason.TOOL_CALLS),
        ("pause_turn", StopReason.PAUSE),
        ("refusal", StopReason.REFUSAL),
        ("compaction", StopReason.UNKNOWN),
        (None, StopReason.UNKNOWN),
    ],
)
def test_read_stop(word: str | None, stop: StopReason) -> None:
    assert read_stop(word) is stop


@pytest.mark.parametrize(
    ("stop", "raw", "word"),
    [
        (StopReason.END, None, "end_turn"),
        (StopReason.END, "stop", "end_turn"),
        (StopReason.MAX_TOKENS, "model_context_window_exceeded", "model_context_window_exceeded"),
        (StopReason.MAX_TOKENS, "length", "max_tokens"),
        (StopReason.CONTENT_FILTER, "content_filter", "refusal"),
        (StopReason.TOOL_CALLS, "tool_calls", "tool_use"),
        (StopReason.UNKNOWN, "eos", "end_turn"),
    ],
)
def test_write_stop(stop: StopReason, raw: str | None, word: str) -> None:
    assert write_stop(stop, raw) == word
