from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyroute.dialects.openai_chat import OpenAIChat
from polyroute.dialects.openai_chat.errors import error_in
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

DIALECT = OpenAIChat()
RETRY, SWITCH, STOP = Remedy.RETRY, Remedy.SWITCH, Remedy.STOP


def error(message: str, **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, **more}}


@pytest.mark.parametrize(
    ("status", "body", "kind", "remedy"),
    [
        (400, error("bad", type="invalid_request_error", param="temperature"), Rejected, STOP),
        (400, error("This model's maximum context length is 8192 tokens."), ContextTooLong, SWITCH),
        (400, error("too long", code="context_length_exceeded"), ContextTooLong, SWITCH),
        (413, error("the prompt is too long: 200001 tokens"), ContextTooLong, SWITCH),
        (500, error("input length exceeds the context length"), ContextTooLong, SWITCH),
        (413, error("body too large"), Rejected, STOP),
        (
            400,
            error("x", code="content_filter", innererror={"code": "ResponsibleAIPolicyViolation"}),
            ContentRefused,
            SWITCH,
        ),
        (400, error("Your request was rejected by our safety system."), ContentRefused, SWITCH),
        (403, error("Input was flagged for violence", metadata={"reasons": ["violence"]}), ContentRefused, SWITCH),
        (401, error("Incorrect API key", code="invalid_api_key"), AuthRejected, SWITCH),
        (403, error("Country not supported"), AuthRejected, SWITCH),
        (402, error("Insufficient Balance"), AuthRejected, SWITCH),
        (429, error("You exceeded your current quota", code="insufficient_quota"), AuthRejected, SWITCH),
        (429, error("Rate limit reached", code="rate_limit_exceeded"), Overloaded, RETRY),
        (429, error("Request too large for gpt-4o on tokens per min"), Overloaded, SWITCH),
        (413, error("Request too large for model", code="rate_limit_exceeded"), Overloaded, SWITCH),
        (404, error("The model `x` does not exist", code="model_not_found"), Rejected, SWITCH),
        (404, error("no deployment", code="DeploymentNotFound"), Rejected, SWITCH),
        (404, "404 page not found", Rejected, SWITCH),
        (400, error("The requested model 'x' does not exist.", code="model_not_found"), Rejected, SWITCH),
        (408, {}, Overloaded, RETRY),
        (409, {}, Overloaded, RETRY),
        (425, {}, Overloaded, RETRY),
        (500, {}, Overloaded, RETRY),
        (503, {"error": "Model too busy", "error_type": "overloaded"}, Overloaded, RETRY),
        (529, {}, Overloaded, RETRY),
        (422, {"detail": [{"loc": ["body", "n"], "msg": "Extra inputs are not permitted"}]}, Rejected, STOP),
        (302, {}, MalformedReply, SWITCH),
    ],
)
def test_a_failure_is_answered_by_what_may_help(
    status: int, body: object, kind: type[ProviderError], remedy: Remedy
) -> None:
    found = DIALECT.classify_error(status, orjson.dumps(body), None)
    assert type(found) is kind
    assert found.remedy is remedy
    assert found.http_status == status


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"error":{"message":"It failed."}}', "It failed."),
        (b'{"error":"It failed."}', "It failed."),
        (b'{"object":"error","message":"It failed.","code":40001}', "It failed."),
        (b'{"statusCode":429,"message":"It failed."}', "It failed."),
        (b'[{"error":{"code":400,"message":"It failed."}}]', "It failed."),
        (b'{"detail":"It failed."}', "It failed."),
        (b'{"object":"error","message":{"detail":[{"loc":["body","n"],"msg":"no"}]}}', "body.n: no"),
        (
            b'{"error":{"message":"Provider returned error","code":429,"metadata":{"raw":"busy, retry shortly"}}}',
            "Provider returned error: busy, retry shortly",
        ),
        (b"It failed.", "It failed."),
        (b"<html><body>502 Bad Gateway</body></html>", "the provider answered status 500 without a readable message"),
        (b"", "the provider answered status 500 without a readable message"),
        (b"null", "the provider answered status 500 without a readable message"),
        (b'{"error":{"message":"key sk-abc123def456 of http://10.0.0.1:8000/v1"}}', "key [key] of [address]"),
    ],
)
def test_the_message_is_found_wherever_it_is(body: bytes, message: str) -> None:
    assert DIALECT.classify_error(500, body, None).message == message


def test_code_field_and_pause_are_kept() -> None:
    body = orjson.dumps(error("bad", type="invalid_request_error", param="messages[0].role", code="unsupported_value"))
    found = DIALECT.classify_error(400, body, 2.5)
    assert (found.code, found.field, found.retry_after_s) == ("unsupported_value", "messages[0].role", 2.5)


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (error("busy", code=429), Overloaded, 429),
        (error("busy", code="429"), Overloaded, 429),
        (error("busy", type="rate_limit_error"), Overloaded, 429),
        (error("who?", code="invalid_api_key"), AuthRejected, 401),
        (error("bad", type="invalid_request_error"), Rejected, 400),
        (error("bad", code=400), Rejected, 400),
        (error("oops"), Overloaded, 502),
        (error("oops", code=1), Overloaded, 502),
        ({"error": "oops"}, Overloaded, 502),
        ({"object": "error", "message": "too long: maximum context length", "code": 400}, ContextTooLong, 400),
    ],
)
def test_an_error_inside_a_200_is_one(body: object, kind: type[ProviderError], status: int) -> None:
    found = error_in(body)
    assert type(found) is kind
    assert found.http_status == status


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["error", "message", "code", "type", "detail", "msg", "loc", "x"]), inner)
    ),
)


@given(st.integers(300, 599), json_values.map(orjson.dumps) | st.binary(max_size=50))
def test_any_body_is_classified(status: int, body: bytes) -> None:
    found = DIALECT.classify_error(status, body, None)
    assert 0 < len(found.message) <= 500


def test_our_own_errors_have_openais_form() -> None:
    body = orjson.loads(DIALECT.render_error("invalid_request_error", "No.", field="model", code="missing_field"))
    assert body == {
        "error": {"message": "No.", "type": "invalid_request_error", "param": "model", "code": "missing_field"}
    }
