"""Whether the parts of a document fit together."""

import json
from pathlib import Path

import pytest

from polyroute.catalog import cards
from polyroute.config.check import CAPABILITIES, MODALITIES, check, check_start
from polyroute.config.document import Document
from polyroute.config.load import loads
from polyroute.errors import Problem

MODELS = """
providers:
  sim: {dialect: simulated}
  eu: {dialect: simulated, region: eu, private: true}
  google: {dialect: gemini, api_key: x}
models:
  small: sim/small
  large: {provider: sim}
  at_home: eu/m
  flash: google/gemini-flash
  both: {deployments: [{provider: sim}, {provider: google}]}
"""
TIER = "{above_input_tokens: 9, input: 1, output: 1}"


def document_of(text: str) -> Document:
    return loads(text, {}, folder=Path("/nowhere")).document


def problems_of(text: str) -> list[Problem]:
    return list(check(document_of(text)))


def told(text: str) -> list[tuple[str, str]]:
    return [(problem.path, problem.message) for problem in problems_of(text)]


@pytest.mark.parametrize(
    "routes",
    [
        "{r: {primary: small}}",
        "{r: {primary: sim/anything}}",
        "{r: {primary: small, fallback: large}}",
        "{r: {primary: small, fallback: [large, sim/x, s]}, s: {primary: large}}",
        "{r: {strategy: {use: fixed, models: [small]}}}",
        "{r: {strategy: {use: cheapest, models: [small, large]}, latency_budget_ms: 10}}",
        "{r: {strategy: {use: fastest, models: [small, large]}}}",
        "{r: {strategy: {use: cascade, models: [small, large]}, gates: [{use: json}, {use: length, max_chars: 9}]}}",
        "{r: {strategy: {use: task, tasks: {summarize: small}, default: large}}}",
        "{r: {strategy: {use: complexity, simple: small, moderate: small, complex: large}}}",
        "{r: {strategy: {use: rules, rules: [{when: {matches: 'a+'}, model: small}], default: large}}}",
        "{r: {strategy: {use: logic, answers: [{when: {contains: [hi]}, text: hello}], otherwise: small}}}",
        "{r: {strategy: {use: logic, answers: [{when: {}, lookup: {key: a, table: {a: b}}}]}}}",
        "{r: {strategy: {use: logic, answers: [{when: {}, call: {url: 'http://127.0.0.1:1/x?q={a}'}}]}}}",
        "{r: {primary: small, require_human_review: true}}",
        "{r: {primary: small, max_input_tokens: 5, on_too_long: truncate}}",
        "{r: {primary: small, fallback: large, max_input_tokens: 5, on_too_long: reroute}}",
        "{r: {primary: at_home, region: eu, private: true}}",
        "{r: {primary: both}}",
        "{auto: {primary: small}}",
        "{r: {primary: small, cost_ceiling_usd: 0.02, quality_floor: 0.8, precedence: quality, class: batch}}",
    ],
)
def test_what_fits_is_no_problem(routes: str) -> None:
    assert told(f"{MODELS}routes: {routes}") == []


@pytest.mark.parametrize(
    ("routes", "path", "message"),
    [
        ("{r: {primary: smal}}", "routes.r.primary", "there is no model or route `smal`"),
        ("{r: {primary: small, fallback: larg}}", "routes.r.fallback", "no model or route `larg`"),
        ("{r: {primary: small, fallback: [large, x]}}", "routes.r.fallback[1]", "no model or route `x`"),
        ("{r: {primary: nobody/x}}", "routes.r.primary", "there is no provider `nobody`"),
        ("{r: {primary: sim/}}", "routes.r.primary", "names no model"),
        ("{r: {primary: small, baseline: x}}", "routes.r.baseline", "no model or route `x`"),
        ("{r: {strategy: {use: cascade, models: [small, x]}}}", "routes.r.strategy.models[1]", "`x`"),
        ("{r: {strategy: {use: task, tasks: {code: x}, default: small}}}", "routes.r.strategy.tasks.code", "`x`"),
        (
            "{r: {strategy: {use: rules, rules: [{when: {}, model: x}], default: small}}}",
            "routes.r.strategy.rules[0].model",
            "`x`",
        ),
        ("{r: {}}", "routes.r", "says no model"),
        ("{r: {primary: small, strategy: {use: fixed, models: [large]}}}", "routes.r.strategy", "both choose"),
        ("{r: {primary: r}}", "routes.r.primary", "r → r"),
        ("{r: {primary: s}, s: {primary: small, fallback: r}}", "routes.s.fallback", "r → s → r"),
        ("{small: {primary: large}}", "routes.small", "a model has the same name"),
        ("{a/b: {primary: small}}", "routes.a/b", "cannot hold `/`"),
        ("{'a b': {primary: small}}", "routes.a b", "cannot be a name"),
        ("{r: {primary: small, region: us}}", "routes.r.region", "none of its models is in the region `us`"),
        ("{r: {primary: small, private: true}}", "routes.r.private", "none of its models is private"),
        ("{r: {primary: small, on_too_long: truncate}}", "routes.r.on_too_long", "no effect"),
        ("{r: {primary: small, max_input_tokens: 1, on_too_long: reroute}}", "routes.r.on_too_long", "there is none"),
        (
            "{r: {primary: small, gates: [{use: length, min_chars: 9, max_chars: 3}]}}",
            "routes.r.gates[0].max_chars",
            "3",
        ),
    ],
)
def test_what_does_not_fit_is_one_problem_at_its_path(routes: str, path: str, message: str) -> None:
    ((found, said),) = told(f"{MODELS}routes: {routes}")
    assert found == path
    assert message in said


@pytest.mark.parametrize(
    ("models", "path", "message"),
    [
        ("{m: simm/x}", "models.m", "there is no provider `simm`"),
        ("{m: sim}", "models.m", "not of the form provider/model"),
        ("{m: sim/}", "models.m", "not of the form provider/model"),
        ("{m: {}}", "models.m", "says nowhere to call it"),
        ("{m: {provider: sim, deployments: [{provider: sim}]}}", "models.m.provider", "already says"),
        ("{m: {deployments: [{provider: sim}, {provider: x}]}}", "models.m.deployments[1].provider", "`x`"),
        ("{auto: sim/x}", "models.auto", "reserved"),
        ("{a/b: sim/x}", "models.a/b", "cannot hold `/`"),
        ("{m: {provider: own, answer: echo}}", "models.m.answer", "only simulated models"),
        (
            "{m: {deployments: [{provider: own, error_rate: 1}]}}",
            "models.m.deployments[0].error_rate",
            "only simulated",
        ),
        ("{m: {provider: sim, capabilities: [tools, visoin]}}", "models.m.capabilities[1]", "`visoin`"),
        ("{m: {provider: sim, price: {input: 1}}}", "models.m.price", "both `input` and `output`"),
        ("{m: {provider: sim, price: {}}}", "models.m.price", "both `input` and `output`"),
        ("{m: {provider: sim, price: {input: 1, image: 1}}}", "models.m.price", "both `input` and `output`"),
        ("{m: {provider: sim, price: {image: {}}}}", "models.m.price", "both `input` and `output`"),
        ("{m: {provider: sim, price: {image: {hd: -1}}}}", "models.m.price.image.hd", "no amount"),
        ("{m: {provider: sim, price: {gpu_hour_usd: 1}}}", "models.m.price", "both `gpu_hour_usd` and"),
        (
            "{m: {provider: sim, price: {input: 1, output: 1, gpu_hour_usd: 1, tokens_per_hour: 5}}}",
            "models.m.price",
            "both per token and per hour",
        ),
        ("{m: {provider: sim, price: {input: -1, output: 1}}}", "models.m.price.input", "no amount"),
        ("{m: {provider: sim, price: {input: 1, output: 'NaN'}}}", "models.m.price.output", "no amount"),
        ("{m: {provider: sim, price: {input: 1, output: 'Infinity'}}}", "models.m.price.output", "no amount"),
        (
            f"{{m: {{provider: sim, price: {{input: 1, output: 1, tiers: [{TIER}, {TIER}]}}}}}}",
            "models.m.price.tiers[1].above_input_tokens",
            "does not rise",
        ),
    ],
)
def test_a_model_that_cannot_be_is_one_problem(models: str, path: str, message: str) -> None:
    providers = "{sim: {dialect: simulated}, own: {dialect: openai, base_url: 'http://127.0.0.1:1/v1'}}"
    ((found, said),) = told(f"providers: {providers}\nmodels: {models}")
    assert found == path
    assert message in said


def test_an_unused_model_may_stand_at_a_provider_this_version_cannot_call() -> None:
    assert told(MODELS) == []


def test_keys_are_told_apart_by_name_and_value_and_never_shown() -> None:
    text = f"{MODELS}keys: [{{name: a, key: sk-1}}, {{name: a, key: sk-2}}, {{name: b, key: sk-1, models: [small, x]}}]"
    assert [path for path, _ in told(text)] == ["keys[1].name", "keys[2].key", "keys[2].models[1]"]
    assert "sk-" not in str(told(text))


def test_an_empty_document_serves_nothing() -> None:
    assert told("{}") == [("document", "declares no providers, models or routes: nothing to serve")]


@pytest.mark.parametrize(
    ("server", "env", "problems"),
    [
        ("{}", {}, 1),
        ("{auth: keys}", {"POLYROUTE_ADMIN_KEY": ""}, 1),
        ("{auth: keys}", {"POLYROUTE_ADMIN_KEY": "x"}, 0),
        ("{auth: open}", {}, 0),
    ],
)
def test_serving_needs_somebody_who_may_call(server: str, env: dict[str, str], problems: int) -> None:
    found = check_start(document_of(f"server: {server}"), env)
    assert len(found) == problems
    for problem in found:
        assert all(way in (problem.fix or "") for way in ("`keys`", "POLYROUTE_ADMIN_KEY", "`auth: open`"))
        assert "keys create" not in (problem.fix or ""), "a command that this version does not have"


def test_a_declared_key_is_enough_to_start() -> None:
    assert check_start(document_of("keys: [{name: a, key: b}]"), {}) == ()


def test_a_long_chain_of_routes_is_followed_to_its_end() -> None:
    chain = "".join(f"  r{n}: {{primary: r{n + 1}, fallback: [r{n + 1}]}}\n" for n in range(1, 1500))
    ends = "  r0: {primary: r1, region: eu}\n  r1500: {primary: at_home, fallback: r2}\n"
    ((path, message),) = told(f"{MODELS}routes:\n{ends}{chain}")
    assert path == "routes.r1500.fallback"
    assert message.startswith("leads back to itself: r2 → r3")


def test_every_capability_and_input_of_the_catalogue_may_be_named() -> None:
    overlay = json.loads((cards.DATA / "overlay.json").read_bytes())
    facts = [*overlay["groups"], *(row for group in overlay["groups"] for row in group["models"])]
    assert {word for fact in facts for word in fact.get("capabilities") or ()} <= CAPABILITIES
    assert {word for fact in facts for word in fact.get("modalities") or ()} <= {"text", *MODALITIES.values()}


def test_a_misspelt_quirk_is_named_wherever_it_stands() -> None:
    found = problems_of(
        """
providers: {sim: {dialect: simulated, quirks: [no_sed]}}
models:
  a: {provider: sim, quirks: [-max_tokns, no_seed]}
  b: {deployments: [{provider: sim, quirks: [nothing_like_it]}]}
"""
    )
    assert [(problem.path, problem.fix) for problem in found][:2] == [
        ("providers.sim.quirks[0]", "did you mean `no_seed`?"),
        ("models.a.quirks[0]", "did you mean `max_tokens`?"),
    ]
    assert found[2].path == "models.b.deployments[0].quirks[0]"


@pytest.mark.parametrize("bucket", ["gs://", "gs:///x", "https://x", "name", ""])
def test_a_bucket_that_is_opened_has_a_name(bucket: str) -> None:
    text = MODELS.replace("api_key: x", f"api_key: x, buckets: ['gs://fine/folder/', '{bucket}']")
    assert told(text) == [("providers.google.buckets[1]", f"`{bucket}` names no bucket")]
