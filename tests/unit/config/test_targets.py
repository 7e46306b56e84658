"""What a route points at."""

from pathlib import Path

import pytest

from polyroute.config.load import loads
from polyroute.config.targets import targets_of


@pytest.mark.parametrize(
    ("route", "targets"),
    [
        ("{primary: a, fallback: b}", [("primary", "a"), ("fallback", "b")]),
        ("{primary: a, fallback: [b, c]}", [("primary", "a"), ("fallback[0]", "b"), ("fallback[1]", "c")]),
        ("{strategy: {use: cascade, models: [a, b]}}", [("strategy.models[0]", "a"), ("strategy.models[1]", "b")]),
        (
            "{strategy: {use: complexity, simple: a, moderate: b, complex: c}}",
            [("strategy.simple", "a"), ("strategy.moderate", "b"), ("strategy.complex", "c")],
        ),
        (
            "{strategy: {use: task, tasks: {code: a}, default: b}}",
            [("strategy.tasks.code", "a"), ("strategy.default", "b")],
        ),
        ("{strategy: {use: logic, answers: [{when: {}, text: x}], otherwise: a}}", [("strategy.otherwise", "a")]),
        (
            "{strategy: {use: split, arms: [{route: a}, {route: b}]}}",
            [("strategy.arms[0].route", "a"), ("strategy.arms[1].route", "b")],
        ),
        ("{strategy: {use: llm, models: [a], router: b}}", [("strategy.models[0]", "a"), ("strategy.router", "b")]),
    ],
)
def test_every_name_with_its_path_in_order(route: str, targets: list[tuple[str, str]]) -> None:
    document = loads(f"routes: {{r: {route}}}", {}, folder=Path("/nowhere")).document
    assert list(targets_of(document.routes["r"])) == targets
