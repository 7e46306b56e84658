"""Why an answer stopped: the words of OpenAI-shaped servers, and ours.

Sources: OpenAI, Mistral, DeepSeek and Text Generation Inference API references, `finish_reason`.
"""

from polyroute.types.content import Part, Refusal, ToolCall
from polyroute.types.response import StopReason

# An answer that stopped so is no answer: the server gave up (OpenRouter, DeepSeek, vLLM).
FAILED = frozenset({"error", "insufficient_system_resource", "abort"})

_READ = {
    "stop": StopReason.END,
    "complete": StopReason.END,  # Cohere's words, in capitals
    "tool_call": StopReason.TOOL_CALLS,
    "eos": StopReason.END,
    "eos_token": StopReason.END,
    "end_turn": StopReason.END,
    "stop_sequence": StopReason.STOP_SEQUENCE,
    "length": StopReason.MAX_TOKENS,
    "max_tokens": StopReason.MAX_TOKENS,
    "model_length": StopReason.MAX_TOKENS,
    "tool_calls": StopReason.TOOL_CALLS,
    "function_call": StopReason.TOOL_CALLS,
    "content_filter": StopReason.CONTENT_FILTER,
    "refusal": StopReason.REFUSAL,
}

_WRITTEN = {
    StopReason.END: "stop",
    StopReason.MAX_TOKENS: "length",
    StopReason.STOP_SEQUENCE: "stop",
    StopReason.TOOL_CALLS: "tool_calls",
    StopReason.CONTENT_FILTER: "content_filter",
    StopReason.PAUSE: "stop",
    StopReason.UNKNOWN: "stop",
}


def read_stop(finish: str | None, *, calls_tools: bool = False, refuses: bool = False) -> StopReason:
    """Where the content says more than the word does, the content wins: many servers end a tool call with "stop"."""
    stop = StopReason.UNKNOWN if finish is None else _READ.get(finish.lower(), StopReason.UNKNOWN)
    if stop in (StopReason.END, StopReason.UNKNOWN):
        if calls_tools:
            return StopReason.TOOL_CALLS
        if refuses:
            return StopReason.REFUSAL
    return stop


def write_stop(stop: StopReason, *, refusal_shown: bool, legacy_calls: bool) -> str:
    """OpenAI ends a refusal whose text it shows with "stop"; a bare one is nearest to a filtered answer."""
    if stop is StopReason.REFUSAL:
        return "stop" if refusal_shown else "content_filter"
    return "function_call" if legacy_calls and stop is StopReason.TOOL_CALLS else _WRITTEN[stop]


def stop_of(finish: str | None, parts: tuple[Part, ...]) -> StopReason:
    return read_stop(
        finish,
        calls_tools=any(isinstance(part, ToolCall) for part in parts),
        refuses=any(isinstance(part, Refusal) for part in parts),
    )
