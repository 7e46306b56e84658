"""Token counts between OpenAI's nested form and our disjoint classes.

OpenAI counts cached and audio tokens inside `prompt_tokens`, reasoning and audio inside `completion_tokens`
(API reference, "The chat completion object", `usage`). Counts that cannot be true are no report at all: None.
"""

from msgspec import Raw, Struct
from msgspec.json import Decoder
from msgspec.structs import replace

from polyroute.dialects.json_text import UNREADABLE
from polyroute.dialects.openai_usage import Counts, disjoint
from polyroute.types.response import Usage


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
    counts = Counts(
        given=prompt,
        made=completion,
        cached=inside.cached_tokens
        or wire.prompt_cache_hit_tokens
        or wire.num_cached_tokens
        or wire.cached_tokens
        or 0,
        written=inside.cache_write_tokens or 0,
        heard=inside.audio_tokens or 0,
        thought=outside.reasoning_tokens or wire.reasoning_tokens or 0,
        spoken=outside.audio_tokens or 0,
    )
    return disjoint(_with_what_stands_beside(counts, wire)) if counts.is_believable else None


def _with_what_stands_beside(counts: Counts, wire: _WireUsage) -> Counts:
    """Some count a part beside its whole, as their total shows."""
    given, made, thought = counts.given, counts.made, counts.thought
    beyond = (wire.total_tokens or 0) - given - made
    if beyond > 0:
        if beyond == counts.heard:  # Mistral counts audio beside prompt_tokens
            given += counts.heard
        elif beyond == thought:  # xAI counts reasoning beside completion_tokens
            made += thought
        elif thought == 0:  # Gemini's OpenAI form counts thoughts in the total only
            thought = beyond
            made += beyond
    if (wire.reasoning_tokens or 0) > made:  # Perplexity's research models count it beside completion_tokens
        made += thought
    if (given, made) == (counts.given, counts.made):
        return counts
    return replace(counts, given=given, made=made, thought=thought)


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
