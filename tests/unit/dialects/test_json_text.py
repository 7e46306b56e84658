import pytest

from polyroute.dialects.json_text import json_text
from polyroute.errors import MalformedReply

DEEP: object = None
for _ in range(300):
    DEEP = [DEEP]


def test_a_value_becomes_its_shortest_text() -> None:
    assert json_text({"a": [1, "é"]}) == '{"a":[1,"é"]}'


@pytest.mark.parametrize("value", [DEEP, 2**70, {"a": "\ud800"}], ids=["deep", "long", "half a pair"])
def test_what_json_cannot_carry_is_a_malformed_answer(value: object) -> None:
    with pytest.raises(MalformedReply, match="no JSON can carry"):
        json_text(value)
