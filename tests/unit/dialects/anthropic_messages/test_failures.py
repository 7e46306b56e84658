from typing import Any

import orjson
import pytest

from polyroute.dialects.anthropic_messages.failures import classify_error, classify_event, error_object
from polyroute.errors import (
    AuthRejected,
    ContentRefused,
    ContextTooLong,
    MalformedReply,
    Overloaded,
    ProviderError,
    Rejected,
    Remedy,
)


def error_body(kind: str, message: str, **more: object) -> bytes:
    return orjson.dumps({"type": "error", "error": {"type": kind, "message": message, **more}, "request_id": "r"})


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (400, error_body("invalid_request_error", "messages.0: Input does not match"), Rejected),
        (400, error_body("invalid_request_error", "prompt is too long: 9 tokens > 5 maximum"), ContextTooLong),
        (
            400,
            error_body("invalid_request_error", "input length and `max_tokens` exceed context limit: 9 + 9 > 10"),
            ContextTooLong,
        ),
        (400, error_body("invalid_request_error", "Output blocked by content filtering policy"), ContentRefused),
        (400, error_body("invalid_request_error", "Your credit balance is too low to access the API."), AuthRejected),
        (400, error_body("invalid_request_error", "You have reached your specified API usage limits."), AuthRejected),
        (401, error_body("authentication_error", "invalid x-api-key"), AuthRejected),
        (402, error_body("billing_error", "pay"), AuthRejected),
        (403, error_body("permission_error", "no"), AuthRejected),
        (404, error_body("not_found_error", "model: claude-sonet"), Rejected),
        (404, error_body("not_found_error", "File not found: file_1"), Rejected),
        (413, error_body("request_too_large", "Request exceeds the maximum size"), Rejected),
        (422, b"{}", Rejected),
        (408, b"", Overloaded),
        (409, error_body("conflict_error", "x"), Overloaded),
        (429, error_body("rate_limit_error", "slow down"), Overloaded),
        (
            429,
            error_body("rate_limit_error", "spent", details={"error_code": "enforced_spend_limit_reached"}),
            AuthRejected,
        ),
        (500, error_body("api_error", "oops"), Overloaded),
        (502, b"<html><h1>Bad Gateway</h1></html>", Overloaded),
        (529, error_body("overloaded_error", "Overloaded"), Overloaded),
        (302, b"", MalformedReply),
    ],
)
def test_classify_error(status: int, body: bytes, expected: type[ProviderError]) -> None:
    error = classify_error(status, body, 7.0)
    assert type(error) is expected
    assert error.http_status == status
    assert "<" not in error.message
    if expected is Overloaded:
        assert (error.retry_after_s, error.remedy) == (7.0, Remedy.RETRY)


@pytest.mark.parametrize(
    ("body", "remedy"),
    [
        (error_body("not_found_error", "model: claude-sonet"), Remedy.SWITCH),
        (b"<html>nginx</html>", Remedy.SWITCH),
        (error_body("not_found_error", "File not found: file_1"), Remedy.STOP),
    ],
)
def test_another_deployment_may_know_what_this_one_does_not(body: bytes, remedy: Remedy) -> None:
    error = classify_error(404, body, None)
    assert (type(error), error.remedy) == (Rejected, remedy)


@pytest.mark.parametrize(
    "body", [b"null", b"[]", b"3", b'{"error":null}', b'{"error":"busy"}', b"\xff\xfe", b'{"error":{"message":3}}']
)
def test_no_error_body_is_too_odd(body: bytes) -> None:
    assert type(classify_error(500, body, None)) is Overloaded


def test_a_message_repeats_no_secret_and_no_address() -> None:
    body = error_body("api_error", "key sk-ant-api03-AbC123 failed at https://internal.example/x")
    assert classify_error(500, body, None).message == "key [key] failed at [address]"


@pytest.mark.parametrize(
    ("event", "expected", "status"),
    [
        ({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, Overloaded, 529),
        ({"type": "error", "error": {"type": "api_error", "message": "x"}}, Overloaded, 500),
        ({"type": "error", "error": {"type": "rate_limit_error", "message": "x"}}, Overloaded, 429),
        ({"type": "error", "error": {"type": "invalid_request_error", "message": "x"}}, Rejected, 400),
        ({"type": "error", "error": {"type": "new_error", "message": "x"}}, Overloaded, 500),
        ({"type": "error"}, Overloaded, 500),
    ],
)
def test_an_error_inside_an_answer_is_classified_by_its_type(
    event: Any, expected: type[ProviderError], status: int
) -> None:
    error = classify_event(event)
    assert (type(error), error.http_status) == (expected, status)


@pytest.mark.parametrize(
    ("kind", "code", "expected"),
    [
        ("invalid_request_error", None, "invalid_request_error"),
        ("invalid_request_error", "model_not_found", "not_found_error"),
        ("invalid_request_error", "request_too_large", "request_too_large"),
        ("authentication_error", "invalid_api_key", "authentication_error"),
        ("permission_error", None, "permission_error"),
        ("rate_limit_error", "rate_limit_exceeded", "rate_limit_error"),
        ("insufficient_quota", "budget_exceeded", "billing_error"),
        ("server_error", None, "api_error"),
        ("service_unavailable_error", None, "overloaded_error"),
        ("timeout_error", None, "timeout_error"),
        ("not_supported_error", "not_supported", "invalid_request_error"),
        ("upstream_error", "all_attempts_failed", "api_error"),
        ("anything else", None, "api_error"),
    ],
)
def test_our_errors_take_anthropics_types(kind: str, code: str | None, expected: str) -> None:
    body: Any = error_object(kind, "what to do", field=None, code=code)
    assert (body["type"], body["error"]["type"], body["error"]["message"]) == ("error", expected, "what to do")


def test_code_and_field_are_told_as_details() -> None:
    body: Any = error_object("invalid_request_error", "x", field="messages[0]", code="invalid_type")
    assert body["error"]["details"] == {"error_code": "invalid_type", "field": "messages[0]"}
    plain: Any = error_object("api_error", "x", field=None, code=None)
    assert "details" not in plain["error"]
