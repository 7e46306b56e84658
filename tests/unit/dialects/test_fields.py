from collections.abc import Callable

import pytest

from polyroute.dialects import fields
from polyroute.errors import InvalidRequest


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (fields.text, "a"),
        (fields.boolean, False),
        (fields.integer, 3),
        (fields.number, 0.5),
        (fields.mapping, {"a": 1}),
        (fields.array, [1]),
    ],
)
def test_a_value_of_the_right_type_is_itself(read: Callable[[object, str], object], value: object) -> None:
    assert read(value, "f") == value


def test_an_integer_is_a_number() -> None:
    assert fields.number(1, "f") == 1.0
    assert type(fields.number(1, "f")) is float


@pytest.mark.parametrize(
    ("read", "value", "wanted"),
    [
        (fields.text, 1, "a string"),
        (fields.boolean, 1, "true or false"),
        (fields.integer, True, "an integer"),
        (fields.integer, 1.0, "an integer"),
        (fields.number, True, "a number"),
        (fields.number, "1", "a number"),
        (fields.mapping, [], "an object"),
        (fields.array, {}, "an array"),
    ],
)
def test_another_type_is_refused_with_its_place(
    read: Callable[[object, str], object], value: object, wanted: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read(value, "a[0].b")
    assert caught.value.message == f"`a[0].b` must be {wanted}, got {value!r}"
    assert (caught.value.field, caught.value.code) == ("a[0].b", "invalid_type")


def test_bounds_are_inclusive() -> None:
    assert fields.integer(1, "n", 1, 3) == 1
    assert fields.integer(3, "n", 1, 3) == 3
    for value in (0, 4):
        with pytest.raises(InvalidRequest) as caught:
            fields.integer(value, "n", 1, 3)
        assert caught.value.code == "out_of_range"


def test_a_word_outside_the_list_is_answered_with_the_list() -> None:
    assert fields.one_of("a", "w", ("a", "b")) == "a"
    with pytest.raises(InvalidRequest, match="one of `a`, `b`, got 'c'"):
        fields.one_of("c", "w", ("a", "b"))


def test_a_long_value_is_repeated_in_part_only() -> None:
    with pytest.raises(InvalidRequest) as caught:
        fields.integer("x" * 10_000, "n")
    assert len(caught.value.message) < 120


def test_what_is_missing_is_named() -> None:
    with pytest.raises(InvalidRequest) as caught:
        fields.missing("model", "a name")
    assert (caught.value.field, caught.value.code) == ("model", "missing_field")
