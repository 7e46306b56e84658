"""Settled requests as lines for other programs: JSON, one line per request, and a FOCUS-style cost table. Pure.

FOCUS is the FinOps Open Cost and Usage Specification (https://focus.finops.org), here those of version 1.0's columns
that a gateway can know, one line per attempt that was billed; columns of our own begin with `x_`.
"""

import csv
import io
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

import msgspec

from polyroute.stores.rows import AttemptRow, RequestRow, from_micros
from polyroute.stores.verify import Entry
from polyroute.types.money import format_usd, from_nanos

_encode = msgspec.json.Encoder().encode


def json_line(entry: Entry) -> bytes:
    """One request with its attempts, without the line's end. Money is a decimal string; unknown is null."""
    request = entry.request
    return _encode(
        {
            "request_id": request.id,
            "client_request_id": request.client_request_id,
            "time": from_micros(request.opened_us),
            "tenant": request.tenant,
            "team": request.team,
            "user": request.user,
            "key": request.key_id,
            "route": request.route,
            "policy": request.policy,
            "model": request.model,
            "provider": request.provider,
            "cost_usd": _usd(request.cost_nanos),
            "cost_complete": request.cost_complete,
            "reserved_usd": _usd(request.reserved_nanos),
            "baseline": request.baseline,
            "baseline_usd": _usd(request.baseline_nanos),
            "saved_usd": _usd(request.saved_nanos),
            "cache": request.cache,
            "state": request.state,
            "total_ms": request.total_ms,
            "attempts": [_attempt(attempt) for attempt in entry.attempts],
        }
    )


def _attempt(attempt: AttemptRow) -> dict[str, object]:
    return {
        "id": attempt.id,
        "number": attempt.number,
        "deployment": attempt.deployment,
        "provider": attempt.provider,
        "model": attempt.model,
        "upstream_model": attempt.upstream_model,
        "answered_model": attempt.answered_model,
        "status": attempt.status,
        "error": attempt.error,
        "http_status": attempt.http_status,
        "input_tokens": attempt.input_tokens,
        "cached_input_tokens": attempt.cached_input_tokens,
        "cache_write_tokens": attempt.cache_write_tokens,
        "cache_write_1h_tokens": attempt.cache_write_1h_tokens,
        "output_tokens": attempt.output_tokens,
        "reasoning_tokens": attempt.reasoning_tokens,
        "input_audio_tokens": attempt.input_audio_tokens,
        "output_audio_tokens": attempt.output_audio_tokens,
        "estimated": attempt.estimated,
        "cost_usd": _usd(attempt.cost_nanos),
        "duration_ms": attempt.duration_ms,
    }


FOCUS_COLUMNS = (
    "BilledCost", "EffectiveCost", "ListCost", "ContractedCost", "BillingCurrency", "BillingAccountId",
    "BillingAccountName", "BillingPeriodStart", "BillingPeriodEnd", "ChargeCategory", "ChargeClass",
    "ChargeDescription", "ChargeFrequency", "ChargePeriodStart", "ChargePeriodEnd", "ConsumedQuantity", "ConsumedUnit",
    "InvoiceIssuerName", "PricingCategory", "PricingQuantity", "PricingUnit", "ProviderName",
    "PublisherName", "ResourceId", "ResourceName", "ResourceType", "ServiceCategory", "ServiceName", "SkuId",
    "SubAccountId", "SubAccountName", "Tags", "x_Model", "x_RequestId", "x_Route", "x_Tenant", "x_User",
    "x_IsUpperBound",
)  # fmt: skip


def focus_lines(entries: Iterable[Entry]) -> Iterator[str]:
    """The table with its heading, in pieces. An attempt of unknown cost has no line: FOCUS has no null cost."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(FOCUS_COLUMNS)
    for entry in entries:
        for attempt in entry.attempts:
            if attempt.cost_nanos is not None:
                writer.writerow(_focus(entry.request, attempt, attempt.cost_nanos))
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
    yield buffer.getvalue()


def _focus(request: RequestRow, attempt: AttemptRow, cost_nanos: int) -> tuple[object, ...]:
    cost = format_usd(from_nanos(cost_nanos))
    start_us = request.opened_us + round(attempt.started_ms * 1000)
    end_us = start_us + round(attempt.duration_ms * 1000)
    tokens = sum(
        count or 0
        for count in (
            attempt.input_tokens,
            attempt.cached_input_tokens,
            attempt.cache_write_tokens,
            attempt.cache_write_1h_tokens,
            attempt.output_tokens,
            attempt.reasoning_tokens,
            attempt.input_audio_tokens,
            attempt.output_audio_tokens,
        )
    )
    tenant, team, user = _inert(request.tenant), _inert(request.team), _inert(request.user)
    month = from_micros(start_us).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    following = (month + timedelta(days=32)).replace(day=1)
    tags = msgspec.json.encode({"team": request.team, "user": request.user, "route": request.route}).decode()
    return (
        cost, cost, cost, cost, "USD", tenant, tenant, _stamp(month), _stamp(following), "Usage", None,
        f"{attempt.model} tokens", "Usage-Based", _utc(start_us), _utc(end_us), tokens, "Tokens",
        attempt.provider, "Standard", tokens, "Tokens", attempt.provider, attempt.provider,
        attempt.id, attempt.deployment, "Model", "AI and Machine Learning", attempt.model,
        f"{attempt.provider}/{attempt.upstream_model}", team, team, tags,
        attempt.upstream_model, request.id, request.route, tenant, user, str(attempt.status == "unknown").lower(),
    )  # fmt: skip


def _utc(micros: int) -> str:
    return _stamp(from_micros(micros))


def _stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _inert(name: str) -> str:
    """A spreadsheet takes a cell that begins so for a formula (OWASP, "CSV Injection")."""
    return f"'{name}" if name[:1] in {"=", "+", "-", "@", "\t", "\r"} else name


def _usd(nanos: int | None) -> str | None:
    return None if nanos is None else format_usd(from_nanos(nanos))
