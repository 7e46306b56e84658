"""Why an answer ended: Anthropic's words and ours.

Source: platform.claude.com, "Handling stop reasons". An answer cut at the context window's end is truncated
like one cut at `max_tokens`.
"""

from polyroute.types.response import StopReason

_READ = {
    "end_turn": StopReason.END,
    "max_tokens": StopReason.MAX_TOKENS,
    "model_context_window_exceeded": StopReason.MAX_TOKENS,
    "stop_sequence": StopReason.STOP_SEQUENCE,
    "tool_use": StopReason.TOOL_CALLS,
    "pause_turn": StopReason.PAUSE,
    "refusal": StopReason.REFUSAL,
}
_WRITTEN = {
    StopReason.END: "end_turn",
    StopReason.MAX_TOKENS: "max_tokens",
    StopReason.STOP_SEQUENCE: "stop_sequence",
    StopReason.TOOL_CALLS: "tool_use",
    StopReason.CONTENT_FILTER: "refusal",
    StopReason.REFUSAL: "refusal",
    StopReason.PAUSE: "pause_turn",
    StopReason.UNKNOWN: "end_turn",
}


def read_stop(word: object) -> StopReason:
    return _READ.get(word, StopReason.UNKNOWN) if isinstance(word, str) else StopReason.UNKNOWN


def write_stop(stop: StopReason, raw: str | None) -> str:
    """Anthropic's word; its own, where `raw` is one that means the same."""
    return raw if raw is not None and _READ.get(raw) is stop else _WRITTEN[stop]
