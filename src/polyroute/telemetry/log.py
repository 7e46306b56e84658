"""One JSON line per request: who answered, why the primary did not, how long that took.

The logger is `polyroute.requests`. An answer that was not the primary's first is a warning, and so is a failure: those
lines come by default. Ordinary answers are logged at INFO. Nothing of a prompt or an answer is ever logged.
"""

import logging

from polyroute.types.encoding import to_json
from polyroute.types.receipt import Receipt

_log = logging.getLogger("polyroute.requests")
_FINE = ("settled", "cancelled")


def log_request(receipt: Receipt) -> None:
    is_fine = receipt.state in _FINE and receipt.fallback_reason is None
    level = logging.INFO if is_fine else logging.WARNING
    if _log.isEnabledFor(level):
        _log.log(level, "%s", to_json(_line(receipt)).decode())


def _line(receipt: Receipt) -> dict[str, object]:
    seen = receipt.classification
    return {
        "request_id": receipt.request_id,
        "client_request_id": receipt.client_request_id,
        "route": receipt.route,
        "strategy": receipt.strategy,
        "complexity": seen.label if seen else None,
        "score": seen.score if seen else None,
        "reason": receipt.plan_reason,
        "estimated_cost_per_1k": receipt.estimated_cost_per_1k,
        "estimated_cost_usd": receipt.estimated_cost_usd,
        "state": receipt.state,
        "answered_by": receipt.model,
        "provider": receipt.provider,
        "primary_failed": receipt.fallback_reason,
        "fallback_ms": receipt.fallback_ms,
        "attempts": len(receipt.attempts),
        "cost_usd": receipt.cost_usd if receipt.cost_complete else None,
        "total_ms": receipt.total_ms,
        "overhead_ms": receipt.overhead_ms,
        "policy": receipt.policy,
        "error": receipt.error,
    }


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
