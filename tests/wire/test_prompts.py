"""One prompt and its tools as every family reads them: golden bodies, read against each provider's reference.

OpenAI "Create chat completion", Anthropic "Create a Message", Google "models.generateContent", AWS "Converse".
"""

from pathlib import Path

import orjson
import pytest
from msgspec.structs import replace

from polyroute.prompts.compiled import compile_version
from polyroute.prompts.variables import take_variables
from polyroute.stages.execution.wording import Form, Wording
from polyroute.testing.providers import a_deployment
from polyroute.types.cards import Deployment, ModelCard
from polyroute.types.content import Message, Text, ToolCall, ToolResult
from polyroute.types.prompts import Variable, Variant, Wordings
from polyroute.types.request import Request, Tool
from polyroute.wiring.dialects import DIALECTS

GOLDEN = Path(__file__).with_name("prompts")
SUPPORT = Wordings(
    variables={"customer": Variable()},
    variants={
        "default": Variant(system="You help {{customer}}."),
        "openai": Variant(system="# Role\nYou help {{customer}}.", user="{{customer}} writes:"),
        "anthropic": Variant(system="<role>You help {{customer}}.</role>"),
        "gemini": Variant(system="Role: help {{customer}}. Answer in one sentence."),
    },
)
REQUEST = Request(
    model="support",
    messages=(
        Message(role="system", parts=(Text(text="Be short."),)),
        Message(role="user", parts=(Text(text="Where is order 7?"),)),
        Message(role="assistant", parts=(ToolCall(id="call_1", name="find_order", arguments='{"id": 7}'),)),
        Message(role="tool", parts=(ToolResult(call_id="call_1", parts=(Text(text="on its way"),)),)),
    ),
    tools=(
        Tool(
            name="find_order",
            description="Looks an order up",
            parameters={"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]},
        ),
    ),
    max_output_tokens=200,
)
FORM = Form(
    schema={
        "type": "object",
        "properties": {"answer": {"type": "string"}},
        "required": ["answer"],
        "additionalProperties": False,
    }
)


def _target(model: str, dialect: str, *quirks: str, can_schema: bool = False) -> Deployment:
    card = ModelCard(
        id=f"test/{model}",
        capabilities=frozenset({"tools", *(["json_schema", "json_with_tools"] if can_schema else [])}),
    )
    return replace(
        a_deployment(model), upstream_model=model, dialect=dialect, card=card, quirks=frozenset(quirks), provider="p"
    )


TARGETS = {
    "openai": _target("gpt-4o", "openai_chat", can_schema=True),
    "anthropic": _target("claude-sonnet-4", "anthropic_messages", can_schema=True),
    "gemini": _target("gemini-2.5-pro", "gemini", can_schema=True),
    "bedrock": _target("us.anthropic.claude-sonnet-4", "bedrock_converse"),
    "plain": _target("mistral-7b-instruct", "openai_chat", "no_system"),
}


def _sent(name: str, *, form: Form | None = None) -> object:
    target = TARGETS[name]
    wording = Wording(
        dialects=DIALECTS, prompt=compile_version("support", 3, SUPPORT), texts={"customer": "Ann"}, form=form
    )
    worded = wording.put_to(REQUEST, target)
    return orjson.loads(DIALECTS[target.dialect].render_request(worded, target, max_output_tokens=None).body)


@pytest.mark.parametrize("name", TARGETS)
def test_a_prompt_and_its_tools_read_as_the_family_wants_them(name: str) -> None:
    assert _sent(name) == orjson.loads((GOLDEN / f"{name}.json").read_bytes())


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("openai", ("response_format", "json_schema", "schema")),
        ("anthropic", ("output_config", "format", "schema")),
        ("gemini", ("generationConfig", "responseJsonSchema")),
    ],
)
def test_the_form_of_answers_is_asked_for_natively_where_it_can_be(name: str, place: tuple[str, ...]) -> None:
    found = _sent(name, form=FORM)
    for step in place:
        assert isinstance(found, dict)
        found = found[step]
    assert isinstance(found, dict)
    assert found["properties"] == FORM.schema["properties"]


@pytest.mark.parametrize("name", ["bedrock", "plain"])
def test_elsewhere_it_is_asked_for_in_words(name: str) -> None:
    assert "fits the following JSON Schema" in orjson.dumps(_sent(name, form=FORM)).decode()


_TEXT: dict[str, dict[str, object]] = {
    "openai_chat": {"model": "m", "messages": [{"role": "user", "content": "x"}]},
    "openai_completions": {"model": "m", "prompt": "x"},
    "openai_responses": {"model": "m", "input": "x"},
    "anthropic_messages": {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "x"}]},
    "gemini": {"model": "m", "stream": False, "contents": [{"role": "user", "parts": [{"text": "x"}]}]},
    "bedrock_converse": {"model": "m", "stream": False, "messages": [{"role": "user", "content": [{"text": "x"}]}]},
}
_OWN = {"polyroute": {"variables": {"customer": "Ann"}}}
_MARKED = {"variables": '{"customer": "Ann"}', "job": "7"}


@pytest.mark.parametrize(
    ("door", "said"),
    [
        *((door, _OWN) for door in _TEXT),
        *((door, {"metadata": _MARKED}) for door in ("openai_chat", "openai_responses", "anthropic_messages")),
        ("bedrock_converse", {"requestMetadata": _MARKED}),
    ],
)
def test_every_door_takes_variables_and_no_upstream_reads_them(door: str, said: dict[str, object]) -> None:
    request = DIALECTS[door].parse_request({**_TEXT[door], **said}, {})
    brought = take_variables(request, has_prompt=True)
    assert brought.variables == {"customer": "Ann"}
    wording = Wording(dialects=DIALECTS, prompt=compile_version("p", 1, SUPPORT), texts={"customer": "Bob"})
    for target in TARGETS.values():
        worded = wording.put_to(brought.request, target)
        body = DIALECTS[target.dialect].render_request(worded, target, max_output_tokens=None).body
        assert b"Bob" in body
        assert b"Ann" not in body
        assert b"polyroute" not in body


@pytest.mark.parametrize("door", _TEXT)
def test_an_own_body_keeps_every_field_that_is_none_of_the_prompts(door: str) -> None:
    request = DIALECTS[door].parse_request({**_TEXT[door], "unheard_of": [1, {"a": 2}]}, {})
    target = next((t for t in TARGETS.values() if t.dialect == door), None)
    if target is None or request.wire is None:
        return
    wording = Wording(dialects=DIALECTS, prompt=compile_version("p", 1, SUPPORT), texts={"customer": "Bob"})
    body = orjson.loads(
        DIALECTS[door].render_request(wording.put_to(request, target), target, max_output_tokens=None).body
    )
    assert body["unheard_of"] == [1, {"a": 2}]
    assert request.wire.body == {**_TEXT[door], "unheard_of": [1, {"a": 2}]}
