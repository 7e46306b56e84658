from typing import Any

import pytest
from msgspec.structs import replace

from polyroute.catalog import tokens
from polyroute.errors import InvalidRequest, NoCandidate
from polyroute.prompts.registry import Registry
from polyroute.stages.execution.wording import NO_PROMPT, Form, Wording, word
from polyroute.testing.providers import a_deployment
from polyroute.types.cards import Deployment, ModelCard
from polyroute.types.prompts import Prompt, Variable, Variant, Wordings
from polyroute.types.request import OutputFormat, Request, Wire, ask

OBJECT: dict[str, Any] = {"type": "object", "properties": {"a": {"type": "string"}}}
CLOSED: dict[str, Any] = {**OBJECT, "required": ["a"], "additionalProperties": False}
LONG = "word " * 300
PROMPT = Prompt(
    versions={
        "1": Wordings(
            variants={"default": Variant(system="Short."), "anthropic": Variant(system=LONG)},
            variables={"x": Variable(required=False)},
        )
    }
)


def _can(*capabilities: str, model: str = "m", known: bool = True) -> Deployment:
    card = ModelCard(id=model, capabilities=frozenset(capabilities) if known else None)
    return replace(a_deployment(model), upstream_model=model, card=card)


def _word(request: Request, *, prompt: str | None = "p", form: Form | None = None) -> tuple[Request, Wording | None]:
    deployments = (_can(), _can(model="claude"))
    registry = Registry({"p": PROMPT}, None, lambda: 0.0)
    return word(request, route="r", prompt=prompt, form=form, deployments=deployments, registry=registry, dialects={})


def test_a_route_that_adds_nothing_touches_nothing() -> None:
    request = ask("r", "hi")
    assert _word(request, prompt=None) == (request, None)


def test_the_longest_variant_counts() -> None:
    _, wording = _word(ask("r", "hi"))
    assert wording is not None
    assert wording.prompt_id == "p@1"
    assert wording.added.estimate >= tokens.estimate_text(LONG)
    assert wording.added.most_tokens >= len(LONG)


def test_a_prompt_that_is_gone_is_no_fault_of_the_callers() -> None:
    with pytest.raises(NoCandidate, match="no version 4"):
        _word(ask("r", "hi"), prompt="p@4")


def test_only_conversations_take_a_prompt() -> None:
    with pytest.raises(InvalidRequest, match="only conversations"):
        _word(replace(ask("r", "hi"), operation="embeddings"))


def test_plain_logic_gets_the_callers_own_words() -> None:
    request, wording = _word(ask("r", "hi"))
    assert wording is not None
    logic = replace(_can(), quirks=frozenset({NO_PROMPT}))
    assert wording.put_to(request, logic) is request
    assert wording.variant_for(logic) is None


def test_a_body_whose_dialect_takes_no_preface_is_written_anew() -> None:
    request, wording = _word(replace(ask("r", "hi"), wire=Wire(dialect="strange", body={})))
    assert wording is not None
    assert wording.put_to(request, _can()).wire is None


@pytest.mark.parametrize(
    ("deployment", "schema", "native", "in_words"),
    [
        (_can("json_schema"), CLOSED, OutputFormat(schema=CLOSED, name="f", strict=True), False),
        (_can("json_schema"), OBJECT, OutputFormat(schema=OBJECT, name="f"), False),
        (_can("json"), OBJECT, OutputFormat(), True),
        (_can("json"), {"type": "array"}, None, True),
        (_can(), OBJECT, None, True),
        (_can(known=False), OBJECT, None, True),
    ],
)
def test_how_a_model_is_told_the_form(
    deployment: Deployment, schema: dict[str, Any], native: OutputFormat | None, in_words: bool
) -> None:
    output, words = Form(schema=schema, name="f").told_to(deployment)
    assert output == native
    assert (words is not None) == in_words


@pytest.mark.parametrize("asked", [None, OutputFormat(), OutputFormat(schema=OBJECT)])
def test_a_caller_may_ask_for_what_the_contract_gives(asked: OutputFormat | None) -> None:
    request, _ = _word(replace(ask("r", "hi"), output=asked), form=Form(schema=OBJECT))
    assert request.output is None


def test_and_for_nothing_else() -> None:
    with pytest.raises(InvalidRequest) as caught:
        _word(replace(ask("r", "hi"), output=OutputFormat(schema=CLOSED)), form=Form(schema=OBJECT))
    assert caught.value.code == "output_conflict"
