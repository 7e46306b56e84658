"""Errors in both directions: a provider's answer or event to a ProviderError, ours to Anthropic's error body.

An account without credit or over its spend limit is AuthRejected: no retry helps, another account may. An unknown
model or path is Rejected, as other 4xx, but with the remedy SWITCH: the request is sound, our configuration is not.
Source: platform.claude.com, "Errors": HTTP errors, error shapes.
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

_STATUS_OF = {  # for errors that come inside a 200
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "conflict_error": 409,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
_TOO_LONG = ("prompt is too long", "exceed context limit", "context window", "context_length", "too many tokens")
_REFUSED = ("content filter", "content_filter", "usage policy", "content policy")
_UNPAID = ("credit balance is too low", "usage limits", "spend_limit", "billing_error", "insufficient_quota")
_UNKNOWN_MODEL = ("model:", "model_not_found", "does not exist", "unknown model", "invalid model")

_TYPE_OF_KIND = {  # OpenAI's error types, and those the gateway adds
    "invalid_request_error": "invalid_request_error",
    "authentication_error": "authentication_error",
    "permission_error": "permission_error",
    "permission_denied": "permission_error",
    "permission_denied_error": "permission_error",
    "not_found_error": "not_found_error",
    "not_found": "not_found_error",
    "conflict_error": "conflict_error",
    "request_too_large": "request_too_large",
    "rate_limit_error": "rate_limit_error",
    "rate_limit_exceeded": "rate_limit_error",
    "requests": "rate_limit_error",
    "tokens": "rate_limit_error",
    "insufficient_quota": "billing_error",
    "billing_error": "billing_error",
    "budget_exceeded": "billing_error",
    "timeout_error": "timeout_error",
    "timeout": "timeout_error",
    "overloaded_error": "overloaded_error",
    "service_unavailable": "overloaded_error",
    "service_unavailable_error": "overloaded_error",
    "not_supported_error": "invalid_request_error",
    "server_error": "api_error",
    "api_error": "api_error",
}
_TYPE_OF_CODE = {
    "model_not_found": "not_found_error",
    "not_found": "not_found_error",
    "request_too_large": "request_too_large",
    "budget_exceeded": "billing_error",
    "price_unknown": "billing_error",
}


def classify_error(status: int, body: bytes, retry_after_s: float | None) -> ProviderError:
    """The failure that an answer other than 2xx means."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        answer = body[:2000].decode("utf-8", "replace")
    return _classified(status, answer, retry_after_s)


def classify_event(event: object) -> ProviderError:
    """The failure that an error object inside a 200 means: `{"type": "error", "error": {"type", "message"}}`."""
    error = event.get("error") if isinstance(event, dict) else None
    kind = error.get("type") if isinstance(error, dict) else None
    return _classified(_STATUS_OF.get(kind, 500) if isinstance(kind, str) else 500, event, None)


def error_object(kind: str, message: str, *, field: str | None, code: str | None) -> dict[str, object]:
    """Anthropic's error body; its `details` carry our code and field, for which it has no place of its own."""
    error: dict[str, object] = {
        "type": _TYPE_OF_CODE.get(code or "") or _TYPE_OF_KIND.get(kind, "api_error"),
        "message": message,
    }
    details = {name: value for name, value in (("error_code", code), ("field", field)) if value is not None}
    if details:
        error["details"] = details
    return {"type": "error", "error": error}


def _classified(status: int, answer: object, retry_after_s: float | None) -> ProviderError:
    said, words, code = _said(answer)
    message = said or f"the provider answered status {status} without a readable message"
    if status in (401, 402, 403) or _any_in(_UNPAID, words):
        return AuthRejected(message, http_status=status, code=code)
    if status in (408, 409, 425, 429) or status >= 500:
        return Overloaded(message, http_status=status, retry_after_s=retry_after_s, code=code)
    if status in (404, 405, 410) and (not code or _any_in(_UNKNOWN_MODEL, words)):
        unknown = Rejected(message, http_status=status, code="model_not_found" if code else None)
        unknown.remedy = Remedy.SWITCH
        return unknown
    if status < 400:
        return MalformedReply(message, http_status=status, code=code)
    if _any_in(_TOO_LONG, words):
        return ContextTooLong(message, http_status=status, code="context_length_exceeded")
    if _any_in(_REFUSED, words):
        return ContentRefused(message, http_status=status, code="content_filter")
    return Rejected(message, http_status=status, code=code)


def _said(answer: object) -> tuple[str, str, str | None]:
    """The provider's message as it may be shown, all its words for searching, and its error type."""
    if isinstance(answer, str):
        return scrub(answer), answer.lower(), None
    error = answer.get("error") if isinstance(answer, dict) else None
    if isinstance(error, str):
        return scrub(error), error.lower(), None
    if not isinstance(error, dict):
        return "", "", None
    message, kind, details = error.get("message"), error.get("type"), error.get("details")
    message = message if isinstance(message, str) else ""
    code = details.get("error_code") if isinstance(details, dict) else None
    return scrub(message), f"{message[:2000]} {kind} {code}".lower(), kind if isinstance(kind, str) else None


def _any_in(marks: tuple[str, ...], words: str) -> bool:
    return any(mark in words for mark in marks)
