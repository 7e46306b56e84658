import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from polyroute.stages.validation.contract import Contract, Shaped
from polyroute.types.content import Refusal, Text, Thinking, ToolCall
from polyroute.types.response import Choice, Response, StopReason

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "analysis": {"type": "string"},
        "score": {"type": "integer"},
        "mood": {"enum": ["good", "bad"]},
        "tags": {"type": "array", "items": {"type": "string"}},
        "note": {"type": "string"},
        "who": {"$ref": "#/$defs/person"},
    },
    "required": ["analysis"],
    "$defs": {"person": {"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer"}}}},
}
CONTRACT = Contract(schema=SCHEMA, aliases={"result": "analysis", "rating": "score"})


def answer(*texts: str, stop: StopReason = StopReason.END) -> Response:
    choices = tuple(Choice(index=at, parts=(Text(text=text),), stop=stop) for at, text in enumerate(texts))
    return Response(id="r", model="m", choices=choices, usage=None)


def text_of(shaped: Shaped, before: str) -> str:
    assert shaped.verdict.accepted, shaped.verdict.reasons
    return before if shaped.response is None else shaped.response.text


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ('{"analysis":"a"}', '{"analysis":"a"}'),
        ('{ "analysis": "a" }', '{"analysis":"a"}'),
        ('{"score": 3, "analysis": "ä"}', '{"analysis":"ä","score":3}'),
        ('{"rating": "3", "result": "a"}', '{"analysis":"a","score":3}'),
        ('{"analysis": "a", "mood": "Good"}', '{"analysis":"a","mood":"good"}'),
        ('{"analysis": 5}', '{"analysis":"5"}'),
        ('{"analysis": "a", "note": null}', '{"analysis":"a"}'),
        ('{"analysis": "a", "tags": [1, true]}', '{"analysis":"a","tags":["1","true"]}'),
        ('{"analysis": "a", "who": {"age": "7", "name": "n"}}', '{"analysis":"a","who":{"name":"n","age":7}}'),
        ('{"analysis": "a", "who": "{\\"age\\": 7}"}', '{"analysis":"a","who":{"age":7}}'),
        ('```json\n{"analysis": "a"}\n```', '{"analysis":"a"}'),
        ('```\n{"analysis": "a"}\n```\n', '{"analysis":"a"}'),
        ('Sure:\n```json\n{"analysis": "a"}\n```\nBye', '{"analysis":"a"}'),
        ('{"analysis": "a", "result": "a"}', '{"analysis":"a"}'),
    ],
)
def test_the_form_of_an_answer(written: str, expected: str) -> None:
    assert text_of(CONTRACT.shape(answer(written)), written) == expected


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ('{"analysis": "a", "more": 1}', "unknown `more`"),
        ('{"analysis": "a", "who": {"mood": 1}}', "who: unknown `mood`"),
        ('{"score": 1}', "analysis"),
        ('{"analysis": "a", "score": "three"}', "score"),
        ('{"analysis": "a", "result": "b"}', "say two things"),
        ('{"analysis": "a", "analysis": "b"}', "twice"),
        ("plain words", "not JSON"),
        ("", "empty"),
        ("```json\n{}\n```\n```json\n{}\n```", "not JSON"),
        ('{"analysis": "a"', "not JSON"),
        ('["a"]', "object"),
        ("null", "object"),
    ],
)
def test_what_cannot_take_the_form_is_rejected_with_its_reason(written: str, reason: str) -> None:
    shaped = CONTRACT.shape(answer(written))
    assert not shaped.verdict.accepted
    assert any(reason in told for told in shaped.verdict.reasons), shaped.verdict.reasons


@pytest.mark.parametrize("stop", [StopReason.MAX_TOKENS, StopReason.REFUSAL, StopReason.CONTENT_FILTER])
def test_an_answer_that_is_none_is_rejected(stop: StopReason) -> None:
    assert not CONTRACT.shape(answer('{"analysis":"a"}', stop=stop)).verdict.accepted


def test_a_refusal_is_rejected_and_a_call_of_tools_passes() -> None:
    refusing = replace(answer("").choices[0], parts=(Refusal(text="no"),))
    calling = replace(answer("").choices[0], parts=(ToolCall(id="c", name="f", arguments="{}"),))
    assert not CONTRACT.shape(replace(answer(), choices=(refusing,))).verdict.accepted
    shaped = CONTRACT.shape(replace(answer(), choices=(calling,)))
    assert (shaped.verdict.accepted, shaped.response) == (True, None)


def test_thinking_stays_where_it_was() -> None:
    choice = replace(answer("").choices[0], parts=(Thinking(text="hm"), Text(text='{"result":'), Text(text='"a"}')))
    shaped = CONTRACT.shape(replace(answer(), choices=(choice,)))
    assert shaped.response is not None
    assert shaped.response.choices[0].parts == (Thinking(text="hm"), Text(text='{"analysis":"a"}'))
    assert shaped.verdict.changes == ("result: read as `analysis`",)


def test_every_choice_takes_the_form() -> None:
    shaped = CONTRACT.shape(answer('{"result": "a"}', '{"result": "b"}'))
    assert shaped.response is not None
    assert [choice.text for choice in shaped.response.choices] == ['{"analysis":"a"}', '{"analysis":"b"}']


@pytest.mark.parametrize(
    ("schema", "written", "expected"),
    [
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, '"3"', "3"),
        ({"type": ["integer", "null"]}, "null", "null"),
        ({"oneOf": [{"type": "string"}, {"type": "integer"}]}, "3", "3"),
        (
            {"anyOf": [{"properties": {"a": {"type": "integer"}}, "required": ["a"]}, {"type": "string"}]},
            '{"a": "1"}',
            '{"a":1}',
        ),
        (
            {"allOf": [{"properties": {"b": {"type": "integer"}}}, {"properties": {"a": {"type": "string"}}}]},
            '{"a": 1, "b": "2"}',
            '{"b":2,"a":"1"}',
        ),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, '{"z": "1", "a": 2}', '{"a":2,"z":1}'),
        ({"type": "object", "patternProperties": {"^x": {}}}, '{"xz": 1}', '{"xz":1}'),
        ({"properties": {"a": {}}, "additionalProperties": True}, '{"z": 1, "a": 2}', '{"a":2,"z":1}'),
        ({"prefixItems": [{"type": "integer"}], "items": {"type": "string"}}, '["1", 2]', '[1,"2"]'),
        ({"type": "number"}, "3.0", "3"),
        ({"const": "yes"}, '"YES"', '"yes"'),
        ({}, '{"b": 1, "a": 2}', '{"a":2,"b":1}'),
    ],
)
def test_schemas_of_every_kind(schema: dict[str, Any], written: str, expected: str) -> None:
    assert text_of(Contract(schema=schema).shape(answer(written)), written) == expected


def test_a_schema_that_refers_to_itself_ends() -> None:
    tree: dict[str, Any] = {"type": "object", "properties": {"next": {"$ref": "#"}, "n": {"type": "integer"}}}
    shaped = Contract(schema=tree).shape(answer('{"n": "1", "next": {"next": {"n": "3"}}}'))
    assert text_of(shaped, "") == '{"next":{"next":{"n":3}},"n":1}'
    loop: dict[str, Any] = {"$ref": "#"}
    assert Contract(schema=loop).shape(answer("1")) is not None


def test_aliases_alone_rename_and_sort() -> None:
    contract = Contract(aliases={"result": "analysis"})
    assert text_of(contract.shape(answer('{"z": 1, "result": 2}')), "") == '{"analysis":2,"z":1}'


def test_the_problem_of_a_schema_is_told() -> None:
    assert Contract(schema={"type": 7}).problem() is not None
    assert CONTRACT.problem() is None


VALUES = st.fixed_dictionaries(
    {"analysis": st.text()},
    optional={
        "score": st.integers(),
        "mood": st.sampled_from(["good", "bad"]),
        "tags": st.lists(st.text()),
        "who": st.fixed_dictionaries({"name": st.text()}, optional={"age": st.integers()}),
    },
)


@given(VALUES, st.permutations(list(SCHEMA["properties"])), st.booleans())
def test_what_fits_comes_out_the_same_however_it_was_written(value: Any, order: list[str], is_fenced: bool) -> None:
    other = {name: value[name] for name in order if name in value}
    if "score" in other:
        other["rating"] = str(other.pop("score"))
    text = json.dumps(other, indent=2)
    one = json.dumps(value)
    fenced = f"```json\n{text}\n```" if is_fenced and "```" not in text else text
    told = text_of(CONTRACT.shape(answer(one)), one)
    assert text_of(CONTRACT.shape(answer(fenced)), fenced) == told
    assert json.loads(told) == value
    assert CONTRACT.shape(answer(told)).response is None  # a second time, nothing changes


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda v: st.lists(v) | st.dictionaries(st.text(), v)
    )
)
def test_any_json_at_all_gets_a_verdict(value: Any) -> None:
    assert CONTRACT.shape(answer(json.dumps(value))).verdict.gate == "output"


@given(st.text())
def test_any_text_at_all_gets_a_verdict(text: str) -> None:
    assert CONTRACT.shape(answer(text)).verdict.gate == "output"


def test_branches_within_branches_end_soon() -> None:
    node: dict[str, Any] = {
        "anyOf": [{"type": "object", "properties": {"next": {"$ref": "#"}, "n": {"type": "integer"}}}, {"type": "null"}]
    }
    value: Any = {"n": "no number"}
    for _ in range(40):
        value = {"next": value, "n": "1"}
    assert not Contract(schema=node).shape(answer(json.dumps(value))).verdict.accepted
