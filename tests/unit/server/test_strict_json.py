import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyroute.errors import InvalidRequest
from polyroute.server.strict_json import MAX_DEPTH, loads

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), JSON, max_size=5), st.sampled_from([None, (",", ":"), (" ,", " : ")]))
def test_whatever_a_strict_writer_writes_is_read(value: dict[str, object], separators: tuple[str, str] | None) -> None:
    assert loads(json.dumps(value, separators=separators).encode()) == value


@given(st.text(), st.sampled_from(['"{k}":1,"{k}":2', '"{k}" :1,"{k}"\n: 2', '"a":{{"{k}":[],"{k}":":"}}']))
def test_equal_keys_are_refused_wherever_they_stand(key: str, form: str) -> None:
    body = "{" + form.format(k=json.dumps(key)[1:-1]) + "}"
    with pytest.raises(InvalidRequest, match="appears twice"):
        loads(body.encode())


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b'{"a":"\\":","b":":x"}', id="colons and quotes inside strings"),
        pytest.param(b'{"a\\\\":1,"b":2}', id="a key that ends in a backslash"),
        pytest.param(b'{"arguments":"{\\"a\\":1,\\"a\\":2}"}', id="JSON in a string may repeat itself"),
        pytest.param(b'{"a":{"x":1},"b":{"x":1}}', id="the same key in two objects"),
    ],
)
def test_what_only_looks_like_a_repetition_is_read(body: bytes) -> None:
    assert loads(body) == json.loads(body)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "empty"),
        (b"  \n", "empty"),
        (b"[1]", "object"),
        (b'"x"', "object"),
        (b"{", "not valid JSON"),
        (b'{"a":NaN}', "not valid JSON"),
        (b'{"a":1e999}', "not valid JSON"),
        (b'{"a":Infinity}', "not valid JSON"),
        (b'{"a":"\xff"}', "not valid JSON"),
        (b'{"a":"\\ud800"}', "not valid JSON"),
        (b'\xef\xbb\xbf{"a":1}', "not valid JSON"),
        (b'{"a":1}{"b":2}', "not valid JSON"),
        (b'{"a":1,}', "not valid JSON"),
        (b"{'a':1}", "not valid JSON"),
        (b'{"a":\x00}', "not valid JSON"),
        (b'{"a":' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"}", "deeper"),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "not valid JSON|deeper"),
    ],
)
def test_what_is_not_one_clear_object_is_refused(body: bytes, told: str) -> None:
    with pytest.raises(InvalidRequest, match=told):
        loads(body)


def test_the_deepest_that_is_allowed_is_read() -> None:
    assert loads(b'{"a":' + b"[" * (MAX_DEPTH - 1) + b"]" * (MAX_DEPTH - 1) + b"}")
