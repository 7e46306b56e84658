from typing import Any

import pytest
from msgspec.structs import replace

from polyroute.errors import InvalidRequest
from polyroute.prompts.variables import Brought, problem_of, take_variables, texts_of
from polyroute.types.prompts import Variable
from polyroute.types.request import Wire, ask


def _brought(**variables: object) -> Brought:
    return Brought(request=ask("m", "hi"), at="polyroute.variables", variables=variables)


@pytest.mark.parametrize(
    ("variable", "value", "text"),
    [
        (Variable(), "plain", "plain"),
        (Variable(type="integer"), 3, "3"),
        (Variable(type="number"), 2.5, "2.5"),
        (Variable(type="boolean"), True, "true"),
        (Variable(type="json"), {"a": [1, None]}, '{"a":[1,null]}'),
        (Variable(choices=("a", "b")), "b", "b"),
        (Variable(default="x"), None, "x"),
        (Variable(type="integer", default=0), None, "0"),
        (Variable(required=False), None, ""),
    ],
)
def test_a_value_as_text(variable: Variable, value: object, text: str) -> None:
    assert texts_of({"v": variable}, _brought(v=value)) == {"v": text}


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        (Variable(), 3),
        (Variable(), None),
        (Variable(type="integer"), "3"),
        (Variable(type="integer"), True),
        (Variable(type="integer"), 2.5),
        (Variable(type="number"), "2.5"),
        (Variable(type="boolean"), 1),
        (Variable(choices=("a", "b")), "c"),
        (Variable(type="integer", choices=(1,)), 2),
        (Variable(max_chars=3), "four"),
    ],
)
def test_a_wrong_value_is_named(variable: Variable, value: object) -> None:
    with pytest.raises(InvalidRequest) as caught:
        texts_of({"v": variable}, _brought(v=value))
    assert caught.value.field == "polyroute.variables.v"


def test_true_is_not_the_number_one() -> None:
    assert problem_of(Variable(type="json", choices=(1,)), True) is not None


def test_what_is_said_to_the_gateway_stays_here() -> None:
    body: dict[str, Any] = {"polyroute": {"variables": {"a": 1}}, "metadata": {"job": "1"}, "x": 2}
    request = replace(
        ask("m", "hi"), extensions={"polyroute": body["polyroute"], "x": 2}, wire=Wire(dialect="d", body=body)
    )
    brought = take_variables(request, has_prompt=True)
    assert brought.variables == {"a": 1}
    assert brought.request.extensions == {"x": 2}
    assert brought.request.wire is not None
    assert brought.request.wire.body == {"metadata": {"job": "1"}, "x": 2}
    assert "polyroute" in body


def test_without_a_prompt_the_callers_own_metadata_stays() -> None:
    request = replace(ask("m", "hi"), metadata={"variables": {"a": 1}})
    assert take_variables(request, has_prompt=False).request is request


def test_twice_is_once_too_often() -> None:
    said = {"variables": {"a": 1}}
    request = replace(ask("m", "hi"), extensions={"polyroute": said}, metadata=said)
    with pytest.raises(InvalidRequest, match="twice"):
        take_variables(request, has_prompt=True)
