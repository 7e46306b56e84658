import pytest

from polyroute.dialects.openai_responses.stops import check_status, incomplete_reason, read_stop
from polyroute.errors import ContentRefused, Overloaded, ProviderError, Rejected, StreamInterrupted
from polyroute.types.response import StopReason


@pytest.mark.parametrize(
    ("status", "reason", "items", "refuses", "stop"),
    [
        ("completed", None, {"message"}, False, StopReason.END),
        ("completed", None, {"message", "function_call"}, False, StopReason.TOOL_CALLS),
        ("completed", None, {"custom_tool_call"}, False, StopReason.TOOL_CALLS),
        ("completed", None, {"web_search_call", "message"}, False, StopReason.END),
        ("completed", None, {"message"}, True, StopReason.REFUSAL),
        ("incomplete", "max_output_tokens", {"function_call"}, False, StopReason.MAX_TOKENS),
        ("incomplete", "content_filter", {"message"}, False, StopReason.CONTENT_FILTER),
        ("incomplete", "something_new", set(), False, StopReason.UNKNOWN),
        ("queued", None, set(), False, StopReason.UNKNOWN),
        (None, None, {"message"}, False, StopReason.END),
    ],
)
def test_a_status_with_its_details_is_a_stop(
    status: str | None, reason: str | None, items: set[str | None], refuses: bool, stop: StopReason
) -> None:
    assert read_stop(status, reason, items, refuses=refuses) is stop


@pytest.mark.parametrize(
    ("stop", "shown", "reason"),
    [
        (StopReason.END, False, None),
        (StopReason.TOOL_CALLS, False, None),
        (StopReason.STOP_SEQUENCE, False, None),
        (StopReason.MAX_TOKENS, False, "max_output_tokens"),
        (StopReason.CONTENT_FILTER, False, "content_filter"),
        (StopReason.REFUSAL, True, None),
        (StopReason.REFUSAL, False, "content_filter"),
    ],
)
def test_a_stop_is_a_reason_why_an_answer_is_not_whole(stop: StopReason, shown: bool, reason: str | None) -> None:
    assert incomplete_reason(stop, refusal_shown=shown) == reason


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        ("failed", None, Overloaded),
        ("failed", {"code": "server_error", "message": "broke"}, Overloaded),
        ("failed", {"code": "rate_limit_exceeded", "message": "slow down"}, Overloaded),
        ("failed", {"code": "invalid_image", "message": "not a picture"}, Rejected),
        ("failed", {"code": "invalid_prompt", "message": "flagged by our usage policies"}, ContentRefused),
        ("cancelled", None, StreamInterrupted),
        (None, {"message": "no"}, Overloaded),
    ],
)
def test_a_failed_answer_is_an_error(status: str | None, error: object, kind: type[ProviderError]) -> None:
    with pytest.raises(kind):
        check_status(status, error)


def test_a_whole_answer_is_none() -> None:
    check_status("completed", None)
    check_status(None, None)
