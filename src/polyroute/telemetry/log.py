"""One JSON line per request: who answered, why the primary did not, how long that took.

The logger is `polyroute.requests`. An answer that was not the primary's first is a warning, and so is a failure: those
lines come by default. Ordinary answers are logged at INFO. Nothing of a prompt or an answer is ever logged. A line is
at most 1 KB; where many requests fail at once, the first of each second are logged and the others counted.
"""

import logging

from polyroute.ports import Monotonic
from polyroute.types.encoding import to_json
from polyroute.types.receipt import Receipt

_log = logging.getLogger("polyroute.requests")
_FINE = ("settled", "cancelled")
_PER_SECOND = 50  # fallbacks and failures
_LONGEST = 72  # characters of what others named


class RequestLog:
    """`look` once a second, so that the last ones of a flood are counted too."""

    def __init__(self, monotonic: Monotonic, per_second: int = _PER_SECOND) -> None:
        self._monotonic = monotonic
        self._per_second = per_second
        self._began_s = float("-inf")
        self._logged = 0

    def tell(self, receipt: Receipt) -> None:
        if is_fine(receipt):
            log_request(receipt)
            return
        self.look()
        self._logged += 1
        if self._logged <= self._per_second:
            log_request(receipt)

    def look(self) -> None:
        now_s = self._monotonic()
        if now_s - self._began_s < 1.0:
            return
        untold = self._logged - self._per_second
        self._began_s, self._logged = now_s, 0
        if untold > 0:
            _log.warning("%s", to_json({"untold": untold}).decode())


def log_request(receipt: Receipt) -> None:
    level = logging.INFO if is_fine(receipt) else logging.WARNING
    if _log.isEnabledFor(level):
        _log.log(level, "%s", to_json(_line(receipt)).decode())


def is_fine(receipt: Receipt) -> bool:
    """It was answered, and by its primary."""
    return receipt.state in _FINE and receipt.fallback_reason is None


def _line(receipt: Receipt) -> dict[str, object]:
    seen = receipt.classification
    return {
        "request_id": receipt.request_id,
        "client_request_id": _short(receipt.client_request_id),
        "trace_id": receipt.trace.trace_id if receipt.trace else None,
        "route": _short(receipt.route),
        "strategy": receipt.strategy,
        "complexity": seen.label if seen else None,
        "score": seen.score if seen else None,
        "reason": _short(receipt.plan_reason),
        "estimated_cost_per_1k": receipt.estimated_cost_per_1k,
        "estimated_cost_usd": receipt.estimated_cost_usd,
        "state": receipt.state,
        "answered_by": _short(receipt.model),
        "provider": _short(receipt.provider),
        "primary_failed": _short(receipt.fallback_reason),
        "fallback_ms": receipt.fallback_ms,
        "attempts": len(receipt.attempts),
        "cost_usd": receipt.cost_usd if receipt.cost_complete else None,
        "total_ms": receipt.total_ms,
        "overhead_ms": receipt.overhead_ms,
        "policy": receipt.policy,
        "error": receipt.error,
    }


def _short(text: str | None) -> str | None:
    return text if text is None or len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


class JsonLines(logging.Formatter):
    """Every record as one JSON line; a message that is JSON already becomes its `request`."""

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        if record.name == _log.name:
            return f'{{"level":"{record.levelname}","logger":"{record.name}","request":{message}}}'
        line: dict[str, object] = {"level": record.levelname, "logger": record.name, "message": message}
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return to_json(line).decode()


def configure_logs(level: str) -> None:
    """JSON lines on standard error, from `level` up."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    root = logging.getLogger("polyroute")
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    root.propagate = False
