"""Batches, bounds and bad collectors. Nothing waits: the clock and the sleeping are the test's."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from msgspec.structs import replace
from tests.rig.collector import read_metrics, read_traces, told

from polyroute.errors import Unreachable
from polyroute.telemetry.otlp.content import Spoken
from polyroute.telemetry.otlp.exporter import Collector, Exporter
from polyroute.telemetry.otlp.values import resource, scope
from polyroute.types.access import Caller
from polyroute.types.cards import Deadlines
from polyroute.types.receipt import Attempt, Receipt
from polyroute.types.request import ask
from polyroute.types.response import Usage
from polyroute.types.trace import Trace


def receipt(number: int = 0, *, sampled: bool = True) -> Receipt:
    attempt = Attempt(
        id=f"req_{number}.0",
        step=0,
        deployment="m@p",
        provider="p",
        model="m",
        upstream_model="up",
        answered_model="up-1",
        status="succeeded",
        started_ms=1.0,
        first_token_ms=20.0,
        duration_ms=90.0,
        usage=Usage(input_tokens=100, cached_input_tokens=20, output_tokens=50, reasoning_tokens=5),
        cost_usd=Decimal("0.0005"),
    )
    return Receipt(
        request_id=f"req_{number}",
        time=datetime(2026, 3, 1, 12, tzinfo=UTC),
        caller=Caller(user="ann", team="blue"),
        door="openai_chat",
        route="support",
        requested_model="support",
        policy="p",
        state="settled",
        attempts=(attempt,),
        model="m",
        usage=attempt.usage,
        cost_usd=Decimal("0.0005"),
        total_ms=100.0,
        trace=Trace.begin(f"req_{number}") if sampled else None,
    )


class Reply:
    def __init__(self, status: int) -> None:
        self.status = status
        self.headers: Mapping[str, str] = {}

    async def read(self) -> bytes:
        return b""

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        yield b""

    def close(self) -> None: ...

    def detach(self) -> None: ...


class Wire:
    """A transport; the collector answers by `statuses`, the last one again and again; 0: nobody is there."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.sent: list[tuple[str, bytes, Mapping[str, str]]] = []

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], deadlines: Deadlines) -> Reply:
        self.sent.append((url, body, headers))
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        if status == 0:
            raise Unreachable("no connection")
        return Reply(status)

    async def get(self, url: str, headers: Mapping[str, str], deadlines: Deadlines) -> Reply:
        raise AssertionError("a collector is never asked")

    async def delete(self, url: str, headers: Mapping[str, str], deadlines: Deadlines) -> Reply:
        raise AssertionError("a collector has nothing to delete")

    async def aclose(self) -> None: ...


class Bench:
    def __init__(self, *statuses: int, is_json: bool = False) -> None:
        self.wire = Wire(*statuses)
        self.lost: Counter[str] = Counter()
        self.now_s = 0.0
        self.slept: list[float] = []
        self.exporter = Exporter(
            Collector(
                url="http://c:4318",
                headers={"x-key": "k"},
                is_json=is_json,
                resource=resource("shop", "1", "here"),
                scope=scope("1"),
                providers={"p": "openai"},
            ),
            self.wire,
            lambda: (),
            self._lose,
            unix_ns=lambda: int(self.now_s * 1e9),
            monotonic=lambda: self.now_s,
            sleep=self._sleep,
        )

    def _lose(self, kind: str, count: int) -> None:
        self.lost[kind] += count

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if len(self.slept) > 6:
            raise asyncio.CancelledError


@pytest.mark.parametrize("is_json", [False, True])
async def test_a_batch_is_one_message(is_json: bool) -> None:
    bench = Bench(200, is_json=is_json)
    for number in range(20):
        bench.exporter.tell(receipt(number))
    await bench.exporter.flush()
    ((url, body, headers),) = bench.wire.sent
    assert (url, headers["x-key"]) == ("http://c:4318/v1/traces", "k")
    (of_resource,) = read_traces(body, headers["content-type"]).resource_spans
    assert told(of_resource.resource.attributes)["service.name"] == "shop"
    spans = of_resource.scope_spans[0].spans
    assert len(spans) == 40
    assert len({span.span_id for span in spans}) == 40
    call = next(span for span in spans if span.kind == 3)
    about = told(call.attributes)
    assert about["gen_ai.usage.input_tokens"] == 120
    assert about["gen_ai.usage.output_tokens"] == 55
    assert about["gen_ai.usage.reasoning.output_tokens"] == 5
    assert about["polyroute.cost_usd"] == "0.0005"
    assert call.end_time_unix_nano - call.start_time_unix_nano == 90_000_000
    assert call.events[0].time_unix_nano - call.start_time_unix_nano == 20_000_000


async def test_nobody_is_told_who_asked() -> None:
    bench = Bench(200)
    bench.exporter.tell(receipt())
    await bench.exporter.flush()
    assert b"ann" not in bench.wire.sent[0][1]


async def test_what_a_collector_does_not_take_waits_and_the_oldest_goes_first() -> None:
    bench = Bench(0, 0, 200)
    for number in range(5000):
        bench.exporter.tell(receipt(number))
    assert bench.lost["spans"] == (5000 - 4096) * 2
    await bench.exporter.flush()
    await bench.exporter.flush()
    assert len(bench.wire.sent) == 2, "a failure ends the round"
    assert bench.lost["spans"] == (5000 - 4096) * 2, "nothing more is lost"
    await bench.exporter.flush()
    spans = [
        span
        for _, body, headers in bench.wire.sent[2:]
        for of_resource in read_traces(body, headers["content-type"]).resource_spans
        for span in of_resource.scope_spans[0].spans
    ]
    assert len(spans) == 4096 * 2


async def test_what_a_collector_refuses_is_dropped_and_counted() -> None:
    bench = Bench(400, 200)
    bench.exporter.tell(receipt())
    await bench.exporter.flush()
    await bench.exporter.flush()
    assert bench.lost["spans"] == 2
    assert len(bench.wire.sent) == 1


async def test_a_collector_that_is_away_is_asked_less_and_less_often(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("polyroute"), "propagate", True)
    bench = Bench(0)
    bench.exporter.tell(receipt())
    with pytest.raises(asyncio.CancelledError):
        await bench.exporter.run()
    assert bench.slept == [2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]
    assert len(set(caplog.records)) == 1, "said once a minute"  # more than one handler may have heard it


async def test_what_is_not_sampled_is_counted_and_not_traced() -> None:
    bench = Bench(200)
    bench.exporter.tell(receipt(sampled=False))
    await bench.exporter.aclose()
    ((url, body, headers),) = bench.wire.sent
    assert url.endswith("/v1/metrics")
    found = {
        m.name: m for m in read_metrics(body, headers["content-type"]).resource_metrics[0].scope_metrics[0].metrics
    }
    (first,) = found["gen_ai.server.time_to_first_token"].histogram.data_points
    assert first.sum == pytest.approx(0.021)
    assert list(found["gen_ai.client.token.usage"].histogram.data_points[0].explicit_bounds)[:3] == [1, 4, 16]


async def test_a_provider_that_names_a_new_model_each_time_adds_no_figures_without_end() -> None:
    bench = Bench(200)
    plain = receipt(sampled=False)
    for number in range(3000):
        answered = replace(plain.attempts[0], answered_model=f"m{number}")
        bench.exporter.tell(replace(plain, attempts=(answered,)))
    tokens, duration, _ = bench.exporter._genai.figures()
    assert len(duration.seen) <= 2001
    assert len(tokens.seen) <= 4002


@pytest.mark.parametrize("is_json", [False, True])
async def test_half_a_character_in_a_name_stops_nothing(is_json: bool) -> None:
    bench = Bench(200, is_json=is_json)
    broken = "\ud83d"
    odd = replace(receipt(), requested_model=broken, error=broken, error_message=broken, state="failed")
    bench.exporter.tell(odd)
    bench.exporter.tell_content(odd, Spoken(ask(broken, broken), None))
    await bench.exporter.flush()
    ((_, body, headers),) = bench.wire.sent
    (span, _) = read_traces(body, headers["content-type"]).resource_spans[0].scope_spans[0].spans
    assert (span.name, span.status.message) == ("chat ?", "?")
