"""Whether fallbacks can stand in: every gap, its acceptance, and what is no gap."""

from pathlib import Path

import pytest

from polyroute.config.check import check
from polyroute.config.contract import Contract, contract
from polyroute.config.document import GAPS
from polyroute.config.load import loads
from polyroute.config.resolve import deployments
from polyroute.types.cards import ModelCard

MODELS = """
providers:
  sim: {dialect: simulated}
  eu: {dialect: simulated, region: eu, private: true}
  us: {dialect: simulated, region: us, private: true}
  deepseek: {dialect: openai, base_url: "https://api.deepseek.com", api_key: x}
models:
  full:
    provider: sim
    price: free
    context_tokens: 128000
    max_output_tokens: 16000
    capabilities: [tools, json, json_schema, vision, pdf]
  twin: {provider: sim, price: free, context_tokens: 128000, capabilities: [tools, json_schema, vision, pdf, thinking]}
  unknown: {provider: sim, price: free}
  deaf: {provider: sim, price: free, capabilities: [json_schema, vision, pdf]}
  loose: {provider: sim, price: free, capabilities: [tools, json, vision, pdf]}
  plain: {provider: sim, price: free, capabilities: [tools, vision, pdf]}
  emulating: {provider: deepseek, price: free, capabilities: [tools, vision, pdf], quirks: [json_object_only]}
  blind: {provider: sim, price: free, capabilities: [tools, json_schema]}
  small: {provider: sim, price: free, context_tokens: 16000}
  curt: {provider: sim, price: free, max_output_tokens: 4096}
  unpriced: {provider: sim}
  at_home: {provider: eu, price: free}
  abroad: {provider: us, price: free}
  outside: {provider: sim, price: free}
  spread: {price: free, deployments: [{provider: sim}, {provider: eu}]}
  half_blind: {price: free, deployments: [{provider: sim}, {provider: deepseek, model: deepseek-chat}]}
"""


class Nobody:
    """Knows no model."""

    def family_of(self, dialect: str, base_url: str | None) -> str | None:
        return None

    def card(self, family: str | None, upstream_model: str) -> ModelCard | None:
        text_only = ModelCard(id="deepseek-chat", modalities=frozenset({"text"}))
        return text_only if upstream_model == "deepseek-chat" else None

    def quirks_of(
        self, family: str | None, upstream_model: str, base_url: str | None, **beside: object
    ) -> frozenset[str]:
        return frozenset()


def looked_at(routes: str, more: str = "") -> Contract:
    document = loads(f"{MODELS}routes: {routes}\n{more}", {}, folder=Path("/nowhere")).document
    return contract(document, deployments(document, Nobody()))


@pytest.mark.parametrize(
    ("primary", "fallback", "says"),
    [
        ("full", "deaf", "it has no tools"),
        ("full", "loose", "it has no json_schema"),
        ("full", "plain", "it has no json; it has no json_schema"),
        ("full", "blind", "it takes no image input; it takes no pdf input"),
        ("full", "small", "its context of 16000 tokens is less than 128000"),
        ("full", "curt", "its answers end at 4096 tokens, those of `full` at 16000"),
        ("full", "unpriced", "its price is not known"),
        ("at_home", "abroad", "requests would leave eu for us"),
        ("at_home", "outside", "it is not private"),
        ("at_home", "spread", "it is not private"),
    ],
)
def test_what_a_fallback_lacks_is_told_where_it_stands(primary: str, fallback: str, says: str) -> None:
    (problem,) = looked_at(f"{{r: {{primary: {primary}, fallback: [{fallback}]}}}}").problems
    assert problem.path == "routes.r.fallback[0]"
    assert problem.message.startswith(f"`{fallback}` cannot stand in for `{primary}`: ")
    assert says in problem.message
    assert problem.fix is not None
    accepted = problem.fix.partition("`accepts: ")[2].rstrip("`")
    assert not looked_at(f"{{r: {{primary: {primary}, fallback: [{fallback}], accepts: {accepted}}}}}").problems


@pytest.mark.parametrize(
    "route",
    [
        "{primary: full, fallback: twin}",
        "{primary: full, fallback: unknown}",
        "{primary: unknown, fallback: small}",
        "{primary: full, fallback: emulating}",
        "{primary: full, fallback: half_blind}",
        "{primary: full, fallback: full}",
        "{primary: full, fallback: small, max_input_tokens: 16000}",
        "{primary: spread, fallback: abroad}",
        "{primary: outside, fallback: at_home}",
        "{primary: full}",
        "{strategy: {use: cascade, models: [small, full]}, fallback: small}",
        "{strategy: {use: complexity, simple: deaf, moderate: blind, complex: full}, fallback: [deaf, blind]}",
    ],
)
def test_what_is_no_gap(route: str) -> None:
    assert looked_at(f"{{r: {route}}}").problems == ()


def test_a_fallback_must_be_what_every_model_of_the_strategy_is() -> None:
    (problem,) = looked_at("{r: {strategy: {use: cheapest, models: [full, twin]}, fallback: [deaf]}}").problems
    assert problem.message == "`deaf` cannot stand in for the models before it: it has no tools"


def test_a_fallback_to_a_route_is_each_of_its_models() -> None:
    routes = "{r: {primary: full, fallback: [s], accepts: {s: [tools]}}, s: {primary: deaf, fallback: twin}}"
    assert looked_at(routes).problems == ()
    (problem,) = looked_at(routes.replace("[tools]", "[]")).problems
    assert (problem.path, problem.fix) == (
        "routes.r.fallback[0]",
        "another fallback, or accept it: `accepts: {s: [tools]}`",
    )


def test_a_long_input_that_is_rerouted_must_fit_the_fallback() -> None:
    text = "{r: {primary: full, fallback: small, max_input_tokens: 9000, on_too_long: reroute}}"
    assert "is less than 128000" in looked_at(text).problems[0].message


def test_a_fallback_outside_the_routes_region_is_never_asked() -> None:
    (problem,) = looked_at("{r: {primary: at_home, fallback: abroad, region: eu}}").problems
    assert "the route is bound to eu" in problem.message


def test_differences_within_a_strategy_are_notes() -> None:
    found = looked_at("{r: {strategy: {use: cascade, models: [full, deaf, unknown]}}}")
    assert found.problems == ()
    assert [note.message for note in found.notes] == [
        "`deaf` is not all that `full` is: it has no tools; requests that need it go elsewhere",
        "nothing is known of what `unknown` can do",
    ]


def test_a_prompt_written_for_the_models_before_it_is_a_note() -> None:
    prompts = "prompts: {p: {versions: {'1': {variants: {default: {system: a}, full: {system: b}}}}}}"
    found = looked_at("{r: {primary: full, fallback: twin, prompt: p}}", prompts)
    assert [(note.path, "default ones for `twin`" in note.message) for note in found.notes] == [
        ("routes.r.prompt", True)
    ]


def test_every_gap_can_be_accepted_and_nothing_else() -> None:
    accepts = f"{{small: [{', '.join(GAPS)}, contxt], x: []}}"
    routes = f"{{r: {{primary: full, fallback: small, accepts: {accepts}}}}}"
    document = loads(f"{MODELS}routes: {routes}", {}, folder=Path("/nowhere")).document
    assert [(problem.path, problem.message) for problem in check(document)] == [
        ("routes.r.accepts.small[12]", "there is no gap `contxt`"),
        ("routes.r.accepts.x", "`x` is no fallback of this route"),
    ]
