"""Failures in OpenAI's form: ours as callers get them, and the upstream's as a ProviderError with its Remedy.

Servers that call themselves compatible report errors in a dozen shapes; all are read here. What a word means comes
from OpenAI's "Error codes" guide, Azure's content filtering page and the observed bodies of the others.
"""

from typing import Any

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

_TOO_LONG_CODES = frozenset({"context_length_exceeded", "context_window_exceeded", "exceed_context_size_error"})
_TOO_LONG = (
    "maximum context length",
    "context length",
    "context_length",
    "context window",
    "context size",
    "prompt is too long",
    "prompt too long",
    "input is too long",
    "input tokens exceed",
    "too many input tokens",
    "max_model_len",
    "`inputs` must have less than",
    "`inputs` tokens + `max_new_tokens`",
)
_REFUSED_CODES = frozenset({"content_filter", "content_policy_violation", "responsibleaipolicyviolation"})
_REFUSED = (
    "content management policy",
    "content_policy",
    "content policy",
    "safety system",
    "usage policies",
    "flagged",
)
_BROKE_CODES = frozenset(
    {"insufficient_quota", "billing_hard_limit_reached", "insufficient_balance", "account_deactivated"}
)
_UNKNOWN_MODEL_CODES = frozenset({"model_not_found", "deploymentnotfound", "model_not_available", "invalid_model"})

# Statuses of errors that arrive inside a 200, by their own words.
_IMPLIED_STATUS = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "invalid_api_key": 401,
    "permission_error": 403,
    "not_found_error": 404,
    "model_not_found": 404,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "insufficient_quota": 429,
}


def render_error(kind: str, message: str, *, field: str | None, code: str | None) -> bytes:
    return orjson.dumps({"error": {"message": message, "type": kind, "param": field, "code": code}})


def classify_error(status: int, body: bytes, retry_after_s: float | None) -> ProviderError:
    """An HTTP answer outside 2xx."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        found = body.decode("utf-8", "replace")
    return _classify(status, _Details(found), retry_after_s)


def error_in(found: object) -> ProviderError:
    """An error that came in place of, or in the middle of, an answer with status 200."""
    details = _Details(found)
    return _classify(details.status or _IMPLIED_STATUS.get(details.code) or details.typed_status, details, None)


class _Details:
    """The few facts that error bodies share, wherever they put them."""

    def __init__(self, found: object) -> None:
        if isinstance(found, list) and found:  # Gemini's OpenAI form
            found = found[0]
        whole: dict[str, Any] = found if isinstance(found, dict) else {}
        inner = whole.get("error", found)
        error: dict[str, Any] = inner if isinstance(inner, dict) else whole
        code, kind = error.get("code"), error.get("type") or whole.get("error_type")
        self.message = _message(inner if isinstance(inner, str) else error)
        self.code = code.lower() if isinstance(code, str) else ""
        self.kind = kind.lower() if isinstance(kind, str) else ""
        param = error.get("param")
        self.field = param if isinstance(param, str) else None
        number = code if isinstance(code, int) else int(self.code) if self.code.isascii() and self.code.isdigit() else 0
        self.status = number if 400 <= number <= 599 else 0
        self.typed_status = _IMPLIED_STATUS.get(self.kind, 502)
        metadata = error.get("metadata")
        if isinstance(metadata, dict):  # OpenRouter: what the server behind it said
            raw = metadata.get("raw")
            if isinstance(raw, str) and not raw.lstrip().startswith("{"):
                self.message = f"{self.message}: {raw}" if self.message else raw
        inner_error = error.get("innererror")
        if isinstance(inner_error, dict) and isinstance(inner_error.get("code"), str):  # Azure
            self.kind = self.kind or inner_error["code"].lower()


def _message(error: object) -> str:
    """The first readable text in `error`."""
    if isinstance(error, str):
        return error
    if isinstance(error, list):  # FastAPI's list of problems
        return "; ".join(filter(None, map(_message, error[:3])))
    if isinstance(error, dict):
        for name in ("message", "detail", "msg", "error", "description"):
            if error.get(name):
                text = _message(error[name])
                place = error.get("loc")
                return f"{'.'.join(map(str, place))}: {text}" if name == "msg" and isinstance(place, list) else text
    return ""


def _classify(status: int, details: _Details, retry_after_s: float | None) -> ProviderError:
    low = details.message.lower()
    message = scrub(details.message) or f"the provider answered status {status} without a readable message"
    code = details.code or details.kind or None
    words = {details.code, details.kind}

    def error(kind: type[ProviderError], remedy: Remedy | None = None) -> ProviderError:
        made = kind(message, http_status=status, retry_after_s=retry_after_s, code=code, field=details.field)
        if remedy is not None:
            made.remedy = remedy
        return made

    if words & _BROKE_CODES or status == 402:
        return error(AuthRejected)  # the account is out of money: no retry helps, another account may
    if status == 429 or details.code == "rate_limit_exceeded":
        # Larger than the whole minute's allowance: waiting does not help.
        return error(Overloaded, Remedy.SWITCH if "request too large" in low else None)
    if words & _TOO_LONG_CODES or any(phrase in low for phrase in _TOO_LONG):
        return error(ContextTooLong)
    if words & _REFUSED_CODES or (status < 500 and any(phrase in low for phrase in _REFUSED)):
        return error(ContentRefused)
    if status in (401, 403, 407):
        return error(AuthRejected)
    if status in (404, 405, 410) or words & _UNKNOWN_MODEL_CODES:
        # Rejected keeps the provider's status for the caller, as for its other 4xx; but a wrong path or model name is
        # this deployment's configuration, so another one may well answer.
        return error(Rejected, Remedy.SWITCH)
    if status in (408, 409, 425) or status >= 500:
        return error(Overloaded)
    if 300 <= status < 400:
        return MalformedReply(
            f"the provider redirected (status {status}), and redirects are not followed", http_status=status
        )
    return error(Rejected)
