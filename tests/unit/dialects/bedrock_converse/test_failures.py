"""Errors in both directions."""

import pytest

from polyroute.dialects.bedrock_converse.failures import (
    classify_error,
    classify_exception,
    error_type,
    stream_exception,
)
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

URL = ":http://internal.amazon.com/coral/com.amazon.bedrock/"


@pytest.mark.parametrize(
    ("status", "name", "message", "kind", "remedy"),
    [
        (429, "ThrottlingException", "Too many requests, please wait", Overloaded, Remedy.RETRY),
        (429, "ThrottlingException", "Too many tokens per day, please wait", Overloaded, Remedy.SWITCH),
        (429, "ModelNotReadyException", "warming up", Overloaded, Remedy.RETRY),
        (400, "ThrottlingException", "Rate exceeded", Overloaded, Remedy.RETRY),
        (400, "ServiceQuotaExceededException", "quota", Overloaded, Remedy.SWITCH),
        (408, "ModelTimeoutException", "took too long", Overloaded, Remedy.RETRY),
        (424, "ModelErrorException", "failed", Overloaded, Remedy.RETRY),
        (500, "InternalServerException", "oops", Overloaded, Remedy.RETRY),
        (503, "ServiceUnavailableException", "busy", Overloaded, Remedy.RETRY),
        (403, "AccessDeniedException", "You don't have access to the model", AuthRejected, Remedy.SWITCH),
        (403, "ExpiredTokenException", "expired", AuthRejected, Remedy.SWITCH),
        (400, "UnrecognizedClientException", "invalid token", AuthRejected, Remedy.SWITCH),
        (404, "ResourceNotFoundException", "Could not resolve the foundation model", Rejected, Remedy.SWITCH),
        (400, "ValidationException", "The provided model identifier is invalid.", Rejected, Remedy.SWITCH),
        (400, "ValidationException", "Input is too long for requested model.", ContextTooLong, Remedy.SWITCH),
        (400, "ValidationException", "prompt is too long: 300000 tokens > 200000", ContextTooLong, Remedy.SWITCH),
        (400, "ValidationException", "Output blocked by content filtering policy: content filter", ContentRefused,
         Remedy.SWITCH),
        (400, "ValidationException", "messages.0.content: blank text", Rejected, Remedy.STOP),
        (413, "", "request too large", Rejected, Remedy.STOP),
        (302, "", "moved", MalformedReply, Remedy.SWITCH),
    ],
)  # fmt: skip
def test_an_answers_failure(status: int, name: str, message: str, kind: type[ProviderError], remedy: Remedy) -> None:
    error = classify_error(status, b'{"message":"%b"}' % message.encode(), 3.0, name + URL if name else None)
    assert type(error) is kind
    assert error.remedy is remedy
    assert error.message == message
    assert error.http_status == status


def test_the_type_may_stand_in_the_body() -> None:
    body = b'{"__type":"com.amazon.coral.service#UnrecognizedClientException","message":"no"}'
    assert type(classify_error(400, body, None)) is AuthRejected


def test_the_wait_is_kept() -> None:
    assert classify_error(429, b"{}", 7.0, "ThrottlingException").retry_after_s == 7.0


@pytest.mark.parametrize("body", [b"", b"<html>gateway</html>", b"[]", b"null", b'{"message":5}', b"\xff\xfe"])
def test_garbage_is_told_by_its_status(body: bytes) -> None:
    error = classify_error(500, body, None)
    assert type(error) is Overloaded
    assert "<" not in error.message
    assert error.message


def test_nothing_of_ours_is_repeated() -> None:
    said = (
        b'{"message":"User: arn:aws:iam::123456789012:user/us is not allowed\\n\\nThe Canonical String was '
        b'x-amz-security-token:SECRET"}'
    )
    message = classify_error(403, said, None).message
    assert message == "User: [arn] is not allowed"


@pytest.mark.parametrize(
    ("name", "kind", "status"),
    [
        ("throttlingException", Overloaded, 429),
        ("modelStreamErrorException", Overloaded, 424),
        ("validationException", Rejected, 400),
        ("internalServerException", Overloaded, 500),
        ("", Overloaded, 500),
    ],
)
def test_an_exception_in_a_stream(name: str, kind: type[ProviderError], status: int) -> None:
    error = classify_exception(name, b'{"message":"no"}')
    assert (type(error), error.http_status, error.message) == (kind, status, "no")


@pytest.mark.parametrize(
    ("kind", "code", "name", "in_stream"),
    [
        ("invalid_request_error", None, "ValidationException", "validationException"),
        ("invalid_request_error", "model_not_found", "ResourceNotFoundException", "modelStreamErrorException"),
        ("rate_limit_error", None, "ThrottlingException", "throttlingException"),
        ("overloaded_error", None, "ServiceUnavailableException", "serviceUnavailableException"),
        ("internal_error", "internal_error", "InternalServerException", "internalServerException"),
        ("upstream_error", None, "ModelErrorException", "modelStreamErrorException"),
    ],
)
def test_our_errors_have_bedrocks_names(kind: str, code: str | None, name: str, in_stream: str) -> None:
    assert error_type(kind, code) == name
    assert stream_exception(kind, code) == in_stream
