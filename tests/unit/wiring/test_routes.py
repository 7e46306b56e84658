from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from polyroute.catalog import tasks
from polyroute.catalog.cards import Catalogue
from polyroute.config.load import reads
from polyroute.config.resolve import deployments
from polyroute.errors import InvalidRequest, UnknownModel
from polyroute.stages.route import Route, Routes
from polyroute.stages.selection import strategies
from polyroute.stages.validation.gates import Length, MatchesSchema
from polyroute.stages.validation.parsing import Parsers
from polyroute.types.cards import Deployment
from polyroute.wiring.providers import logic_deployments
from polyroute.wiring.routes import RouteBook

DOCUMENT = """
server: {auth: open}
providers:
  sim: {dialect: simulated}
  home: {dialect: simulated, private: true, region: eu}
models:
  small: {provider: sim, model: up-small, price: {input: 1, output: 2}}
  large: {provider: sim, model: up-large, price: {input: 10, output: 20}}
  spread: {deployments: [{provider: sim, model: up}, {provider: home, model: up}], price: {input: 5, output: 5}}
routes:
  plain: {primary: small, fallback: [large, spread]}
  tiers: {strategy: {use: complexity, simple: small, moderate: spread, complex: plain}, baseline: large}
  cheap: {strategy: {use: cheapest, models: [small, large]}}
  secret: {primary: spread, private: true}
  reviewed: {primary: small, require_human_review: true}
  faq:
    strategy: {use: logic, answers: [{when: {contains: [hello]}, text: hi}], otherwise: [small]}
"""


def book_of(text: str = DOCUMENT) -> RouteBook:
    document = reads(text, {}, folder=Path()).document
    by_model: dict[str, tuple[Deployment, ...]] = {}
    for deployment in deployments(document, Catalogue()):
        by_model[deployment.model] = (*by_model.get(deployment.model, ()), deployment)
    return RouteBook(
        document=document,
        deployments={**by_model, **logic_deployments(document)},
        tasks=tasks.load(),
        today=date(2026, 3, 1),
        parsers=Parsers(),
    )


BOOK = book_of()
ROUTES = BOOK.routes()


def ad_hoc(
    *models: str, strategy: str = "cascade", gates: tuple[Mapping[str, object], ...] = (), routes: Routes = ROUTES
) -> Route:
    return BOOK.ad_hoc(strategy, models, gates, routes)


def ids(route: Route) -> list[str]:
    return [deployment.id for deployment in route.deployments]


@pytest.mark.parametrize(
    ("name", "pool", "fallback"),
    [
        ("plain", ("small",), ("large", "spread")),
        ("polyroute/plain", ("small",), ("large", "spread")),
        ("auto", ("small",), ("large", "spread")),
        ("polyroute/auto", ("small",), ("large", "spread")),
        ("tiers", ("small", "spread", "large"), ()),
        ("cheap", ("small", "large"), ()),
        ("small", ("small",), ()),
        ("sim/up-small", ("small",), ()),
        ("faq", ("logic/faq/1", "small"), ()),
    ],
)
def test_what_callers_send_as_model(name: str, pool: tuple[str, ...], fallback: tuple[str, ...]) -> None:
    route = ROUTES.find(name)
    assert (route.strategy.pool, route.fallback) == (pool, fallback)


@pytest.mark.parametrize("name", ["logic/faq", "logic/faq/1", "logic/faq/logic", "nobody", "plain/small", ""])
def test_what_is_no_model_is_unknown(name: str) -> None:
    with pytest.raises(UnknownModel):
        ROUTES.find(name)


def test_an_unknown_model_names_the_nearest() -> None:
    with pytest.raises(UnknownModel) as caught:
        ROUTES.find("smal")
    assert "did you mean `small`?" in caught.value.message


def test_answers_without_a_model_are_no_model_to_be_listed() -> None:
    assert not [name for name in ROUTES.names if "logic" in name]
    assert ROUTES.names[:2] == ("plain", "tiers")


def test_a_model_named_with_its_provider_is_called_there_alone() -> None:
    assert ids(ROUTES.find("spread")) == ["spread@sim", "spread@home"]
    assert ids(ROUTES.find("sim/up")) == ["spread@sim"]
    assert ids(ROUTES.find("home/up")) == ["spread@home"]


@pytest.mark.parametrize(
    ("name", "baseline"), [("plain", "small"), ("tiers", "large"), ("cheap", "large"), ("faq", "small")]
)
def test_savings_are_measured_against_a_named_model(name: str, baseline: str) -> None:
    found = ROUTES.find(name).baseline
    assert found is not None
    assert found.model == baseline


def test_a_call_over_models_of_its_own() -> None:
    route = ad_hoc("small", "home/up", "large", strategy="cheapest")
    assert (route.name, route.strategy) == (
        "execute/cheapest",
        strategies.Cheapest(models=("small", "spread", "large")),
    )
    assert ids(route) == ["small@sim", "spread@home", "large@sim"]
    assert route.members == (("small", "small"), ("home/up", "spread"), ("large", "large"))
    assert route.baseline is not None
    assert route.baseline.model == "large"


def test_a_cascade_without_gates_still_refuses_an_empty_answer() -> None:
    assert [check.gate for check in ad_hoc("small").checks] == [Length()]
    assert ad_hoc("small", strategy="fixed").checks == ()


@pytest.mark.parametrize("name", ["plain", "secret", "reviewed", "polyroute/reviewed", "auto", "faq"])
def test_a_call_cannot_take_a_routes_models_without_its_rules(name: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        ad_hoc("small", name)
    assert caught.value.field == "models[1]"


def test_gates_of_a_call() -> None:
    schema: dict[str, object] = {"type": "object"}
    route = ad_hoc("small", gates=({"use": "json_schema", "schema": schema}, {"use": "length", "max_chars": 9}))
    first, second = route.checks
    assert first.gate == MatchesSchema(schema=schema)
    assert second.gate == Length(max_chars=9)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"strategy": "learned"}, "strategy"),
        ({"strategy": ""}, "strategy"),
        ({"gates": ({"use": "magic"},)}, "gates[0].use"),
        ({"gates": ({},)}, "gates[0].use"),
        ({"gates": ({"use": "json"}, {"use": "length", "min": 3})}, "gates[1]"),
        ({"gates": ({"use": "length", "min_chars": "three"},)}, "gates[0]"),
        ({"gates": ({"use": "json_schema", "schema": {"type": 7}},)}, "gates[0].schema"),
        ({"gates": ({"use": "json_schema", "schema": "object"},)}, "gates[0]"),
        ({"gates": ({"use": ["json"]},)}, "gates[0].use"),
    ],
)
def test_a_wrong_call_is_told_which_field(wrong: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        ad_hoc("small", **wrong)
    assert caught.value.field == field


def test_an_unknown_model_of_a_call_is_unknown() -> None:
    with pytest.raises(UnknownModel):
        ad_hoc("small", "nobody")
