"""Who watches follows the document, and remembers what was told."""

import asyncio
import logging
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.unit.telemetry.otlp.test_exporter import Wire, receipt

from polyroute.config.document import Document
from polyroute.config.load import loads
from polyroute.state.accounts.accounts import Accounts
from polyroute.state.accounts.allowances import Allowances
from polyroute.telemetry.metrics import Metrics
from polyroute.wiring.watching import Watch

FAILED = replace(receipt(sampled=False), state="failed", error="PlanExhausted")
BASE = "providers: {sim: {dialect: simulated}}\nmodels: {m: sim/m}\n"
LOG = "alerts: [{use: log, on: [plan_exhausted]}]\n"
OTLP = "telemetry: {otlp: 'http://c:4318', sampled: 0.0}\n"


@pytest.fixture(autouse=True)
def listening(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("polyroute"), "propagate", True)


def document(*parts: str) -> Document:
    return loads("".join((BASE, *parts)), {}, folder=Path("/nowhere")).document


def watch(wire: Wire | None = None) -> Watch:
    return Watch(Metrics(), Accounts(Allowances()), wire or Wire(200))


def told(caplog: pytest.LogCaptureFixture) -> int:
    return sum(record.name == "polyroute.alerts" for record in caplog.records)


async def test_an_alert_that_stays_in_the_document_is_not_told_again(caplog: pytest.LogCaptureFixture) -> None:
    one = watch()
    for _ in range(2):
        one.follow(document(LOG))
        one.observe(FAILED)
    assert told(caplog) == 1


async def test_an_alert_that_left_the_document_is_not_told(caplog: pytest.LogCaptureFixture) -> None:
    one = watch()
    one.follow(document(LOG))
    one.follow(document())
    one.observe(FAILED)
    assert told(caplog) == 0


async def test_a_trace_begins_only_where_somebody_would_see_it() -> None:
    one = watch()
    one.follow(document())
    assert one.begin_trace("req_1") is None
    one.follow(document(OTLP))
    begun = one.begin_trace("req_1")
    assert begun is not None
    assert not begun.sampled, "a share of none"
    await one.aclose()


async def test_a_collector_that_left_the_document_gets_its_last_words() -> None:
    wire = Wire(200)
    one = watch(wire)
    one.follow(document(OTLP))
    one.observe(receipt())
    one.follow(document())
    one.observe(receipt(1))
    await asyncio.gather(*one._under_way)
    assert [url.rpartition("/")[2] for url, _, _ in wire.sent] == ["traces", "metrics"]
    assert b"req_1" not in wire.sent[0][1]
    await one.aclose()
