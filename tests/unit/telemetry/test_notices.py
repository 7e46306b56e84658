import json
import logging
from datetime import UTC, datetime

import pytest

from polyroute.telemetry.alerts import Notice
from polyroute.telemetry.notices import Channel

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
RAISED = Notice(event="raised", condition="p95_ms > 5", subject="a", message="a <b> & c", figure=7.0)


def test_json_says_all_there_is() -> None:
    sent: list[dict[str, object]] = []
    Channel("webhook", sent.append, lambda: NOON).tell(RAISED, 0.0)
    assert sent == [
        {
            "event": "alert.raised",
            "condition": "p95_ms > 5",
            "subject": "a",
            "message": "a <b> & c",
            "figure": 7.0,
            "count": 1,
            "time": NOON,
        }
    ]


def test_slack_gets_one_text_in_which_nothing_is_markup() -> None:
    sent: list[dict[str, object]] = []
    Channel("slack", sent.append, lambda: NOON).tell(RAISED, 0.0)
    assert sent == [{"text": ":rotating_light: *polyroute: raised* a &lt;b&gt; &amp; c"}]


def test_beyond_twenty_a_minute_they_are_counted() -> None:
    sent: list[dict[str, object]] = []
    channel = Channel("webhook", sent.append, lambda: NOON)
    for _ in range(25):
        channel.tell(RAISED, 0.0)
    assert len(sent) == 20
    channel.tell(RAISED, 60.0)
    assert sent[-1]["untold"] == 5


def test_the_log_gets_json(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("polyroute"), "propagate", True)
    Channel("log", None, lambda: NOON).tell(RAISED, 0.0)
    assert json.loads(caplog.records[0].getMessage())["condition"] == "p95_ms > 5"
