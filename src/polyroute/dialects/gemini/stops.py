"""Why an answer ended: Gemini's words, or their numbers, and ours.

Source: ai.google.dev, API reference "GenerateContentResponse", FinishReason; the numbers are those of Vertex's enum,
sent where a caller asks for `enum-encoding=int`.
"""

from polyroute.types.response import StopReason

_READ = {
    "STOP": StopReason.END,
    "MAX_TOKENS": StopReason.MAX_TOKENS,
    "SAFETY": StopReason.CONTENT_FILTER,
    "RECITATION": StopReason.CONTENT_FILTER,
    "BLOCKLIST": StopReason.CONTENT_FILTER,
    "PROHIBITED_CONTENT": StopReason.CONTENT_FILTER,
    "SPII": StopReason.CONTENT_FILTER,
    "MODEL_ARMOR": StopReason.CONTENT_FILTER,
    "IMAGE_SAFETY": StopReason.CONTENT_FILTER,
    "IMAGE_PROHIBITED_CONTENT": StopReason.CONTENT_FILTER,
    "IMAGE_RECITATION": StopReason.CONTENT_FILTER,
}
_NUMBERED = (
    "FINISH_REASON_UNSPECIFIED", "STOP", "MAX_TOKENS", "SAFETY", "RECITATION", "OTHER", "BLOCKLIST",
    "PROHIBITED_CONTENT", "SPII", "MALFORMED_FUNCTION_CALL", "MODEL_ARMOR",
)  # fmt: skip
_WRITTEN = {
    StopReason.END: "STOP",
    StopReason.STOP_SEQUENCE: "STOP",
    StopReason.TOOL_CALLS: "STOP",
    StopReason.PAUSE: "STOP",
    StopReason.MAX_TOKENS: "MAX_TOKENS",
    StopReason.CONTENT_FILTER: "SAFETY",
    StopReason.REFUSAL: "SAFETY",
    StopReason.UNKNOWN: "OTHER",
}
BROKEN = frozenset(  # the model wrote what cannot be used: without any content such an answer is none
    {"MALFORMED_FUNCTION_CALL", "MALFORMED_RESPONSE", "UNEXPECTED_TOOL_CALL", "MISSING_THOUGHT_SIGNATURE"}
)


def stop_word(given: object) -> str | None:
    """The word of a `finishReason`; None where the answer goes on."""
    if type(given) is int:
        given = _NUMBERED[given] if 0 <= given < len(_NUMBERED) else "OTHER"
    return given if isinstance(given, str) and given and given != "FINISH_REASON_UNSPECIFIED" else None


def read_stop(word: str | None, *, calls_tools: bool) -> StopReason:
    stop = _READ.get(word or "", StopReason.UNKNOWN)
    return StopReason.TOOL_CALLS if calls_tools and stop is StopReason.END else stop


def write_stop(stop: StopReason, raw: str | None) -> str:
    """Gemini's word; its own, where `raw` is one."""
    return raw if raw is not None and (raw in _READ or raw in _NUMBERED or raw in BROKEN) else _WRITTEN[stop]
