from typing import Any

import pytest

from polyroute.dialects.anthropic_messages.preface import lay_preface
from polyroute.ports import Preface
from polyroute.types.request import OutputFormat, Wire

ASKED = [{"role": "user", "content": "q"}]
BLOCK = {"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"messages": ASKED}, {"messages": [{"role": "user", "content": "U\n\nq"}], "system": "S"}),
        (
            {"messages": ASKED, "system": "s", "thinking": {"type": "disabled"}},
            {"messages": [{"role": "user", "content": "U\n\nq"}], "system": "S\n\ns", "thinking": {"type": "disabled"}},
        ),
        (
            {"messages": ASKED, "system": [BLOCK]},
            {"messages": [{"role": "user", "content": "U\n\nq"}], "system": [{"type": "text", "text": "S"}, BLOCK]},
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "q"}]}]},
            {
                "messages": [
                    {"role": "user", "content": [{"type": "text", "text": "U"}, {"type": "text", "text": "q"}]}
                ],
                "system": "S",
            },
        ),
        (
            {"messages": [{"role": "assistant", "content": "a"}]},
            {"messages": [{"role": "user", "content": "U"}, {"role": "assistant", "content": "a"}], "system": "S"},
        ),
    ],
)
def test_where_the_words_stand(before: dict[str, Any], after: dict[str, Any]) -> None:
    wire = Wire(dialect="anthropic_messages", body=before)
    assert lay_preface(wire, Preface(system="S", user="U")).body == after
    assert wire.body is before


def test_the_output_takes_the_place_of_the_callers_own() -> None:
    body: dict[str, Any] = {"messages": ASKED, "output_config": {"effort": "low", "format": {"type": "json_schema"}}}
    wire = Wire(dialect="anthropic_messages", body=body)
    schema: dict[str, object] = {"type": "object", "properties": {}, "additionalProperties": False}
    asked = lay_preface(wire, Preface(sets_output=True, output=OutputFormat(schema=schema)))
    assert asked.body["output_config"] == {"effort": "low", "format": {"type": "json_schema", "schema": schema}}
    assert lay_preface(wire, Preface(sets_output=True)).body["output_config"] == {"effort": "low"}
    assert lay_preface(wire, Preface()).body == body
