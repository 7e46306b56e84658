from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace
from tests.unit.rig import Rig, Says, a_route, deployment

from polyroute.calls import Call, outcome, parse_call, resolve
from polyroute.errors import InvalidRequest, UnknownModel
from polyroute.stages.route import Route, Routes
from polyroute.testing.providers import a_response
from polyroute.types.content import Message, Text
from polyroute.types.response import Usage

NAMED, DEFAULT = (replace(a_route(deployment("m")), name=name) for name in ("summarize", "auto"))
ROUTES = Routes({"summarize": NAMED, "auto": DEFAULT}, {}, "auto")


class AdHoc:
    def __init__(self) -> None:
        self.asked: list[Any] = []

    def __call__(self, strategy: str, models: tuple[str, ...], gates: tuple[Mapping[str, object], ...]) -> Route:
        self.asked.append((strategy, models, gates))
        return replace(NAMED, name=f"execute/{strategy}")


def test_a_whole_call() -> None:
    body: dict[str, object] = {
        "input": "text", "task": "summarize", "strategy": "cascade", "models": ["a", "b"],
        "gates": [{"use": "json"}], "system": "be brief", "max_output_tokens": 9,
    }  # fmt: skip
    assert parse_call(body) == Call(
        input="text", task="summarize", strategy="cascade", models=("a", "b"), gates=({"use": "json"},),
        system="be brief", max_output_tokens=9,
    )  # fmt: skip
    assert parse_call({"input": "text", "task": None, "models": None}) == Call(input="text")


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"input": None}, "input"),
        ({"input": 7}, "input"),
        ({"input": ["a"]}, "input"),
        ({"prompt": "x"}, "prompt"),
        ({"task": 1}, "task"),
        ({"strategy": ["cascade"]}, "strategy"),
        ({"models": "small"}, "models"),
        ({"models": ["a", 2]}, "models[1]"),
        ({"gates": {"use": "json"}}, "gates"),
        ({"gates": ["json"]}, "gates[0]"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"max_output_tokens": 1.5}, "max_output_tokens"),
        ({"max_output_tokens": True}, "max_output_tokens"),
    ],
)
def test_a_wrong_call_names_the_field(wrong: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_call({"input": "text", **wrong})
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("task", "route"), [("summarize", "summarize"), ("translate", "auto"), (None, "auto"), ("polyroute/auto", "auto")]
)
def test_without_models_the_tasks_own_route_decides(task: str | None, route: str) -> None:
    request, found = resolve(Call(input="text", task=task), ROUTES, AdHoc())
    assert found.name == request.model == route


@pytest.mark.parametrize(("strategy", "expected"), [(None, "cascade"), ("cheapest", "cheapest")])
def test_with_models_the_strategy_is_put_over_them(strategy: str | None, expected: str) -> None:
    ad_hoc = AdHoc()
    request, found = resolve(Call(input="text", strategy=strategy, models=("a", "b")), ROUTES, ad_hoc)
    assert ad_hoc.asked == [(expected, ("a", "b"), ())]
    assert found.name == request.model == f"execute/{expected}"


@pytest.mark.parametrize(
    "call",
    [
        Call(input="text", strategy="cascade"),
        Call(input="text", gates=({"use": "json"},)),
        Call(input="text", models=("a",) * 17),
    ],
)
def test_what_cannot_be_put_over_models_names_them(call: Call) -> None:
    with pytest.raises(InvalidRequest) as caught:
        resolve(call, ROUTES, AdHoc())
    assert caught.value.field == "models"


def test_where_there_is_no_route_at_all_the_call_says_so() -> None:
    with pytest.raises(UnknownModel):
        resolve(Call(input="text"), Routes({}, {}, None), AdHoc())


def test_instructions_come_before_the_input() -> None:
    request, _ = resolve(Call(input="text", system="be brief", max_output_tokens=9), ROUTES, AdHoc())
    assert request.messages == (
        Message(role="system", parts=(Text(text="be brief"),)),
        Message(role="user", parts=(Text(text="text"),)),
    )
    assert request.max_output_tokens == 9


async def test_an_outcome_tells_every_attempt_and_why() -> None:
    usage = Usage(input_tokens=100, output_tokens=50)
    route = a_route(deployment("small"), deployment("large"), gates=[Says("please")])
    rig = Rig({"small": a_response("no", usage=usage), "large": a_response("please", usage=usage)}, route)
    answer = await rig.answer()
    assert answer.reply.response is not None
    told = outcome(answer.reply.response, answer.receipt)
    assert (told.output, told.model, told.provider, told.cost_usd) == ("please", "large", "provider", Decimal("0.0004"))
    assert [(a["model"], a["status"], a["cost_usd"]) for a in told.attempts] == [
        ("small", "rejected", Decimal("0.0002")),
        ("large", "succeeded", Decimal("0.0002")),
    ]
    assert told.attempts[0]["verdicts"] == [
        {"gate": "says", "accepted": False, "score": None, "reasons": ("no please",), "cost_usd": None}
    ]
    assert told.cost_complete
    assert told.receipt == answer.receipt
