"""Why an answer ended: Bedrock's words and ours.

Source: Amazon Bedrock API reference, "Converse", `stopReason`. An answer whose form the model spoiled
(`malformed_model_output`, `malformed_tool_use`) has no word of ours; the raw one is kept.
"""

from polyroute.types.response import StopReason

_READ = {
    "end_turn": StopReason.END,
    "max_tokens": StopReason.MAX_TOKENS,
    "model_context_window_exceeded": StopReason.MAX_TOKENS,
    "stop_sequence": StopReason.STOP_SEQUENCE,
    "tool_use": StopReason.TOOL_CALLS,
    "guardrail_intervened": StopReason.CONTENT_FILTER,
    "content_filtered": StopReason.CONTENT_FILTER,
    "refusal": StopReason.REFUSAL,  # Claude's own words, which Converse hands on where it has none
    "pause_turn": StopReason.PAUSE,
    "malformed_model_output": StopReason.UNKNOWN,
    "malformed_tool_use": StopReason.UNKNOWN,
}
_WRITTEN = {
    StopReason.END: "end_turn",
    StopReason.MAX_TOKENS: "max_tokens",
    StopReason.STOP_SEQUENCE: "stop_sequence",
    StopReason.TOOL_CALLS: "tool_use",
    StopReason.CONTENT_FILTER: "content_filtered",
    StopReason.REFUSAL: "content_filtered",
    StopReason.PAUSE: "end_turn",
    StopReason.UNKNOWN: "end_turn",
}


def read_stop(word: object) -> StopReason:
    return _READ.get(word, StopReason.UNKNOWN) if isinstance(word, str) else StopReason.UNKNOWN


def write_stop(stop: StopReason, raw: str | None) -> str:
    """Bedrock's word; its own, where `raw` is one that means the same."""
    return raw if raw is not None and _READ.get(raw) is stop else _WRITTEN[stop]
