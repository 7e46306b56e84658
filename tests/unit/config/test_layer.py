"""What a layer makes of the document for one tenant, and what it may not."""

from pathlib import Path

import pytest

from polyroute.config.document import Document
from polyroute.config.layer import differences, lay
from polyroute.config.load import reads

TEXT = """
providers: {a: {dialect: simulated, region: eu, private: true}, b: {dialect: simulated}}
models: {one: a/one, two: b/two}
routes:
  free: {primary: two, fallback: one}
  bound: {primary: one, region: eu, private: true, allowed_providers: [a], data_policy: {retention_days: 30},
          privacy: {detect: [email, card], on_pii: redact}, require_human_review: true}
tenants: {acme: {region: eu}}
limits: {per_user_per_minute: 5, per_team_daily_usd: 10}
"""


@pytest.fixture(scope="module")
def document() -> Document:
    return reads(TEXT, {}, folder=Path()).document


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        pytest.param({"routes": {"free": {"primary": "one"}}}, {"routes.free.primary": ("two", "one")}, id="a model"),
        pytest.param(
            {"routes": {"free": {"strategy": {"use": "cheapest", "models": ["one", "two"]}}}},
            {
                "routes.free.primary": ("two", None),
                "routes.free.strategy": (None, {"use": "cheapest", "models": ("one", "two")}),
            },
            id="a strategy takes the place of the primary",
        ),
        pytest.param({"limits": {"per_user_per_minute": 9}}, {"limits.per_user_per_minute": (5, 9)}, id="a limit"),
        pytest.param({"policy": {"private": True}}, {"policy.private": (False, True)}, id="narrower"),
        pytest.param(
            {"routes": {"bound": {"data_policy": {"retention_days": 0}, "allowed_providers": ["a"]}}},
            {"routes.bound.data_policy": (
                {"retention_days": 30, "trains": None}, {"retention_days": 0, "trains": None})},
            id="kept shorter",
        ),
        pytest.param({}, {}, id="nothing"),
    ],
)  # fmt: skip
def test_only_what_is_given_differs(
    document: Document, layer: dict[str, object], expected: dict[str, tuple[object, object]]
) -> None:
    laid = lay(document, "acme", layer)
    assert laid.problems == ()
    assert {d.path: (d.base, d.override) for d in differences(document, laid, "acme")} == expected
    assert laid.document.tenants["acme"].region == "eu"


@pytest.mark.parametrize(
    ("layer", "path"),
    [
        ({"routes": {"bound": {"region": "us"}}}, "routes.bound.region"),
        ({"routes": {"bound": {"private": False}}}, "routes.bound.private"),
        ({"routes": {"bound": {"allowed_providers": ["a", "b"]}}}, "routes.bound.allowed_providers"),
        ({"routes": {"bound": {"allowed_providers": None}}}, "routes.bound.allowed_providers"),
        ({"routes": {"bound": {"data_policy": {}}}}, "routes.bound.data_policy.retention_days"),
        ({"routes": {"bound": {"privacy": None}}}, "routes.bound.privacy.detect"),
        (
            {"routes": {"bound": {"privacy": {"detect": ["email"], "on_pii": "redact"}}}},
            "routes.bound.privacy.detect",
        ),
        ({"routes": {"bound": {"privacy": {"on_pii": "private"}}}}, "routes.bound.privacy.on_pii"),
        ({"routes": {"bound": {"require_human_review": False}}}, "routes.bound.require_human_review"),
        ({"policy": {"region": "us"}}, "policy.region"),
        ({"policy": {"region": None}}, "policy.region"),
        ({"keys": []}, "keys"),
    ],
)
def test_what_keeps_data_in_bounds_is_never_widened(document: Document, layer: dict[str, object], path: str) -> None:
    laid = lay(document, "acme", layer)
    assert path in [problem.path for problem in laid.problems]
    assert laid.document is document


def test_every_problem_is_told_at_once(document: Document) -> None:
    layer: dict[str, object] = {"routes": {"free": {"primary": "x", "timeout_s": "long"}, "none": {}}, "server": {}}
    paths = {problem.path for problem in lay(document, "acme", layer).problems}
    assert paths >= {"routes.free.timeout_s", "routes.none", "server"}
