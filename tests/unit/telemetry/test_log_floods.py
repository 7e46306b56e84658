"""Lines stay short, and a flood of failures is counted rather than written."""

import json
import logging
from datetime import UTC, datetime

import pytest

from polyroute.telemetry.log import JsonLines, RequestLog, log_request
from polyroute.types.access import Caller
from polyroute.types.receipt import Receipt
from polyroute.types.trace import Trace


@pytest.fixture(autouse=True)
def listening(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("polyroute"), "propagate", True)
    caplog.set_level(logging.INFO, logger="polyroute.requests")


def failed(text: str = "x") -> Receipt:
    return Receipt(
        request_id="req_01ARZ3NDEKTSV4RRFFQ69G5FAV",
        client_request_id=text * 128,
        time=datetime(2026, 1, 1, tzinfo=UTC),
        caller=Caller(),
        door="openai_chat",
        route=text * 300,
        requested_model=text,
        policy="p" * 64,
        state="failed",
        plan_reason=text * 3000,
        fallback_reason=text * 3000,
        model=text * 300,
        provider=text * 300,
        error="PlanExhausted",
        trace=Trace.begin("r"),
    )


def test_a_line_is_at_most_one_kilobyte_and_names_the_trace(caplog: pytest.LogCaptureFixture) -> None:
    log_request(failed())
    line = JsonLines().format(caplog.records[0])
    assert len(line.encode()) <= 1024
    assert json.loads(line)["request"]["trace_id"] == Trace.begin("r").trace_id


def test_of_a_flood_the_first_of_each_second_are_written_and_the_others_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now_s = [0.0]
    log = RequestLog(lambda: now_s[0], per_second=3)
    for _ in range(10):
        log.tell(failed())
    assert len(caplog.records) == 3
    now_s[0] = 1.0
    log.look()
    assert json.loads(caplog.records[-1].getMessage()) == {"untold": 7}
    log.tell(failed())
    assert len(caplog.records) == 5, "a new second"
