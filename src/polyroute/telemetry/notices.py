"""Notices on their way to somebody: as JSON, as a Slack message, or in the log; so many a minute and no more."""

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Literal

from polyroute.telemetry.alerts import Notice
from polyroute.types.encoding import to_json

_LOG = logging.getLogger("polyroute.alerts")
_PER_MINUTE = 20
_MINUTE_S = 60.0
_MARKS = {"raised": ":rotating_light:", "recovered": ":white_check_mark:"}


class Channel:
    """Where one alert's notices go. `send` must not block; it is not given for the log."""

    def __init__(
        self,
        use: Literal["webhook", "slack", "log"],
        send: Callable[[dict[str, object]], None] | None,
        utc_now: Callable[[], datetime],
    ) -> None:
        self._shape = _slack if use == "slack" else _plain
        self._send = send
        self._utc_now = utc_now
        self._began_s = float("-inf")
        self._told = 0
        self._untold = 0

    def tell(self, notice: Notice, now_s: float) -> None:
        """Beyond so many in a minute they are counted, and the next one says how many."""
        if now_s - self._began_s >= _MINUTE_S:
            self._began_s, self._told = now_s, 0
        if self._told >= _PER_MINUTE:
            self._untold += 1
            return
        self._told += 1
        untold, self._untold = self._untold, 0
        body = self._shape(notice, self._utc_now(), untold)
        if self._send is not None:
            self._send(body)
        else:
            level = logging.WARNING if notice.event == "raised" else logging.INFO
            _LOG.log(level, "%s", to_json(body).decode())


def _plain(notice: Notice, now: datetime, untold: int) -> dict[str, object]:
    more: Mapping[str, object] = {"untold": untold} if untold else {}
    return {
        "event": f"alert.{notice.event}",
        "condition": notice.condition,
        "subject": notice.subject,
        "message": notice.message,
        "figure": notice.figure,
        "count": notice.count,
        "time": now,
        **notice.details,
        **more,
    }


def _slack(notice: Notice, now: datetime, untold: int) -> dict[str, object]:
    """Source: Slack's "Sending messages using incoming webhooks": `text`, with `&`, `<` and `>` escaped."""
    text = notice.message.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    more = f" ({untold} further alerts were not told)" if untold else ""
    return {"text": f"{_MARKS[notice.event]} *polyroute: {notice.event}* {text}{more}"}
