import logging
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from polyroute.telemetry.tiers import TierTarget, TierWatch
from polyroute.types.access import Caller
from polyroute.types.receipt import Attempt, Receipt
from polyroute.types.response import Usage
from polyroute.types.routing import Classification

TARGETS = {("support", "simple"): TierTarget(latency_ms=100, usd_per_million=Decimal("0.15"))}


def receipt(*, took_ms: float = 50, usd: str = "0.00001", route: str = "support") -> Receipt:
    attempt = Attempt(
        id="a",
        step=0,
        deployment="d",
        provider="p",
        model="m",
        upstream_model="m",
        status="succeeded",
        duration_ms=took_ms,
    )
    return Receipt(
        request_id="r",
        time=datetime(2026, 1, 1, tzinfo=UTC),
        caller=Caller(),
        door="openai_chat",
        route=route,
        requested_model=route,
        policy="p",
        state="settled",
        classification=Classification(label="simple", score=0.1, classifier="c"),
        attempts=(attempt,),
        usage=Usage(input_tokens=60, output_tokens=40),
        cost_usd=Decimal(usd),
    )


def watch(now_s: list[float]) -> TierWatch:
    return TierWatch(TARGETS, lambda: now_s[0])


def test_an_answer_within_its_targets_is_no_breach() -> None:
    assert watch([0.0]).note(receipt()) == ()


def test_each_target_that_is_missed_is_named() -> None:
    kinds = [breach.kind for breach in watch([0.0]).note(receipt(took_ms=300, usd="0.001"))]
    assert kinds == ["latency", "price"]


def test_a_route_without_targets_is_not_watched() -> None:
    assert watch([0.0]).note(receipt(took_ms=9_000, route="other")) == ()


def test_many_breaches_raise_one_alert_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    now_s = [0.0]
    tiers = watch(now_s)
    with caplog.at_level(logging.WARNING, logger="polyroute.alerts"):
        for _ in range(30):
            tiers.note(receipt(took_ms=300))
        assert len(caplog.records) == 1
        now_s[0] = 61.0
        tiers.note(receipt(took_ms=300))
    assert len(caplog.records) == 2
    assert "miss the target of 100 ms" in caplog.text


def test_a_few_breaches_among_many_answers_raise_none(caplog: pytest.LogCaptureFixture) -> None:
    tiers = watch([0.0])
    with caplog.at_level(logging.WARNING, logger="polyroute.alerts"):
        for number in range(60):
            tiers.note(receipt(took_ms=300 if number % 4 == 0 else 50))
    assert caplog.records == []
