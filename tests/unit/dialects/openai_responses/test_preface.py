from typing import Any

import pytest

from polyroute.dialects.openai_responses import OpenAIResponses
from polyroute.dialects.openai_responses.names import NAME
from polyroute.ports import Preface
from polyroute.types.request import OutputFormat, Wire

DIALECT = OpenAIResponses()
SYSTEM = {"role": "system", "content": "s"}


def laid(preface: Preface, **body: Any) -> dict[str, object]:
    given = {"model": "m", "input": "x", **body}
    before = dict(given)
    wire = DIALECT.with_preface(Wire(dialect=NAME, body=given), preface)
    assert given == before
    DIALECT.parse_request(wire.body, {})
    return wire.body


def test_words_of_the_system_stand_before_the_caller_s_instructions() -> None:
    assert laid(Preface(system="P"))["instructions"] == "P"
    assert laid(Preface(system="P"), instructions="Q")["instructions"] == "P\n\nQ"


@pytest.mark.parametrize(
    ("said", "becomes"),
    [
        ("x", "P\n\nx"),
        ([{"role": "user", "content": "x"}], [{"role": "user", "content": "P\n\nx"}]),
        (
            [SYSTEM, {"role": "user", "content": [{"type": "input_text", "text": "x"}]}],
            [SYSTEM, {"role": "user", "content": [{"type": "input_text", "text": t} for t in ("P", "x")]}],
        ),
        (
            [{"role": "assistant", "content": "x"}],
            [{"role": "user", "content": "P"}, {"role": "assistant", "content": "x"}],
        ),
    ],
)
def test_words_of_the_user_stand_before_the_first_message(said: object, becomes: object) -> None:
    assert laid(Preface(user="P"), input=said)["input"] == becomes


def test_the_form_of_answers_takes_the_place_of_the_caller_s() -> None:
    asked = {"format": {"type": "json_object"}, "verbosity": "low"}
    assert laid(Preface(sets_output=True), text=asked)["text"] == {"verbosity": "low"}
    schema = OutputFormat(schema={"type": "object"}, name="n")
    assert laid(Preface(sets_output=True, output=schema), text=asked)["text"] == {
        "format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}},
        "verbosity": "low",
    }
    assert laid(Preface(), text=asked)["text"] == asked
