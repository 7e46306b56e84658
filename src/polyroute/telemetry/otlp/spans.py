"""A settled receipt as spans: one for the request, one for each attempt. Pure.

Everything is in the receipt, so nothing is measured or carried along while the request is under way. Times are those
of the receipt: its arrival, and milliseconds after it.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from polyroute.telemetry import semantics as names
from polyroute.telemetry.otlp.values import Json, Value, attributes, whole
from polyroute.types.receipt import Attempt, Receipt
from polyroute.types.response import Usage
from polyroute.types.trace import Trace, span_id

_SERVER, _CLIENT = 2, 3
_ERROR = 2
_SAMPLED, _IS_KNOWN, _IS_REMOTE = 0x01, 0x100, 0x200  # trace.proto, SpanFlags
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FINE = ("succeeded", "rejected")


def spans(receipt: Receipt, trace: Trace, providers: Mapping[str, str], content: Mapping[str, str]) -> list[Json]:
    """`providers`: the conventions' names of the document's; `content`: prompts and answers, where they may be told."""
    began_ns = (receipt.time - _EPOCH) // _MICROSECOND * 1000
    own = span_id(receipt.request_id)
    operation = names.operation_of(receipt.door)
    found = [_request(receipt, trace, own, began_ns, operation, content)]
    found += (_attempt(attempt, trace, own, began_ns, operation, providers) for attempt in receipt.attempts)
    return found


def _request(
    receipt: Receipt, trace: Trace, own: str, began_ns: int, operation: str, content: Mapping[str, str]
) -> Json:
    times, seen = receipt.times, receipt.classification
    told: dict[str, Value | None] = {
        names.OPERATION: operation,
        names.REQUEST_MODEL: receipt.requested_model,
        names.RESPONSE_MODEL: receipt.answered_model or receipt.model,
        names.FINISH_REASONS: (receipt.stop,) if receipt.stop else None,
        names.STREAM: receipt.stream or None,
        **_tokens(receipt.usage),
        names.ERROR_TYPE: receipt.error,
        "polyroute.request_id": receipt.request_id,
        "polyroute.client_request_id": receipt.client_request_id,
        "polyroute.tenant": receipt.caller.tenant,
        "polyroute.team": receipt.caller.team,
        "polyroute.route": receipt.route,
        "polyroute.policy": receipt.policy,
        "polyroute.prompt": receipt.prompt,
        "polyroute.state": receipt.state,
        "polyroute.strategy": receipt.strategy,
        "polyroute.reason": receipt.plan_reason,
        "polyroute.complexity": seen.label if seen else None,
        "polyroute.score": seen.score if seen else None,
        "polyroute.model": receipt.model,
        "polyroute.provider": receipt.provider,
        "polyroute.attempts": len(receipt.attempts),
        "polyroute.fallback.reason": receipt.fallback_reason,
        "polyroute.fallback.ms": receipt.fallback_ms,
        "polyroute.cache": receipt.cache,
        "polyroute.cost_usd": receipt.cost_usd if receipt.cost_complete else None,
        "polyroute.saved_usd": receipt.saved_usd,
        "polyroute.baseline": receipt.baseline,
        "polyroute.overhead_ms": receipt.overhead_ms,
        "polyroute.upstream_ms": receipt.upstream_ms,
        "polyroute.classification_ms": times.classification_ms,
        "polyroute.matching_ms": times.matching_ms,
        "polyroute.selection_ms": times.selection_ms,
        "polyroute.execution_ms": times.execution_ms,
        "polyroute.validation_ms": times.validation_ms,
        "polyroute.assembly_ms": times.assembly_ms,
        **content,
    }
    span = _span(
        trace, own, f"{operation} {receipt.requested_model}", _SERVER, began_ns, began_ns + _ns(receipt.total_ms), told
    )
    if trace.parent_id is not None:
        span["parentSpanId"] = trace.parent_id
        span["flags"] |= _IS_REMOTE
    if receipt.state == "failed":
        span["status"] = {"code": _ERROR, "message": whole(receipt.error_message or receipt.error or "")}
    return span


def _attempt(
    attempt: Attempt, trace: Trace, parent: str, began_ns: int, operation: str, providers: Mapping[str, str]
) -> Json:
    started_ns = began_ns + _ns(attempt.started_ms)
    first_ms = attempt.first_token_ms
    told: dict[str, Value | None] = {
        names.OPERATION: operation,
        names.PROVIDER: providers.get(attempt.provider, attempt.provider),
        names.REQUEST_MODEL: attempt.upstream_model,
        names.RESPONSE_MODEL: attempt.answered_model,
        names.FIRST_CHUNK_S: None if first_ms is None else first_ms / 1000,
        **_tokens(attempt.usage),
        names.ERROR_TYPE: attempt.error,
        names.STATUS_CODE: attempt.http_status,
        "polyroute.attempt_id": attempt.id,
        "polyroute.deployment": attempt.deployment,
        "polyroute.provider": attempt.provider,
        "polyroute.model": attempt.model,
        "polyroute.step": attempt.step,
        "polyroute.status": attempt.status,
        "polyroute.remedy": attempt.remedy,
        "polyroute.cost_usd": attempt.cost_usd,
        "polyroute.dropped": attempt.dropped or None,
        "polyroute.rejected_by": tuple(v.gate for v in attempt.verdicts if not v.accepted) or None,
    }
    span = _span(
        trace,
        span_id(attempt.id),
        f"{operation} {attempt.upstream_model}",
        _CLIENT,
        started_ns,
        started_ns + _ns(attempt.duration_ms),
        told,
    )
    span["parentSpanId"] = parent
    if first_ms is not None:
        span["events"] = [{"timeUnixNano": str(started_ns + _ns(first_ms)), "name": "first token"}]
    if attempt.status not in _FINE:
        span["status"] = {"code": _ERROR, "message": whole(attempt.message or attempt.error or attempt.status)}
    return span


def _span(
    trace: Trace, own: str, name: str, kind: int, start_ns: int, end_ns: int, told: Mapping[str, Value | None]
) -> Json:
    span: Json = {
        "traceId": trace.trace_id,
        "spanId": own,
        "name": whole(name),
        "kind": kind,
        "startTimeUnixNano": str(start_ns),
        "endTimeUnixNano": str(end_ns),
        "attributes": attributes(told),
        "flags": _SAMPLED | _IS_KNOWN,
    }
    if trace.state is not None:
        span["traceState"] = trace.state
    return span


def _tokens(usage: Usage | None) -> dict[str, Value | None]:
    if usage is None:
        return {}
    written = usage.cache_write_tokens + usage.cache_write_1h_tokens
    return {
        names.INPUT_TOKENS: usage.total_input_tokens,
        names.OUTPUT_TOKENS: usage.total_output_tokens,
        names.CACHE_READ_TOKENS: usage.cached_input_tokens or None,
        names.CACHE_WRITE_TOKENS: written or None,
        names.REASONING_TOKENS: usage.reasoning_tokens or None,
    }


def _ns(milliseconds: float) -> int:
    return int(milliseconds * 1_000_000)
