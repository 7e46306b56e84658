"""How JSON is asked for in words."""

import pytest

from polyroute.dialects.json_words import JSON_OBJECT, json_in_words


@pytest.mark.parametrize(
    ("schema", "description", "holds"),
    [
        (None, None, JSON_OBJECT),
        ({"type": "object"}, "A place", "It is: A place\nIt must fit"),
        ({"type": "array"}, None, "one JSON value and nothing else"),
        ({"anyOf": []}, None, '{"anyOf":[]}'),
    ],
)
def test_the_words_say_all_that_was_asked(schema: object, description: object, holds: str) -> None:
    assert holds in json_in_words(schema, description)
