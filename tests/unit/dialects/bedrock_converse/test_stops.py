"""Stop reasons in both directions."""

import pytest

from polyroute.dialects.bedrock_converse.stops import read_stop, write_stop
from polyroute.types.response import StopReason


@pytest.mark.parametrize(
    ("word", "stop"),
    [
        ("end_turn", StopReason.END),
        ("tool_use", StopReason.TOOL_CALLS),
        ("max_tokens", StopReason.MAX_TOKENS),
        ("model_context_window_exceeded", StopReason.MAX_TOKENS),
        ("guardrail_intervened", StopReason.CONTENT_FILTER),
        ("malformed_tool_use", StopReason.UNKNOWN),
        ("something new", StopReason.UNKNOWN),
        (None, StopReason.UNKNOWN),
    ],
)
def test_read(word: object, stop: StopReason) -> None:
    assert read_stop(word) is stop


@pytest.mark.parametrize("stop", list(StopReason))
def test_every_reason_has_a_word_that_bedrock_knows(stop: StopReason) -> None:
    assert read_stop(write_stop(stop, None)) is not StopReason.UNKNOWN


def test_the_providers_own_word_wins_where_it_means_the_same() -> None:
    assert write_stop(StopReason.CONTENT_FILTER, "guardrail_intervened") == "guardrail_intervened"
    assert write_stop(StopReason.END, "stop") == "end_turn"
