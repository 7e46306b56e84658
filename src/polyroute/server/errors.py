"""One table from error type to status, OpenAI error type and code. The dialect of the path gives the body its shape."""

import math
from collections.abc import Mapping

import orjson
from msgspec import Struct

from polyroute import errors
from polyroute.stages.validation.moderation.guarding import GATE as MODERATION
from polyroute.types.money import format_usd


class Mapped(Struct, frozen=True, kw_only=True):
    """An error as a door tells it."""

    status: int
    kind: str  # OpenAI's `type`
    code: str | None
    field: str | None
    message: str
    headers: Mapping[str, str]


TABLE: tuple[tuple[type[errors.PolyrouteError], int, str, str | None], ...] = (
    # The first type that fits decides: subclasses come before what they extend.
    (errors.UnknownModel, 404, "invalid_request_error", None),
    (errors.UnknownObject, 404, "invalid_request_error", None),
    (errors.WrongMethod, 405, "invalid_request_error", None),
    (errors.TooLarge, 413, "invalid_request_error", None),
    (errors.Unsupported, 501, "not_supported_error", None),
    (errors.InvalidRequest, 400, "invalid_request_error", None),
    (errors.Unauthenticated, 401, "authentication_error", "invalid_api_key"),
    (errors.Forbidden, 403, "permission_error", "forbidden"),
    (errors.Conflict, 409, "conflict_error", "conflict"),
    (errors.Gone, 410, "invalid_request_error", "gone"),
    (errors.AnswerHeld, 202, "review_pending", "review_pending"),
    (errors.Conflict, 409, "invalid_request_error", "conflict"),
    (errors.RateLimited, 429, "rate_limit_error", "rate_limit_exceeded"),
    (errors.BudgetExceeded, 402, "insufficient_quota", "budget_exceeded"),
    (errors.PriceUnknown, 402, "insufficient_quota", "price_unknown"),
    (errors.NoCandidate, 503, "routing_error", "no_candidate"),
    (errors.DeadlineExceeded, 504, "timeout_error", "deadline_exceeded"),
    (errors.GatewayBusy, 503, "overloaded_error", "overloaded"),
    (errors.PlanExhausted, 502, "upstream_error", "all_attempts_failed"),
    (errors.ProviderError, 502, "upstream_error", "attempt_failed"),
    (errors.WorkerFailed, 503, "server_error", "worker_failed"),
    (errors.StoreError, 503, "store_error", "store_unavailable"),
)
_KEPT_STATUSES = range(400, 500)
_OURS = (401, 403, 407)  # a provider's word on our credential, not on the request
_UNCHANGED = {"x-should-retry": "false"}  # the same request would be told the same
MAX_MESSAGE_BYTES = 1600  # a whole error stays within 2 KB


def map_error(error: errors.PolyrouteError) -> Mapped:
    """How `error` is told to the caller."""
    if isinstance(error, errors.PlanExhausted) and _is_flagged(error):
        message = "the answer was flagged by the moderation of this route"
        return Mapped(
            status=400,
            kind="invalid_request_error",
            code="content_policy_violation",
            field=None,
            message=message,
            headers=_UNCHANGED,
        )
    if isinstance(error, errors.PlanExhausted) and (kept := _providers_word(error)) is not None:
        return kept
    for kind, status, name, code in TABLE:
        if isinstance(error, kind):
            return Mapped(
                status=status,
                kind=name,
                code=code or getattr(error, "code", None),
                field=getattr(error, "field", None),
                message=_short(error.message),
                headers=_headers(error),
            )
    raise TypeError(f"{type(error).__name__} has no row in the table") from error


def _is_flagged(error: errors.PlanExhausted) -> bool:
    """Whether it was a moderator that blocked the answer."""
    answers = [attempt for attempt in error.attempts if attempt.purpose is None]
    verdicts = answers[-1].verdicts if answers else ()
    return bool(verdicts) and not verdicts[-1].accepted and verdicts[-1].gate == MODERATION


def _providers_word(error: errors.PlanExhausted) -> Mapped | None:
    """A 4xx that ends the chain, or that every attempt was told, keeps its status; every other failure is ours."""
    last = error.last
    status = last.http_status if last is not None else None
    if last is None or status is None or status not in _KEPT_STATUSES or status in _OURS:
        return None
    if last.remedy is not errors.Remedy.STOP and any(a.http_status != status for a in error.attempts):
        return None
    is_busy = status == 429
    return Mapped(
        status=status,
        kind="rate_limit_error" if is_busy else "invalid_request_error",
        code=last.code or ("provider_rate_limited" if is_busy else "rejected_by_provider"),
        field=last.field,
        message=_short(last.message),
        headers={"retry-after": str(max(1, math.ceil(last.retry_after_s or 1)))} if is_busy else {},
    )


def _short(message: str) -> str:
    """As much of it as an error has room for, in the form that JSON gives it."""
    while len(orjson.dumps(message)) > MAX_MESSAGE_BYTES:
        message = message[: len(message) * 3 // 4]
    return message


def _headers(error: errors.PolyrouteError) -> dict[str, str]:
    match error:
        case errors.RateLimited():
            return {"retry-after": str(max(1, math.ceil(error.retry_after_s)))}
        case errors.GatewayBusy():
            return {"retry-after": str(max(1, math.ceil(error.retry_after_s)))}
        case errors.BudgetExceeded():
            left = max(error.limit_usd - error.spent_usd, error.limit_usd * 0)
            return {"x-should-retry": "false", "x-polyroute-budget-remaining-usd": format_usd(left)}
        case errors.WrongMethod():
            return {"allow": ", ".join(error.allowed)}
        case errors.PriceUnknown() | errors.NoCandidate():
            return {"x-should-retry": "false"}
        case _:
            return {}
