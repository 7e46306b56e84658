import pytest

from polyroute.catalog import tokens
from polyroute.stages.matching.match import Boundary, match
from polyroute.stages.matching.needs import needs_of
from polyroute.types.cards import Deployment, ModelCard
from polyroute.types.content import Document, Image, Inline, Message, Text, ToolResult
from polyroute.types.request import OutputFormat, Request, Tool, ask
from polyroute.types.routing import Needs

TEXT_ONLY = ModelCard(id="m", modalities=frozenset({"text"}), capabilities=frozenset({"tools"}), context_tokens=8192)
PNG = Inline(media_type="image/png", data="aGk=")


def deployment(card: ModelCard = TEXT_ONLY, **fields: object) -> Deployment:
    return Deployment(id="m@p", model="m", provider="p", dialect="d", upstream_model="m", card=card, **fields)  # type: ignore[arg-type]


def reason(needs: Needs, *, card: ModelCard = TEXT_ONLY, boundary: Boundary = Boundary(), **fields: object) -> str:  # noqa: B008
    matched = match((deployment(card, **fields),), needs, (boundary,), lambda _: ())
    return matched.exclusions[0].reason if matched.exclusions else ""


@pytest.mark.parametrize(
    ("needs", "expected"),
    [
        (Needs(input_tokens=10, output_tokens=None), ""),
        (Needs(input_tokens=10, output_tokens=None, modalities=frozenset({"text", "image"})), "no image input"),
        (Needs(input_tokens=10, output_tokens=None, capabilities=frozenset({"tools"})), ""),
        (Needs(input_tokens=10, output_tokens=None, capabilities=frozenset({"json_schema"})), "lacks json_schema"),
        (Needs(input_tokens=11200, output_tokens=None), "context 8192 < needed 11200"),
    ],
)
def test_a_deployment_that_cannot_is_excluded_with_the_reason(needs: Needs, expected: str) -> None:
    assert reason(needs) == expected


def test_unknown_facts_never_exclude() -> None:
    needs = Needs(input_tokens=10**6, output_tokens=10**6, modalities=frozenset({"audio"}))
    assert reason(needs, card=ModelCard(id="new")) == ""


def test_a_longer_answer_than_the_model_gives_excludes_it() -> None:
    card = ModelCard(id="m", max_output_tokens=4096)
    assert reason(Needs(input_tokens=1, output_tokens=5000), card=card) == "output limit 4096 < asked 5000"


def test_a_route_s_region_and_privacy_hold_for_every_deployment() -> None:
    needs = Needs(input_tokens=1, output_tokens=None)
    assert reason(needs, boundary=Boundary(region="eu"), region="us") == "region us, the route is bound to eu"
    assert reason(needs, boundary=Boundary(region="eu")) == "region not stated, the route is bound to eu"
    assert reason(needs, boundary=Boundary(private=True)) == "not private, and the route is"
    assert reason(needs, boundary=Boundary(region="eu", private=True), region="eu", private=True) == ""


def test_what_the_wire_cannot_express_is_a_reason() -> None:
    needs = Needs(input_tokens=1, output_tokens=None)
    matched = match((deployment(),), needs, (), lambda _: ("n=3", "audio"))
    assert matched.exclusions[0].reason == "n=3; audio"


def test_needs_are_read_off_every_part() -> None:
    request = Request(
        model="r",
        messages=(
            Message(role="user", parts=(Text(text="look"), Image(media=PNG))),
            Message(role="tool", parts=(ToolResult(call_id="1", parts=(Document(media=PNG),)),)),
        ),
        tools=(Tool(name="f"),),
        output=OutputFormat(schema={"type": "object"}),
        logprobs=True,
    )
    needs = needs_of(request, tokens.measure(request))
    assert needs.modalities == {"text", "image", "pdf"}
    assert needs.capabilities == {"tools", "json_schema", "logprobs"}


def test_a_plain_request_needs_text_only() -> None:
    request = ask("r", "hi")
    needs = needs_of(request, tokens.measure(request))
    assert needs.capabilities == frozenset()
    assert needs.modalities == {"text"}


def test_a_schema_may_be_emulated_and_nothing_else() -> None:
    quirks = frozenset({"json_object_only"})
    schema = Needs(input_tokens=1, output_tokens=None, capabilities=frozenset({"tools", "json_schema"}))
    logprobs = Needs(input_tokens=1, output_tokens=None, capabilities=frozenset({"json_schema", "logprobs"}))
    assert reason(schema, quirks=quirks) == ""
    assert reason(logprobs, quirks=quirks) == "lacks json_schema, logprobs"


def test_several_answers_are_asked_of_those_that_give_them() -> None:
    needs = Needs(input_tokens=1, output_tokens=None, choices=2)
    assert reason(needs) == ""
    assert reason(needs, quirks=frozenset({"no_n"})) == "gives one answer < asked 2"
