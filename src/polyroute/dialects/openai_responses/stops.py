"""How an answer ended: a status with its details here, a StopReason to us. An answer that failed is none."""

from collections.abc import Set as AbstractSet
from typing import NoReturn

from polyroute.dialects.openai_chat.errors import error_in
from polyroute.errors import Overloaded, StreamInterrupted
from polyroute.types.response import StopReason

# Items by which the model hands a call to its caller; all others the provider answers itself.
_CALLS = frozenset({
    "function_call", "custom_tool_call", "computer_call", "local_shell_call", "shell_call", "apply_patch_call",
})  # fmt: skip
_INCOMPLETE = {"max_output_tokens": StopReason.MAX_TOKENS, "content_filter": StopReason.CONTENT_FILTER}
_REASONS = {stop: reason for reason, stop in _INCOMPLETE.items()}
# "The error code for the response": those that blame the request (API reference, "The response object", `error`).
_CALLERS_FAULT = ("invalid", "unsupported", "image_", "empty_image", "failed_to_download_image")


def read_stop(status: str | None, reason: str | None, items: AbstractSet[str | None], *, refuses: bool) -> StopReason:
    """`items` are the kinds of what was put out."""
    if status == "incomplete":
        return _INCOMPLETE.get(reason or "", StopReason.UNKNOWN)
    if not items.isdisjoint(_CALLS):
        return StopReason.TOOL_CALLS
    if refuses:
        return StopReason.REFUSAL
    return StopReason.END if status in ("completed", "complete", None) else StopReason.UNKNOWN


def incomplete_reason(stop: StopReason, *, refusal_shown: bool) -> str | None:
    """Why an answer is not whole; None where it is. A refusal without words is nearest to a filtered answer."""
    if stop is StopReason.REFUSAL:
        return None if refusal_shown else "content_filter"
    return _REASONS.get(stop)


def check_status(status: str | None, error: object) -> None:
    """Raises a ProviderError where the answer failed, whatever HTTP said."""
    if status == "cancelled":
        raise StreamInterrupted("the provider cancelled the answer")
    if status == "failed" or error is not None:
        raise_failed(error)


def raise_failed(error: object) -> NoReturn:
    if not isinstance(error, dict):
        raise Overloaded("the provider gave up while answering")
    code = error.get("code")
    if isinstance(code, str) and code.startswith(_CALLERS_FAULT):
        error = {"type": "invalid_request_error", **error}
    raise error_in({"error": error})
