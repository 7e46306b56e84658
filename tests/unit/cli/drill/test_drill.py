"""Whole drills: the document's own routes, everything simulated, time skipped."""

from datetime import date
from functools import partial
from pathlib import Path

import pytest

from polyroute.catalog.cards import Catalogue
from polyroute.cli.drill.figures import Outcome, outcome
from polyroute.cli.drill.observed import observed
from polyroute.cli.drill.performance import perform
from polyroute.cli.drill.rehearsal import Fault, rehearsed
from polyroute.cli.drill.report import page
from polyroute.cli.drill.traffic import Asked
from polyroute.config.load import Loaded, reads
from polyroute.config.resolve import deployments
from polyroute.types.routing import Classification

DOCUMENT = """
providers:
  openai: {dialect: openai, api_key: "sk-never-to-be-seen"}
  anthropic: {dialect: anthropic, api_key: "sk-never-to-be-seen"}
models:
  small: {provider: openai, model: gpt-4o-mini, latency_ms: 500, tokens_per_s: 100}
  large: {provider: anthropic, model: claude-sonnet-4-5, latency_ms: 700, tokens_per_s: 50}
routes:
  support: {primary: small, fallback: large, gates: [{use: json}]}
  lonely: {primary: small}
limits: {per_user_per_minute: 1}
"""


def loaded() -> Loaded:
    return reads(DOCUMENT, {}, folder=Path("/nowhere"))


def asked(number: int, model: str = "support") -> Asked:
    return Asked(
        model=model,
        at_s=number / 10,
        input_tokens=300,
        output_tokens=100,
        classification=Classification(label="simple", score=0.1, classifier="test"),
    )


def drill(fault: Fault, traffic: list[Asked], *, slowness: float = 1.0) -> dict[str, Outcome]:
    document = loaded()
    behaviours = observed([], deployments(document.document, Catalogue()))

    def scene(what: Fault | None, folder: Path) -> Loaded:
        today = date(2026, 3, 1)
        return rehearsed(document, folder, behaviours, fault=what, provider="openai", slowness=slowness, today=today)

    def nothing() -> None:
        pass

    healthy = perform(partial(scene, None), traffic, with_fallback=True, on_answer=nothing)
    hurt = perform(partial(scene, fault), traffic, with_fallback=True, on_answer=nothing)
    alone = perform(partial(scene, fault), traffic, with_fallback=False, on_answer=nothing)
    runs = {"healthy": healthy, "with": hurt, "without": alone}
    return {name: outcome(name, run, healthy) for name, run in runs.items()}


@pytest.mark.parametrize("fault", ["outage", "ratelimit", "garbage"])
def test_with_a_fallback_everybody_is_answered_and_without_nobody(fault: Fault) -> None:
    found = drill(fault, [asked(number) for number in range(100)])
    assert [found[run].success_share for run in ("healthy", "with", "without")] == [1.0, 1.0, 0.0]
    assert [share.name for share in found["with"].answered_by] == ["anthropic"]
    assert found["with"].extra_usd > 0
    assert found["with"].attempts_per_request < 1.5
    assert found["healthy"].p50_ms == pytest.approx(500 + 100 / 100 * 1000, abs=20)


def test_a_slow_provider_costs_time_and_no_money() -> None:
    found = drill("slow", [asked(number) for number in range(30)], slowness=10)
    assert found["with"].success_share == 1.0
    assert found["with"].added_p50_ms == pytest.approx(9 * found["healthy"].p50_ms, rel=0.02)
    assert found["with"].extra_usd == 0


def test_a_route_without_a_fallback_fails_in_both() -> None:
    found = drill("outage", [asked(number, "lonely") for number in range(20)])
    assert found["with"].success_share == found["without"].success_share == 0
    assert [error.name for error in found["with"].errors] == ["PlanExhausted"]


def test_the_rehearsed_document_knows_no_address_and_no_secret(tmp_path: Path) -> None:
    document = loaded()
    behaviours = observed([], deployments(document.document, Catalogue()))
    made = rehearsed(
        document, tmp_path, behaviours, fault="outage", provider="openai", slowness=1, today=date(2026, 3, 1)
    ).document
    assert {provider.dialect for provider in made.providers.values()} == {"simulated"}
    assert all(provider.base_url is None and provider.api_key is None for provider in made.providers.values())
    assert made.limits.per_user_per_minute is None
    assert [place.id for place in deployments(made, Catalogue())] == ["small@openai", "large@anthropic"]


def test_the_page_says_that_it_is_simulated() -> None:
    found = drill("outage", [asked(number) for number in range(20)])
    text = page("Drill", list(found.values()), [], "Nothing was called.")
    assert "**Simulated.** Nothing was called." in text
    assert "| with | 100.00% |" in text
    assert "anthropic 100%" in text
