from typing import Any

import pytest

from polyroute.dialects.openai_chat.preface import lay_preface
from polyroute.ports import Preface
from polyroute.types.request import OutputFormat, Wire

BOTH = Preface(system="S", user="U")


def said(role: str, content: object) -> dict[str, Any]:
    return {"role": role, "content": content}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([said("user", "q")], [said("system", "S"), said("user", "U\n\nq")]),
        ([said("system", "s"), said("user", "q")], [said("system", "S\n\ns"), said("user", "U\n\nq")]),
        ([said("developer", "s"), said("user", "q")], [said("developer", "S\n\ns"), said("user", "U\n\nq")]),
        (
            [said("user", [{"type": "image_url", "image_url": {"url": "u"}}])],
            [
                said("system", "S"),
                said("user", [{"type": "text", "text": "U"}, {"type": "image_url", "image_url": {"url": "u"}}]),
            ],
        ),
        ([said("assistant", "a")], [said("system", "S"), said("user", "U"), said("assistant", "a")]),
        (
            [{"role": "user", "content": "q", "name": "ann", "x": 1}],
            [said("system", "S"), {"role": "user", "content": "U\n\nq", "name": "ann", "x": 1}],
        ),
    ],
)
def test_where_the_words_stand(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> None:
    wire = Wire(dialect="openai_chat", body={"messages": before, "top_k": 3})
    assert lay_preface(wire, BOTH).body == {"messages": after, "top_k": 3}
    assert wire.body["messages"] is before


def test_the_output_takes_the_place_of_the_callers_own() -> None:
    body: dict[str, object] = {"messages": [said("user", "q")], "response_format": {"type": "json_object"}}
    wire = Wire(dialect="openai_chat", body=body)
    asked = lay_preface(wire, Preface(sets_output=True, output=OutputFormat(schema={"type": "object"}, name="n")))
    assert asked.body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "n", "schema": {"type": "object"}},
    }
    assert "response_format" not in lay_preface(wire, Preface(sets_output=True)).body
    assert lay_preface(wire, Preface()).body == body
