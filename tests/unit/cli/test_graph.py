from datetime import date
from pathlib import Path

from polyroute.catalog.cards import Catalogue
from polyroute.cli.graph import flowchart
from polyroute.config.load import reads
from polyroute.config.resolve import deployments

MODELS = """
server: {auth: open}
providers: {sim: {dialect: simulated}}
models:
  small: {provider: sim, price: {input: 0.15, output: 0.60}}
  large: {provider: sim, price: {input: 2.50, output: 10.00}}
  mine: {provider: sim, price: free}
  odd: {provider: sim}
routes:
"""


def drawn(routes: str, only: str | None = None) -> list[str]:
    document = reads(MODELS + routes, {}, folder=Path()).document
    text = flowchart(document, deployments(document, Catalogue()), date(2026, 1, 1), only=only)
    return [line.strip() for line in text.splitlines()]


def test_a_tiered_route_is_drawn_from_the_query_through_the_classification_to_models_with_prices() -> None:
    lines = drawn("  auto: {strategy: {use: complexity, simple: small, moderate: large, complex: odd}, fallback: mine}")
    assert lines[0] == "flowchart TD"
    for line in (
        "query --> route1",
        'route1choice{"classify complexity"}',
        'model1["small<br/>$0.15 in, $0.6 out per 1M tokens"]',
        'model3["odd<br/>price unknown"]',
        'model4["mine<br/>free"]',
        "route1choice -->|simple| model1",
        "route1choice -->|moderate| model2",
        "route1choice -->|complex| model3",
        "model1 -.->|fails| model4",
        "model3 -.->|fails| model4",
    ):
        assert line in lines
    assert [line for line in lines if line.startswith("style model1 ")]


def test_a_cascade_shows_what_rejects() -> None:
    lines = drawn("  extract: {strategy: {use: cascade, models: [small, large]}, gates: [{use: json}]}")
    assert "route1 --> model1" in lines
    assert "model1 -.->|rejected by json| model2" in lines


def test_rules_tasks_and_logic_show_their_conditions() -> None:
    lines = drawn(
        """
  ruled: {strategy: {use: rules, rules: [{when: {contains: [refund]}, model: large}], default: small}}
  tasked: {strategy: {use: task, tasks: {code: large}, default: small}}
  plain: {strategy: {use: logic, answers: [{when: {max_words: 3}, text: hello}], otherwise: small}}
"""
    )
    assert "route1choice -->|refund| model1" in lines
    assert "route1choice -->|none| model2" in lines
    assert "route2choice -->|code| model1" in lines
    assert "route2choice -->|any other| model2" in lines
    assert "route3choice -->|3 words or fewer| route3logic1" in lines
    assert "route3choice -->|otherwise| model2" in lines


def test_one_route_can_be_drawn_alone() -> None:
    routes = "  one: {primary: small}\n  two: {primary: large}"
    assert [line for line in drawn(routes, only="two") if "route" in line] == [
        'route1["route two"]',
        "query --> route1",
        "route1 --> model1",
    ]


def test_marks_of_mermaid_in_names_are_written_as_entities() -> None:
    rule = "{when: {contains: ['say \"a|b\" <now>']}, model: small}"
    lines = drawn(f"  r: {{strategy: {{use: rules, rules: [{rule}], default: large}}}}")
    assert "route1choice -->|say #quot;a#124;b#quot; #lt;now#gt;| model1" in lines
