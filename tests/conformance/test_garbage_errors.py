"""What an error status means does not depend on the shape of its body, in any dialect."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyroute.dialects.json_text import json_text
from polyroute.errors import AuthRejected, ContextTooLong, MalformedReply, Overloaded, ProviderError, Rejected, Remedy
from polyroute.ports import Dialect
from polyroute.wiring.dialects import DIALECTS

EVERY = [one for name, one in DIALECTS.items() if one.name == name]
each = pytest.mark.parametrize("dialect", EVERY, ids=lambda dialect: dialect.name)
BODIES = {
    "nothing": b"",
    "null": b"null",
    "a text": b'"no"',
    "words": b"upstream connect error",
    "a page": b"<html><body><h1>Oops</h1></body></html>",
    "a list": b"[]",
    "a list of lists": b"[[]]",
    "an object": b"{}",
    "an error that is a text": b'{"error": "no"}',
    "an error that is null": b'{"error": null}',
    "an error that is a list": b'{"error": [{"message": "no"}]}',
    "an error of odd types": b'{"error": {"message": 5, "type": ["a"], "code": {"b": 1}, "status": 7, "details": "x"}}',
    "a message that is an object": b'{"message": {"a": 1}, "__type": 7, "type": [], "detail": 9}',
    "a validation error": b'{"detail": [{"loc": ["body", "x"], "msg": "field required"}]}',
    "no UTF-8": b'{"error": {"message": "\xff\xfe"}}',
    "half a pair": b'{"error": {"message": "\\ud800"}}',
    "zero bytes": b'{"error": {"message": "a\\u0000b"}}',
    "nested without end": b'{"error":' * 5000,
    "very long": b'{"error": {"message": "' + b"x" * 200_000 + b'"}}',
}
KEPT = (400, 422)
AGAIN = (408, 409, 425, 429, 500, 502, 503, 504, 529)
OURS = (401, 403)


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
@each
def test_a_status_means_the_same_whatever_the_body(dialect: Dialect, body: bytes) -> None:
    for status in KEPT:
        error = dialect.classify_error(status, body, None)
        assert type(error) is Rejected, (status, error)
        assert (error.remedy, error.http_status) == (Remedy.STOP, status)
    for status in AGAIN:
        error = dialect.classify_error(status, body, 7.0)
        assert type(error) is Overloaded, (status, error)
        assert (error.remedy, error.retry_after_s, error.http_status) == (Remedy.RETRY, 7.0, status)
    for status in OURS:
        error = dialect.classify_error(status, body, None)
        assert (type(error), error.remedy) == (AuthRejected, Remedy.SWITCH)
    for status in (404, 405, 410, 413, 415, 418, 451, 599):
        error = dialect.classify_error(status, body, None)
        assert type(error) in (Rejected, ContextTooLong, Overloaded, MalformedReply, ProviderError), (status, error)
        assert error.http_status == status


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
@each
def test_its_message_can_be_shown_to_a_stranger(dialect: Dialect, body: bytes) -> None:
    for status in (400, 401, 429, 500):
        message = dialect.classify_error(status, body, None).message
        assert 0 < len(message) <= 600
        assert "<" not in message
        message.encode()
        assert "\0" not in message


json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "message", "type", "code", "status", "details", "detail", "param"]), inner
        )
    ),
    max_leaves=12,
)


@each
@given(body=json, status=st.sampled_from([*KEPT, *AGAIN, *OURS, 404, 413]))
def test_any_json_is_some_error(dialect: Dialect, body: object, status: int) -> None:
    error = dialect.classify_error(status, json_text(body).encode(), 1.0)
    assert isinstance(error, ProviderError)
    assert error.http_status == status
    assert error.message
