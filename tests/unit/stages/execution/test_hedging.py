"""Which requests may be asked twice at once, and whom beside a late one."""

from decimal import Decimal
from typing import Any

import pytest
from tests.unit.rig import deployment

from polyroute.stages.execution.hedging import beside, may_be_doubled
from polyroute.state.hedges import Hedge
from polyroute.types.request import ProviderTool, Reference, Tool, Wire, ask
from polyroute.types.routing import Candidate, Step


def wire(dialect: str, **body: Any) -> dict[str, Wire]:
    return {"wire": Wire(dialect=dialect, body=body)}


@pytest.mark.parametrize(
    ("fields", "may"),
    [
        pytest.param({}, True, id="a question"),
        pytest.param({"operation": "embeddings"}, True, id="embeddings"),
        pytest.param({"tools": (Tool(name="look"),)}, True, id="a tool of the caller's"),
        pytest.param({"tools": (ProviderTool(dialect="d", kind="web", raw={}),)}, False, id="a tool of the provider's"),
        pytest.param({"operation": "image"}, False, id="an image"),
        pytest.param({"operation": "speech"}, False, id="speech"),
        pytest.param({"background": True}, False, id="in the background"),
        pytest.param({"refers": (Reference(id="resp_1", field="previous_response_id"),)}, False, id="on a stored one"),
        pytest.param(wire("openai_chat"), True, id="a completion"),
        pytest.param(wire("openai_chat", store=True), False, id="a stored completion"),
        pytest.param(wire("openai_responses"), False, id="a response, which is stored unasked"),
        pytest.param(wire("openai_responses", store=False), True, id="a response that is not stored"),
    ],
)
def test_what_has_effects_is_never_doubled(fields: dict[str, Any], may: bool) -> None:
    request = ask("route", "hi")
    for name, value in fields.items():
        request = type(request)(**{**{f: getattr(request, f) for f in request.__struct_fields__}, name: value})
    assert may_be_doubled(request) is may


def step(name: str, worst: str | None = "0.01") -> Step:
    return Step(candidate=Candidate(deployment=deployment(name), worst_usd=None if worst is None else Decimal(worst)))


@pytest.mark.parametrize(
    ("steps", "late", "second"),
    [
        pytest.param((step("a"),), 0, None, id="nobody else"),
        pytest.param((step("a"), step("b"), step("c")), 0, 1, id="the next"),
        pytest.param((step("a"), step("b"), step("c")), 1, 2, id="never one before it"),
        pytest.param((step("a"), step("a"), step("b")), 0, 2, id="another deployment"),
        pytest.param((step("a"), step("ill"), step("b")), 0, 2, id="one that is well"),
        pytest.param((step("a"), step("b", "0.02"), step("c")), 0, 2, id="one that is not too dear"),
        pytest.param((step("a"), step("b", None)), 0, None, id="not one of unknown price"),
        pytest.param((step("a", None), step("b")), 0, None, id="nor beside one of unknown price"),
        pytest.param((step("a", "0"), step("b", "0")), 0, 1, id="what is free is within any cap"),
    ],
)
def test_who_is_asked_beside_a_late_one(steps: tuple[Step, ...], late: int, second: int | None) -> None:
    found = beside(steps, late, Hedge(), lambda step: step.candidate.deployment.model != "ill")
    assert found == second


def test_the_cap_is_a_share_of_what_the_first_may_cost() -> None:
    steps = (step("a", "0.01"), step("b", "0.019"))
    assert beside(steps, 0, Hedge(max_cost_share=Decimal(2)), lambda step: True) == 1
    assert beside(steps, 0, Hedge(max_cost_share=Decimal("0.5")), lambda step: True) is None
