"""Token counts between Gemini's `usageMetadata` and our disjoint classes.

Gemini counts cached tokens and audio inside `promptTokenCount`, thoughts beside `candidatesTokenCount`, and what its
own tools put into the prompt beside both. Source: ai.google.dev, API reference "UsageMetadata".
"""

from polyroute.dialects.counts import read_count
from polyroute.types.response import Usage


def read_usage(value: object) -> Usage | None:
    """None where the provider gave no usage, or one that cannot be true."""
    if not isinstance(value, dict) or "promptTokenCount" not in value:
        return None
    prompt, cached = read_count(value.get("promptTokenCount")), read_count(value.get("cachedContentTokenCount"))
    candidates, thoughts = read_count(value.get("candidatesTokenCount")), read_count(value.get("thoughtsTokenCount"))
    tools, total = read_count(value.get("toolUsePromptTokenCount")), read_count(value.get("totalTokenCount"))
    if min(prompt, cached, candidates, thoughts, tools, total) < 0 or prompt + candidates + total == 0:
        return None
    if not candidates:  # left out where it is 0, and by some versions where it is not
        candidates = max(0, total - prompt - thoughts - tools)
    cached = min(cached, prompt)
    audio = max(0, _audio(value, "promptTokensDetails") - _audio(value, "cacheTokensDetails"))
    audio = min(audio, prompt - cached)
    spoken = min(_audio(value, "candidatesTokensDetails"), candidates)
    return Usage(
        input_tokens=prompt - cached - audio + tools,
        cached_input_tokens=cached,
        output_tokens=candidates - spoken,
        reasoning_tokens=thoughts,
        input_audio_tokens=audio,
        output_audio_tokens=spoken,
    )


def write_usage(usage: Usage | None) -> dict[str, object] | None:
    if usage is None:
        return None
    prompt, candidates = usage.total_input_tokens, usage.output_tokens + usage.output_audio_tokens
    written: dict[str, object] = {
        "promptTokenCount": prompt,
        "candidatesTokenCount": candidates,
        "totalTokenCount": prompt + candidates + usage.reasoning_tokens,
    }
    if usage.cached_input_tokens:
        written["cachedContentTokenCount"] = usage.cached_input_tokens
    if usage.reasoning_tokens:
        written["thoughtsTokenCount"] = usage.reasoning_tokens
    if usage.input_audio_tokens:
        written["promptTokensDetails"] = _details(prompt, usage.input_audio_tokens)
    if usage.output_audio_tokens:
        written["candidatesTokensDetails"] = _details(candidates, usage.output_audio_tokens)
    return written


def _details(whole: int, audio: int) -> list[dict[str, object]]:
    return [{"modality": "TEXT", "tokenCount": whole - audio}, {"modality": "AUDIO", "tokenCount": audio}]


def _audio(usage: dict[str, object], name: str) -> int:
    details = usage.get(name)
    if not isinstance(details, list):
        return 0
    counts = [read_count(item.get("tokenCount")) for item in details if _is_audio(item)]
    return max(0, sum(counts))


def _is_audio(item: object) -> bool:
    return isinstance(item, dict) and item.get("modality") in ("AUDIO", 4)  # 4: Vertex's enum as a number
