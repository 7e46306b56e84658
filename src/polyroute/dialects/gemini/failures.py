"""Errors in both directions: Google's answer or event to a ProviderError, ours to Google's error body.

An invalid key is a 400 there, told from a bad request by its reason. A daily quota is not retried on the same
deployment: it comes back tomorrow. Source: ai.google.dev, "Troubleshooting"; google.rpc Code, RetryInfo, ErrorInfo.
"""

import orjson

from polyroute.dialects.scrub import scrub
from polyroute.errors import (
    AuthRejected,
    ContentRefused,
    ContextTooLong,
    MalformedReply,
    Overloaded,
    ProviderError,
    Rejected,
    Remedy,
)

_STATUS_OF = {  # google.rpc.Code as HTTP, for errors that come inside a 200
    "CANCELLED": 499, "UNKNOWN": 500, "INVALID_ARGUMENT": 400, "DEADLINE_EXCEEDED": 504, "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409, "PERMISSION_DENIED": 403, "UNAUTHENTICATED": 401, "RESOURCE_EXHAUSTED": 429,
    "FAILED_PRECONDITION": 400, "ABORTED": 409, "OUT_OF_RANGE": 400, "UNIMPLEMENTED": 501, "INTERNAL": 500,
    "UNAVAILABLE": 503, "DATA_LOSS": 500,
}  # fmt: skip
_WORD_OF = {
    400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 402: "FAILED_PRECONDITION", 403: "PERMISSION_DENIED",
    404: "NOT_FOUND", 405: "INVALID_ARGUMENT", 409: "ABORTED", 413: "INVALID_ARGUMENT", 429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL", 501: "UNIMPLEMENTED", 502: "INTERNAL", 503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED",
}  # fmt: skip
_STATUS_OF_KIND = {  # as `server/errors.py` maps them
    "invalid_request_error": 400, "not_supported_error": 501, "authentication_error": 401, "permission_error": 403,
    "rate_limit_error": 429, "insufficient_quota": 402, "routing_error": 503, "timeout_error": 504,
    "overloaded_error": 503, "upstream_error": 502, "store_error": 503, "internal_error": 500, "api_error": 500,
    "server_error": 500, "not_found_error": 404,
}  # fmt: skip
_STATUS_OF_CODE = {
    "model_not_found": 404, "not_found": 404, "not_found_error": 404, "NOT_FOUND": 404, "method_not_allowed": 405,
    "request_too_large": 413,
}  # fmt: skip

_TOO_LONG = ("exceeds the maximum number of tokens", "input token count", "context length", "context window")
_REFUSED = ("content policy", "safety settings", "prohibited content", "blocked by")
_KEY = ("api_key_invalid", "api key not valid", "api key expired", "api_key_expired", "api_key_service_blocked")
_ELSEWHERE = ("location is not supported", "billing", "has not been used in project", "is disabled")
_DAILY = ("perday", "per day", "per_day", "limit: 0")


def classify_error(status: int, body: bytes, retry_after_s: float | None) -> ProviderError:
    """The failure that an answer other than 2xx means."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        answer = body[:2000].decode("utf-8", "replace")
    return _classified(status, answer, retry_after_s)


def classify_event(event: object) -> ProviderError:
    """The failure that an error object inside a 200 means."""
    error = _error_in(event)
    code, word = error.get("code"), error.get("status")
    status = code if type(code) is int and 400 <= code <= 599 else _STATUS_OF.get(str(word), 500)
    return _classified(status, event, None)


def error_object(kind: str, message: str, *, field: str | None, code: str | None) -> dict[str, object]:
    """Google's error body; our code and field go where Google has a reason and its circumstances."""
    is_named = code == "not_found" and field is not None  # within a request, which is wrong then
    status = 400 if is_named else _STATUS_OF_CODE.get(code or "") or _STATUS_OF_KIND.get(kind, 500)
    error: dict[str, object] = {"code": status, "message": message, "status": _WORD_OF[status]}
    if code is not None:
        info: dict[str, object] = {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": code,
            "domain": "polyroute",
        }
        if field is not None:
            info["metadata"] = {"field": field}
        error["details"] = [info]
    return {"error": error}


def _error_in(answer: object) -> dict[str, object]:
    if isinstance(answer, list) and answer:  # streams that are no events are arrays
        answer = answer[0]
    error = answer.get("error") if isinstance(answer, dict) else None
    if isinstance(error, str):
        return {"message": error}
    return error if isinstance(error, dict) else {}


def _classified(status: int, answer: object, retry_after_s: float | None) -> ProviderError:
    error = _error_in(answer)
    said, code, details = error.get("message"), error.get("status"), error.get("details")
    said = said if isinstance(said, str) else answer if isinstance(answer, str) else ""
    message = scrub(said) or f"the provider answered status {status} without a readable message"
    words = f"{said[:4000]} {_reasons(details)}".lower()
    code = code if isinstance(code, str) else None
    if status in (401, 402, 403, 407) or _any_in(_KEY, words):
        return AuthRejected(message, http_status=403 if status == 400 else status, code=code)
    if code == "FAILED_PRECONDITION" and _any_in(_ELSEWHERE, words):
        return AuthRejected(message, http_status=403, code=code)
    if status == 429:
        wait_s = _retry_delay_s(details) if retry_after_s is None else retry_after_s
        busy = Overloaded(message, http_status=status, retry_after_s=wait_s, code=code)
        if _any_in(_DAILY, words):
            busy.remedy = Remedy.SWITCH
        return busy
    if status in (408, 409, 425, 499) or status >= 500:
        return Overloaded(message, http_status=status, retry_after_s=retry_after_s, code=code)
    if status in (404, 405, 410):
        # Wrong for this deployment only: its model or address is configured.
        unknown = Rejected(message, http_status=status, code="model_not_found" if code == "NOT_FOUND" else code)
        unknown.remedy = Remedy.SWITCH
        return unknown
    if status < 400:
        return MalformedReply(message, http_status=status, code=code)
    if _any_in(_TOO_LONG, words):
        return ContextTooLong(message, http_status=status, code="context_length_exceeded")
    if _any_in(_REFUSED, words):
        return ContentRefused(message, http_status=status, code="content_filter")
    return Rejected(message, http_status=status, code=code, field=_field(details))


def _reasons(details: object) -> str:
    """What the details say in words of their own: reasons and quotas."""
    found = []
    for detail in details if isinstance(details, list) else ():
        if isinstance(detail, dict):
            found.append(str(detail.get("reason", "")))
            violations = detail.get("violations")
            quotas = violations if isinstance(violations, list) else []
            found += [str(quota.get("quotaId", "")) for quota in quotas if isinstance(quota, dict)]
    return " ".join(found)


def _retry_delay_s(details: object) -> float | None:
    """RetryInfo's delay: "48.9s"."""
    for detail in details if isinstance(details, list) else ():
        delay = detail.get("retryDelay") if isinstance(detail, dict) else None
        if isinstance(delay, str) and delay.endswith("s"):
            try:
                seconds = float(delay[:-1])
            except ValueError:
                continue
            if 0 <= seconds < float("inf"):
                return seconds
    return None


def _field(details: object) -> str | None:
    """BadRequest's first field."""
    for detail in details if isinstance(details, list) else ():
        violations = detail.get("fieldViolations") if isinstance(detail, dict) else None
        if isinstance(violations, list) and violations and isinstance(violations[0], dict):
            field = violations[0].get("field")
            return field if isinstance(field, str) else None
    return None


def _any_in(marks: tuple[str, ...], words: str) -> bool:
    return any(mark in words for mark in marks)
