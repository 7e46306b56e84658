import contextlib
import json
import logging

import pytest
from tests.unit.rig import Rig, a_route, deployment

from polyroute.errors import Overloaded, PlanExhausted
from polyroute.telemetry.log import JsonLines, log_request
from polyroute.testing.providers import a_response

BUSY = Overloaded("busy", http_status=529)


@pytest.fixture(autouse=True)
def listening(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("polyroute"), "propagate", True)
    caplog.set_level(logging.INFO, logger="polyroute.requests")


async def receipt_of(*script: object) -> Rig:
    route = a_route(deployment("first", max_tries=1), deployment("second", max_tries=1))
    rig = Rig(dict(zip(("first", "second"), script, strict=True)), route)  # type: ignore[arg-type]
    with contextlib.suppress(PlanExhausted):
        await rig.answer()
    return rig


@pytest.mark.parametrize(
    ("script", "level", "answered_by", "primary_failed", "error"),
    [
        pytest.param((a_response("x"), BUSY), "INFO", "first", None, None, id="an ordinary answer"),
        pytest.param(
            (BUSY, a_response("x")), "WARNING", "second", "first@provider: Overloaded 529", None, id="a fallback"
        ),
        pytest.param((BUSY, BUSY), "WARNING", None, None, "PlanExhausted", id="a failure"),
    ],
)
async def test_one_line_says_who_answered_and_why_the_primary_did_not(
    script: tuple[object, ...],
    level: str,
    answered_by: str | None,
    primary_failed: str | None,
    error: str | None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    rig = await receipt_of(*script)
    log_request(rig.receipt)
    (record,) = caplog.records
    line = json.loads(record.getMessage())
    assert record.levelname == level
    assert (line["answered_by"], line["primary_failed"], line["error"]) == (answered_by, primary_failed, error)
    assert line["request_id"] == rig.receipt.request_id
    assert (line["fallback_ms"] is None) == (primary_failed is None)
    assert "hi" not in line.values(), "nothing of the prompt"


async def test_as_a_json_line_the_request_is_no_text_in_a_text(caplog: pytest.LogCaptureFixture) -> None:
    log_request((await receipt_of(BUSY, a_response("x"))).receipt)
    line = json.loads(JsonLines().format(caplog.records[0]))
    assert line["request"]["answered_by"] == "second"


def test_any_other_record_is_a_json_line_too() -> None:
    record = logging.LogRecord("polyroute.server", logging.ERROR, "", 0, 'a "quoted" %s', ("word",), None)
    assert json.loads(JsonLines().format(record)) == {
        "level": "ERROR",
        "logger": "polyroute.server",
        "message": 'a "quoted" word',
    }
