"""A call's arguments as an object, whatever the model wrote."""

import orjson
import pytest

from polyroute.dialects.arguments import write_arguments


@pytest.mark.parametrize(
    ("arguments", "written"),
    [
        ("", b"{}"),
        (" ", b"{}"),
        ('{"a": 12345678901234567890123}', b'{"a": 12345678901234567890123}'),
        ("[1]", b'{"INVALID_JSON":"[1]"}'),
        ('{"a": ', b'{"INVALID_JSON":"{\\"a\\": "}'),
    ],
)
def test_arguments_are_always_an_object(arguments: str, written: bytes) -> None:
    assert orjson.dumps(write_arguments(arguments)) == written
