"""A started gateway and those who watch it: a collector that reads OTLP, Prometheus, webhooks."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.journeys.rig import ADMIN, DOCUMENT, ENV, PATIENCE_S, Rig, ask, gateway
from tests.journeys.upstream import Answer, Heard, Upstream, chat, message, message_events, stream, text_block, upstream
from tests.rig.collector import Collector, collector, told

CHAT = "/v1/chat/completions"
ROUTE = "routes:\n  kept: {primary: gpt, fallback: claude, baseline: claude}\n"
BROKEN = Answer(status=500, pieces=(b"{}",))
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@asynccontextmanager
async def watched(folder: Path, more: str = "") -> AsyncIterator[tuple[Rig, Upstream, Collector]]:
    """What the collector heard is complete once the gateway has closed: it tells its last words then."""
    async with collector() as listener, upstream() as provider:
        provider.answers(chat("ok"))
        top = f"telemetry: {{otlp: '{listener.url}'{more}}}\n"
        async with gateway(DOCUMENT.format(url=provider.url) + ROUTE + top, folder) as rig:
            yield rig, provider, listener


@pytest.mark.parametrize("encoding", ["protobuf", "json"])
async def test_a_request_is_a_span_with_one_below_it_for_each_attempt(encoding: str, tmp_path: Path) -> None:
    async with watched(tmp_path, f", encoding: {encoding}") as (rig, provider, listener):
        provider.answers(BROKEN, chat("ok"))
        provider.script = lambda heard: BROKEN if heard.path.endswith("completions") else message(text_block("ok"))
        headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "a=1"}
        answer = await rig.post(CHAT, ask(model="kept"), headers=headers)
        assert answer.status == 200
        receipt = await rig.receipt(answer)
        await rig.built.foundation.watch.aclose()
        request, *attempts = sorted(listener.spans, key=lambda span: span.start_time_unix_nano)
    assert {span.trace_id.hex() for span in (request, *attempts)} == {TRACE}
    assert (request.parent_span_id.hex(), request.kind, request.trace_state) == (PARENT, 2, "a=1")
    assert answer.headers["traceparent"].split("-")[2] == request.span_id.hex()
    assert [span.parent_span_id for span in attempts] == [request.span_id] * len(receipt.attempts)
    heard = [call.headers["traceparent"].split("-")[2] for call in provider.log]
    assert [span.span_id.hex() for span in attempts] == heard, "the provider was told the span of its attempt"
    assert [span.status.code for span in attempts] == [2, 0]
    about = told(request.attributes)
    assert about["gen_ai.operation.name"] == "chat"
    assert about["gen_ai.request.model"] == "kept"
    assert about["polyroute.model"] == "claude"
    assert about["polyroute.fallback.reason"] == receipt.fallback_reason
    assert about["polyroute.request_id"] == receipt.request_id
    calls = [told(span.attributes) for span in attempts]
    assert [call["gen_ai.provider.name"] for call in calls] == ["openai", "anthropic"]
    assert calls[0]["error.type"] == "Overloaded"
    assert calls[1]["gen_ai.usage.input_tokens"] == receipt.attempts[1].usage.total_input_tokens  # type: ignore[union-attr]
    assert all(span.start_time_unix_nano <= span.end_time_unix_nano <= request.end_time_unix_nano for span in attempts)


async def test_figures_agree_with_the_ledger(tmp_path: Path) -> None:
    async with watched(tmp_path) as (rig, _, listener):
        for _ in range(3):
            await rig.post(CHAT, ask(model="kept"))
        receipts = await rig.settled(3)
        await rig.built.foundation.watch.aclose()
        found = listener.metrics
        scraped = await _scrape(rig)
    spent = sum(float(receipt.cost_usd) for receipt in receipts)
    usage = [receipt.usage for receipt in receipts if receipt.usage is not None]
    assert sum(point.as_double for point in found["polyroute_cost_usd"].sum.data_points) == pytest.approx(spent)
    assert scraped["polyroute_cost_usd_total"] == pytest.approx(spent)
    tokens = {
        told(point.attributes)["gen_ai.token.type"]: point.sum
        for point in found["gen_ai.client.token.usage"].histogram.data_points
    }
    assert tokens == {
        "input": sum(one.total_input_tokens for one in usage),
        "output": sum(one.total_output_tokens for one in usage),
    }
    (duration,) = found["gen_ai.client.operation.duration"].histogram.data_points
    assert (duration.count, sum(duration.bucket_counts), len(duration.bucket_counts)) == (3, 3, 15)
    assert told(duration.attributes)["gen_ai.provider.name"] == "openai"


async def test_prompts_and_answers_are_told_nobody(tmp_path: Path) -> None:
    async with watched(tmp_path) as (rig, provider, listener):
        provider.answers(chat("the secret answer"))
        await rig.post(CHAT, ask("the secret prompt"))
        await rig.built.foundation.watch.aclose()
    assert listener.taken.log
    assert not any(b"secret" in heard.body for heard in listener.taken.log)


async def test_where_the_document_says_so_they_are_told_with_personal_data_masked(tmp_path: Path) -> None:
    async with watched(tmp_path, ", content: true") as (rig, provider, listener):
        provider.answers(chat("written to bob@example.com"))
        answer = await rig.post(CHAT, ask("write to ann@example.com"))
        assert b"bob@example.com" in answer.body, "the caller gets its answer as it is"
        await rig.built.foundation.watch.aclose()
    about = next(told(span.attributes) for span in listener.spans if span.kind == 2)
    asked, said = orjson.loads(about["gen_ai.input.messages"]), orjson.loads(about["gen_ai.output.messages"])
    assert asked == [{"role": "user", "parts": [{"type": "text", "content": "write to [email]"}]}]
    assert said == [
        {"role": "assistant", "parts": [{"type": "text", "content": "written to [email]"}], "finish_reason": "end"}
    ]


async def test_no_request_is_slower_or_lost_for_a_dead_collector(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("polyroute"), "propagate", True)
    async with upstream() as provider:
        provider.answers(chat("ok"))
        top = "telemetry: {otlp: 'http://127.0.0.1:9'}\n"
        async with gateway(DOCUMENT.format(url=provider.url) + top, tmp_path) as rig:
            for _ in range(3):
                assert (await rig.post(CHAT, ask())).status == 200
                await rig.built.foundation.watch.aclose()
    away = {id(record) for record in caplog.records if "collector" in record.getMessage()}
    assert len(away) == 1, "once a minute; more than one handler may hear the same record"


async def test_a_trace_that_is_not_sampled_goes_on_and_is_not_told(tmp_path: Path) -> None:
    async with watched(tmp_path) as (rig, provider, listener):
        await rig.post(CHAT, ask(), headers={"traceparent": f"00-{TRACE}-{PARENT}-00"})
        await rig.built.foundation.watch.aclose()
        assert provider.last.headers["traceparent"].startswith(f"00-{TRACE}-")
        assert provider.last.headers["traceparent"].endswith("-00")
    assert listener.spans == []


async def test_a_request_without_a_trace_begins_one(tmp_path: Path) -> None:
    async with watched(tmp_path) as (rig, provider, listener):
        answer = await rig.post(CHAT, ask())
        await rig.built.foundation.watch.aclose()
    request = next(span for span in listener.spans if span.kind == 2)
    assert request.parent_span_id == b""
    assert answer.headers["traceparent"] == f"00-{request.trace_id.hex()}-{request.span_id.hex()}-01"
    assert provider.last.headers["traceparent"].split("-")[1] == request.trace_id.hex()


async def test_the_collectors_headers_come_from_the_document(tmp_path: Path) -> None:
    async with watched(tmp_path, ", service: shop, headers: {x-tenant: '7'}") as (rig, _, listener):
        await rig.post(CHAT, ask())
        await rig.built.foundation.watch.aclose()
    assert {heard.headers["x-tenant"] for heard in listener.taken.log} == {"7"}
    assert all(b"shop" in heard.body for heard in listener.taken.log)


PROMISED = {
    "polyroute_requests_total": {"route", "model", "provider", "state"},
    "polyroute_attempts_total": {"model", "provider", "status"},
    "polyroute_fallbacks_total": {"route", "reason"},
    "polyroute_tokens_total": {"model", "provider", "class"},
    "polyroute_cost_usd_total": {"route", "model", "provider"},
    "polyroute_saved_usd_total": {"route"},
    "polyroute_overhead_seconds_bucket": {"route", "le"},
    "polyroute_upstream_seconds_bucket": {"model", "provider", "le"},
    "polyroute_first_token_seconds_bucket": {"model", "provider", "le"},
    "polyroute_cache_total": {"tier", "outcome"},
    "polyroute_budget_remaining_usd": {"budget"},
    "polyroute_breaker_state": {"deployment"},
    "polyroute_in_flight": {"deployment"},
}


@pytest.mark.parametrize("name", PROMISED)
async def test_every_promised_metric_is_offered_with_its_labels(name: str, tmp_path: Path) -> None:
    async with upstream() as provider:
        document = DOCUMENT.format(url=provider.url).replace(
            "10.00}}", "10.00}, budget: {daily_usd: 5}}"
        ) + ROUTE  # fmt: skip
        async with gateway(document, tmp_path) as rig:
            provider.script = lambda heard: BROKEN if heard.path.endswith("completions") else message(text_block("ok"))
            for _ in range(8):
                assert (await rig.post(CHAT, ask(model="kept"))).status == 200
            provider.script = lambda heard: stream(*message_events("ok"))
            await rig.post("/v1/messages", {**ask(model="claude"), "max_tokens": 9, "stream": True})
            text = (await rig.get("/metrics", key=ADMIN)).body.decode()
    samples = [s for family in text_string_to_metric_families(text) for s in family.samples if s.name == name]
    assert samples, f"{name} is promised"
    assert {label for sample in samples for label in sample.labels} == PROMISED[name]
    assert not any("ci" in sample.labels.values() for sample in samples), "never by user"


async def test_a_primary_that_is_left_out_counts_as_one_that_did_not_answer(tmp_path: Path) -> None:
    async with watched(tmp_path) as (rig, provider, _):
        provider.script = lambda heard: BROKEN if heard.path.endswith("completions") else message(text_block("ok"))
        for _ in range(12):
            assert (await rig.post(CHAT, ask(model="kept"))).status == 200
        receipts = await rig.settled(12)
        assert any(receipt.passed_over == "gpt@oai: failing" for receipt in receipts), "its breaker opened"
        assert (await _scrape(rig))["polyroute_fallbacks_total"] == 12


ALERTS = """alerts:
  - {{use: webhook, url: "{url}/plain", secret: {{env: PROVIDER_KEY}}, on: [plan_exhausted, budget > 0.5]}}
  - {{use: slack, url: "{url}/slack", on: [plan_exhausted]}}
"""


async def test_an_alert_is_told_once_as_json_and_in_slacks_form(tmp_path: Path) -> None:
    async with upstream() as provider, upstream() as hooks:
        hooks.script = lambda heard: Answer(pieces=(b"ok",))
        provider.script = lambda heard: BROKEN
        document = DOCUMENT.format(url=provider.url) + ROUTE + ALERTS.format(url=hooks.url)
        async with gateway(document, tmp_path, {**ENV}) as rig:
            for _ in range(4):
                assert (await rig.post(CHAT, ask(model="kept"))).status == 502
            async with asyncio.timeout(PATIENCE_S):
                while len(hooks.log) < 2:
                    await asyncio.sleep(0.005)
    by_path = {heard.path: heard for heard in hooks.log}
    assert len(hooks.log) == len(by_path) == 2, "once each"
    plain = by_path["/plain"].json
    assert (plain["event"], plain["condition"], plain["subject"]) == ("alert.raised", "plan_exhausted", "kept")
    assert by_path["/plain"].headers["x-polyroute-signature"].startswith("t=")
    assert set(by_path["/slack"].json) == {"text"}


FALLING = """routes:
  broken: {primary: gpt, fallback: claude, baseline: claude}
  narrow: {primary: slow, fallback: claude, baseline: claude}
  well: {primary: claude, baseline: claude}
"""
NARROW = "models:\n  slow: {provider: oai, model: slow-up, limits: {per_minute: 3}, price: free}\n"


async def test_a_route_that_falls_back_too_often_is_told_with_why_and_others_are_not(tmp_path: Path) -> None:
    async with upstream() as provider, upstream() as hooks:
        hooks.script = lambda heard: Answer(pieces=(b"ok",))

        def answers(heard: Heard) -> Answer:
            if not heard.path.endswith("completions"):
                return message(text_block("ok"))
            return BROKEN if heard.json["model"] == "gpt-up" else chat("ok")

        provider.script = answers
        watch = f'alerts: [{{use: webhook, url: "{hooks.url}/", on: [fallback_share > 0.4]}}]\n'
        limits = "limits: {wait_s: 0}\n"
        document = DOCUMENT.format(url=provider.url).replace("models:\n", NARROW) + FALLING + limits + watch
        async with gateway(document, tmp_path) as rig:
            for _ in range(10):
                for route in ("broken", "narrow", "well"):
                    assert (await rig.post(CHAT, ask(model=route))).status == 200
            async with asyncio.timeout(PATIENCE_S):
                while len(hooks.log) < 2:
                    await asyncio.sleep(0.005)
    told = {heard.json["subject"]: heard.json for heard in hooks.log}
    assert set(told) == {"broken", "narrow"}
    assert {alert["condition"] for alert in told.values()} == {"fallback_share > 0.4"}
    assert "100% error" in told["broken"]["message"]
    assert "too low" not in told["broken"]["message"]
    assert "70%" in told["narrow"]["message"]
    assert "100% own limit" in told["narrow"]["message"]
    assert "the limits of `slow@oai` are too low, not its health" in told["narrow"]["message"]


async def _scrape(rig: Rig) -> dict[str, float]:
    text = (await rig.get("/metrics", key=ADMIN)).body.decode()
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found[sample.name] = found.get(sample.name, 0.0) + sample.value
    return found
