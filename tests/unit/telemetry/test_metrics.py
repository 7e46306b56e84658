import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.unit.rig import Rig, a_route, deployment

from polyroute.errors import Overloaded, PlanExhausted
from polyroute.telemetry.metrics import Metrics
from polyroute.testing.providers import a_response
from polyroute.types.response import Usage

USAGE = Usage(
    input_tokens=100, cached_input_tokens=10, cache_write_1h_tokens=5, output_tokens=50, reasoning_tokens=7
)  # fmt: skip
BUSY = Overloaded("busy", http_status=529)


async def booked() -> tuple[Metrics, Rig]:
    """One request that fell back, and one that failed."""
    route = a_route(deployment("first", max_tries=1), deployment("second", max_tries=1))
    rig = Rig({"first": BUSY, "second": [a_response("hello", usage=USAGE), BUSY]}, route)
    await rig.answer()
    with pytest.raises(PlanExhausted):
        await rig.answer()
    metrics = Metrics()
    for receipt in rig.observed:
        metrics.answered(receipt)
    return metrics, rig


def figures(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(metrics.render().decode())
        for sample in family.samples
    }


async def test_what_was_answered_is_counted() -> None:
    metrics, rig = await booked()
    told = figures(metrics)

    def of(name: str, **labels: str) -> float:
        return told[name, tuple(sorted(labels.items()))]

    second = {"model": "second", "provider": "provider"}
    assert of("polyroute_requests_total", route="route", state="settled", **second) == 1
    assert of("polyroute_requests_total", route="route", state="failed", model="", provider="") == 1
    assert of("polyroute_attempts_total", status="failed", model="first", provider="provider") == 2
    assert of("polyroute_attempts_total", status="succeeded", **second) == 1
    assert of("polyroute_fallbacks_total", route="route", reason="Overloaded 529") == 1
    tokens = {"input": 100, "cached_input": 10, "cache_write": 5, "output": 50, "reasoning": 7}
    assert {name: of("polyroute_tokens_total", **second, **{"class": name}) for name in tokens} == tokens
    spent = sum(receipt.cost_usd for receipt in rig.observed)
    assert of("polyroute_cost_usd_total", route="route", **second) == pytest.approx(float(spent))
    assert of("polyroute_saved_usd_total", route="route") == pytest.approx(0.0)
    assert of("polyroute_upstream_seconds_count", **second) == 2
    assert of("polyroute_overhead_seconds_count", route="route") == 2


async def test_buckets_rise_to_the_count() -> None:
    metrics, _ = await booked()
    for family in text_string_to_metric_families(metrics.render().decode()):
        if family.type == "histogram":
            by_labels: dict[tuple[tuple[str, str], ...], list[float]] = {}
            for sample in family.samples:
                if sample.name.endswith("_bucket"):
                    labels = tuple(sorted((k, v) for k, v in sample.labels.items() if k != "le"))
                    by_labels.setdefault(labels, []).append(sample.value)
            assert all(values == sorted(values) for values in by_labels.values())


async def test_nothing_is_labelled_by_caller() -> None:
    metrics, _ = await booked()
    text = metrics.render().decode()
    assert "ann" not in text
    assert "blue" not in text


def test_refusals_are_counted_by_code() -> None:
    metrics = Metrics()
    metrics.refused("rate_limit_exceeded")
    assert 'polyroute_refused_total{code="rate_limit_exceeded"} 1.0' in metrics.render().decode()


def test_two_gateways_in_a_process_do_not_mix() -> None:
    first, second = Metrics(), Metrics()
    first.refused("x")
    assert "polyroute_refused_total{" not in second.render().decode()
