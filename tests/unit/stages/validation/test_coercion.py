from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyroute.stages.validation.coercion import Wrong, coerced, is_of, read_json, same_choice


@pytest.mark.parametrize(
    ("value", "types", "expected"),
    [
        ("3", ("integer",), 3),
        (" -4 ", ("integer",), -4),
        ("3.0", ("integer",), 3),
        ("3.5", ("number",), 3.5),
        ("1e3", ("number",), 1000),
        ("true", ("boolean",), True),
        ("FALSE", ("boolean",), False),
        (3, ("string",), "3"),
        (True, ("string",), "true"),
        ("null", ("null", "integer"), None),
        ("", ("null", "integer"), None),
        ("7", ("integer", "null"), 7),
        ("7", ("integer", "number"), 7),
        ('{"a": 1}', ("object",), {"a": 1}),
        ("[1]", ("array",), [1]),
    ],
)
def test_what_is_meant_plainly_is_read_so(value: object, types: tuple[str, ...], expected: object) -> None:
    made = coerced(value, types)
    assert (made, type(made)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("value", "types"),
    [
        ("yes", ("boolean",)),
        ("1", ("boolean",)),
        (1, ("boolean",)),
        ("1,000", ("integer",)),
        ("about 3", ("integer",)),
        ("3.5", ("integer",)),
        (3.5, ("integer",)),
        (2.5, ("string",)),
        ("NaN", ("number",)),
        ("0x10", ("integer",)),
        ("007", ("integer",)),
        ("1_000", ("integer",)),
        ("9" * 400, ("integer",)),
        ("null", ("string", "null")),
        ("3", ("string", "integer")),
        ("not json", ("object",)),
        ("a", ("array",)),
        (None, ("string",)),
    ],
)
def test_what_is_unclear_stays(value: object, types: tuple[str, ...]) -> None:
    assert coerced(value, types) is value


@given(st.integers() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text() | st.none())
def test_a_value_of_the_right_type_is_left_alone(value: Any) -> None:
    for types in (("integer",), ("number",), ("string",), ("boolean",), ("null",)):
        if is_of(value, types):
            assert coerced(value, types) is value


@given(st.integers(-(10**30), 10**30))
def test_an_integer_is_the_same_as_text_and_back(number: int) -> None:
    text = coerced(number, ("string",))
    assert text == str(number)
    assert coerced(text, ("integer",)) == number


@pytest.mark.parametrize(
    ("value", "expected"), [("Positive", "positive"), (" negative ", "negative"), ("other", "other"), ("NO", "NO")]
)
def test_a_choice_in_another_spelling(value: str, expected: str) -> None:
    assert same_choice(value, ["positive", "negative", "no", "No"]) == expected


@pytest.mark.parametrize(
    "text", ["", "{", '{"a": 1, "a": 2}', "NaN", "Infinity", "1e400", "[" * 100_000, "9" * 10_000, "{'a': 1}", '"\x00"']
)
def test_what_is_no_plain_json_is_refused(text: str) -> None:
    with pytest.raises(Wrong):
        read_json(text)


def test_whole_numbers_are_whole_however_they_are_written() -> None:
    assert repr(read_json("[3, 3.0, 3e0, -0.0, 1.10]")) == "[3, 3, 3, 0, 1.1]"
