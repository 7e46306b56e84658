"""Token counts between OpenAI's nested form and our disjoint classes.

OpenAI counts cached and audio tokens inside `prompt_tokens`, reasoning and audio inside `completion_tokens`
(API reference, "The chat completion object", `usage`). Counts that cannot be true are no report at all: None.
"""

from msgspec import Raw, Struct
from msgspec.json import Decoder

from polyroute.dialects.json_text import UNREADABLE
from polyroute.types.response import Usage

_ABSURD = 1 << 40  # tokens


class _PromptDetails(Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None  # OpenRouter
    audio_tokens: int | None = None


class _CompletionDetails(Struct):
    reasoning_tokens: int | None = None
    audio_tokens: int | None = None


class _WireUsage(Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None
    prompt_cache_hit_tokens: int | None = None  # DeepSeek
    num_cached_tokens: int | None = None  # Mistral
    cached_tokens: int | None = None  # Moonshot
    reasoning_tokens: int | None = None  # Perplexity


_DECODER = Decoder(_WireUsage | None)
_NO_PROMPT_DETAILS = _PromptDetails()
_NO_COMPLETION_DETAILS = _CompletionDetails()


def read_usage(raw: Raw | bytes) -> Usage | None:
    """The usage object in `raw`; None where it is absent, null, malformed or absurd."""
    if not raw:
        return None
    try:
        wire = _DECODER.decode(raw)
    except UNREADABLE:
        return None
    return None if wire is None else _disjoint(wire)


def _disjoint(wire: _WireUsage) -> Usage | None:
    prompt, completion, total = wire.prompt_tokens, wire.completion_tokens, wire.total_tokens
    if prompt is None or (completion is None and total is None):
        return None
    if completion is None:
        completion = (total or 0) - prompt
    inside = wire.prompt_tokens_details or _NO_PROMPT_DETAILS
    outside = wire.completion_tokens_details or _NO_COMPLETION_DETAILS
    cached = inside.cached_tokens or wire.prompt_cache_hit_tokens or wire.num_cached_tokens or wire.cached_tokens or 0
    written = inside.cache_write_tokens or 0
    audio_in = inside.audio_tokens or 0
    reasoning = outside.reasoning_tokens or wire.reasoning_tokens or 0
    audio_out = outside.audio_tokens or 0
    counts = (prompt, completion, cached, written, audio_in, reasoning, audio_out)
    if min(counts) < 0 or max(counts) > _ABSURD or prompt + completion == 0:
        return None
    beyond = (total or 0) - prompt - completion
    if beyond > 0:
        if beyond == audio_in:  # Mistral counts audio beside prompt_tokens
            prompt += audio_in
        elif beyond == reasoning:  # xAI counts reasoning beside completion_tokens
            completion += reasoning
        elif reasoning == 0 and beyond <= _ABSURD:  # Gemini's OpenAI form counts thoughts in the total only
            reasoning = beyond
            completion += beyond
    if (wire.reasoning_tokens or 0) > completion:  # Perplexity's research models count it beside completion_tokens
        completion += reasoning
    # Parts that exceed their whole are cut to it: the whole is what the provider bills.
    cached = min(cached, prompt)
    written = min(written, prompt - cached)
    audio_in = min(audio_in, prompt - cached - written)
    reasoning = min(reasoning, completion)
    audio_out = min(audio_out, completion - reasoning)
    return Usage(
        input_tokens=prompt - cached - written - audio_in,
        cached_input_tokens=cached,
        cache_write_tokens=written,
        output_tokens=completion - reasoning - audio_out,
        reasoning_tokens=reasoning,
        input_audio_tokens=audio_in,
        output_audio_tokens=audio_out,
    )


def write_usage(usage: Usage) -> dict[str, object]:
    prompt, completion = usage.total_input_tokens, usage.total_output_tokens
    prompt_details = {"cached_tokens": usage.cached_input_tokens, "audio_tokens": usage.input_audio_tokens}
    written = usage.cache_write_tokens + usage.cache_write_1h_tokens
    if written:
        prompt_details["cache_write_tokens"] = written
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": prompt_details,
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning_tokens,
            "audio_tokens": usage.output_audio_tokens,
        },
    }
