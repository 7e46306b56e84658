"""Errors in both directions: a provider's answer or stream exception to a ProviderError, ours to Bedrock's form.

An error's type stands in the header `x-amzn-errortype`, in an exception frame's `:exception-type`, or in the body's
`__type`; the status tells most of it where none is given. A model that is not there for this account or in this region
is Rejected with the remedy SWITCH: the request is sound, our configuration is not.
Source: Amazon Bedrock API reference, "Converse" and "ConverseStream", errors; AWS restJson1 protocol, "Operation error
serialization".
"""

import re

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

_STATUS_OF = {  # for exceptions that come inside a 200
    "ValidationException": 400,
    "AccessDeniedException": 403,
    "ResourceNotFoundException": 404,
    "ModelTimeoutException": 408,
    "ModelErrorException": 424,
    "ModelStreamErrorException": 424,
    "ThrottlingException": 429,
    "ModelNotReadyException": 429,
    "InternalServerException": 500,
    "ServiceUnavailableException": 503,
}
_OUR_CREDENTIALS = frozenset({
    "AccessDeniedException", "ExpiredTokenException", "IncompleteSignatureException", "InvalidClientTokenId",
    "InvalidSignatureException", "MissingAuthenticationTokenException", "NotAuthorized", "OptInRequired",
    "UnrecognizedClientException",
})  # fmt: skip
_TOO_LONG = (
    "too long", "input tokens exceeded", "too many input tokens", "exceeds maximum length", "maximum context length",
    "context window", "context length", "context limit", "maximum number of tokens", "exceeds the maximum number",
)  # fmt: skip
_REFUSED = ("content filter", "content policy", "usage policy", "guardrail intervened")
_UNKNOWN_MODEL = (
    "model identifier is invalid", "on-demand throughput", "model id", "inference profile", "end of its life",
    "isn't supported", "not supported in this region", "model access",
)  # fmt: skip
_DAILY = ("per day", "quota")

_TYPE_OF_KIND = {  # OpenAI's error types, and those the gateway adds
    "invalid_request_error": "ValidationException",
    "not_supported_error": "ValidationException",
    "authentication_error": "UnrecognizedClientException",
    "permission_error": "AccessDeniedException",
    "rate_limit_error": "ThrottlingException",
    "insufficient_quota": "ServiceQuotaExceededException",
    "routing_error": "ServiceUnavailableException",
    "overloaded_error": "ServiceUnavailableException",
    "store_error": "ServiceUnavailableException",
    "timeout_error": "ModelTimeoutException",
    "upstream_error": "ModelErrorException",
}
_TYPE_OF_CODE = {"model_not_found": "ResourceNotFoundException", "not_found": "ResourceNotFoundException"}
_STREAM_EXCEPTIONS = frozenset({
    "InternalServerException", "ModelStreamErrorException", "ServiceUnavailableException", "ThrottlingException",
    "ValidationException",
})  # fmt: skip
_ARN = re.compile(r"\barn:aws[-a-z]*:\S+")  # names our account and user


def classify_error(
    status: int, body: bytes, retry_after_s: float | None, error_type: str | None = None
) -> ProviderError:
    """The failure that an answer other than 2xx means. `error_type`: what the header `x-amzn-errortype` says."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        answer = body[:2000].decode("utf-8", "replace")
    return _classified(status, error_type or "", answer, retry_after_s)


def classify_exception(kind: str, payload: bytes) -> ProviderError:
    """The failure that an exception inside a stream means. `kind`: "throttlingException"."""
    name = kind[:1].upper() + kind[1:]
    return classify_error(_STATUS_OF.get(name, 500), payload, None, name)


def error_type(kind: str, code: str | None) -> str:
    """Bedrock's name for an error of ours."""
    return _TYPE_OF_CODE.get(code or "") or _TYPE_OF_KIND.get(kind, "InternalServerException")


def stream_exception(kind: str, code: str | None) -> str:
    """Its name inside a stream, where there are fewer."""
    name = error_type(kind, code)
    name = name if name in _STREAM_EXCEPTIONS else "ModelStreamErrorException"
    return name[:1].lower() + name[1:]


def _classified(status: int, header: str, answer: object, retry_after_s: float | None) -> ProviderError:
    name, said = _said(header, answer)
    message = _shown(said) or f"the provider answered status {status} without a readable message"
    words, code = said[:2000].lower(), name or None
    if status in (401, 403) or name in _OUR_CREDENTIALS:
        return AuthRejected(message, http_status=status, code=code)
    if (
        status in (408, 409, 424, 425, 429)
        or status >= 500
        or name in ("ThrottlingException", "ModelNotReadyException")
    ):
        busy = Overloaded(message, http_status=status, retry_after_s=retry_after_s, code=code)
        if name == "ThrottlingException" and any(mark in words for mark in _DAILY):
            busy.remedy = Remedy.SWITCH  # used up for today: waiting helps nobody
        return busy
    if name == "ServiceQuotaExceededException":
        spent = Overloaded(message, http_status=status, code=code)
        spent.remedy = Remedy.SWITCH
        return spent
    if status in (404, 405, 410) or (status == 400 and any(mark in words for mark in _UNKNOWN_MODEL)):
        unknown = Rejected(message, http_status=status, code="model_not_found")
        unknown.remedy = Remedy.SWITCH
        return unknown
    if status < 400:
        return MalformedReply(message, http_status=status, code=code)
    if any(mark in words for mark in _TOO_LONG):
        return ContextTooLong(message, http_status=status, code="context_length_exceeded")
    if any(mark in words for mark in _REFUSED):
        return ContentRefused(message, http_status=status, code="content_filter")
    return Rejected(message, http_status=status, code=code)


def _said(header: str, answer: object) -> tuple[str, str]:
    """The error's bare name and the provider's message."""
    if not isinstance(answer, dict):
        return _bare(header), answer if isinstance(answer, str) else ""
    given = header or answer.get("__type") or answer.get("code")
    message = answer.get("message") or answer.get("Message") or answer.get("originalMessage")
    return _bare(given) if isinstance(given, str) else "", message if isinstance(message, str) else ""


def _bare(name: str) -> str:
    """ "aws.protocoltests#FooError:http://internal.amazon.com/…" is FooError."""
    return name.partition(":")[0].rpartition("#")[2].strip()


def _shown(message: str) -> str:
    """A refused signature is answered with all that was signed, token included: only the first paragraph is told."""
    return scrub(_ARN.sub("[arn]", message.partition("\n\n")[0][:2000]))
