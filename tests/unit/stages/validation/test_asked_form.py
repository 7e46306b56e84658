"""What of an answer is held against the form that was asked for."""

import pytest

from polyroute.stages.validation.asked_form import AskedForm
from polyroute.stages.validation.gates import MatchesSchema
from polyroute.types.content import Part, Refusal, Text, Thinking, ToolCall
from polyroute.types.request import ask
from polyroute.types.response import Choice, Response, StopReason

FORM = AskedForm(matches=MatchesSchema(schema={"type": "object", "required": ["n"]}))
GOOD, BAD = Text(text='{"n":1}'), Text(text='{"m":1}')
FENCED = Text(text='```json\n{"n":1}\n```')
CALL = ToolCall(id="1", name="f", arguments="{}")


def said(*choices: tuple[tuple[Part, ...], StopReason]) -> Response:
    told = tuple(Choice(index=at, parts=parts, stop=stop) for at, (parts, stop) in enumerate(choices))
    return Response(id="", model="", choices=told, usage=None)


@pytest.mark.parametrize(
    ("response", "accepted"),
    [
        pytest.param(said(((GOOD,), StopReason.END)), True, id="it fits"),
        pytest.param(said(((BAD,), StopReason.END)), False, id="it does not"),
        pytest.param(said(((FENCED,), StopReason.END)), True, id="fenced"),
        pytest.param(said(((Text(text="Sure! 1"),), StopReason.END)), False, id="words"),
        pytest.param(said(((), StopReason.END)), False, id="nothing"),
        pytest.param(said(), False, id="no choice"),
        pytest.param(said(((GOOD,), StopReason.END), ((BAD,), StopReason.END)), False, id="one of two does not"),
        pytest.param(said(((Text(text="wait"), CALL), StopReason.TOOL_CALLS)), True, id="it calls tools"),
        pytest.param(said(((Text(text='{"n"'),), StopReason.MAX_TOKENS)), True, id="it was cut"),
        pytest.param(said(((Refusal(text="no"),), StopReason.END)), True, id="it refuses"),
        pytest.param(said(((Text(text="no"),), StopReason.REFUSAL)), True, id="it ends as a refusal"),
        pytest.param(said(((Text(text="n"),), StopReason.CONTENT_FILTER)), True, id="a filter stopped it"),
    ],
)
async def test_only_a_finished_answer_is_judged(response: Response, accepted: bool) -> None:
    verdict = await FORM.judge(ask("m", "q"), response)
    assert (verdict.gate, verdict.accepted) == ("json_schema", accepted)


async def test_what_was_not_judged_says_why() -> None:
    verdict = await FORM.judge(ask("m", "q"), said(((Text(text="{"),), StopReason.MAX_TOKENS)))
    assert verdict.changes == ("cut at its output limit: passed as it is",)


def test_an_accepted_answer_loses_its_fence_and_nothing_else() -> None:
    thought = Thinking(text="hm")
    bare = FORM.bare(said(((thought, FENCED), StopReason.END)))
    assert bare is not None
    assert bare.choices[0].parts == (thought, GOOD)
    assert FORM.bare(said(((GOOD,), StopReason.END))) is None
    assert FORM.bare(said(((FENCED, CALL), StopReason.TOOL_CALLS))) is None
