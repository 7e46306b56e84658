"""A matched deployment with its price, latency and quality put to this request: a Candidate."""

from datetime import date

from polyroute.catalog import pricing
from polyroute.catalog.tokens import Size
from polyroute.types.cards import Deployment
from polyroute.types.routing import Candidate, Needs

DEFAULT_OUTPUT_TOKENS = 4096  # where neither caller nor card bounds the answer
_EXPECTED_OUTPUT_TOKENS = 300  # a middling chat answer; only ranks models against each other
_WORDLESS = ("embeddings", "moderation", "rerank")  # no output is billed
# Spoken, the dearest texts are digits: at most half a second each, at 20 tokens a second of sound.
_MOST_IMAGE_TOKENS = 8_000  # 6,240 and 100 for each of three partial images: OpenAI's image generation guide, 2025
_MOST_TOKENS_PER_CHARACTER, _LEAST_SPEECH_TOKENS = 12, 100


def candidate(deployment: Deployment, needs: Needs, size: Size, today: date, latency_ms: float | None) -> Candidate:
    price, units = pricing.price_at(deployment.card, today), needs.units
    if price is not None and units is not None and not pricing.covers(price, units):
        price = None
    inputs, outputs = size.upper_bound(deployment.card), _output_bound(deployment, needs)
    reads = min(size.estimate_for(deployment.upstream_model), inputs)
    per_1k = expected = worst = None
    if price is not None:
        usual, most = min(outputs, _EXPECTED_OUTPUT_TOKENS) * needs.choices, outputs * needs.choices
        per_1k = None if pricing.is_by_unit(price) else price.rates.input / 1000
        expected = pricing.expected_cost(reads, usual, price, units)
        worst = pricing.worst_cost(inputs, most, price, cache_writes=needs.caches, audio=needs.audio, units=units)
    return Candidate(
        deployment=deployment,
        input_tokens=reads,
        input_bound_tokens=inputs,
        output_bound_tokens=outputs,
        usd_per_1k=per_1k,
        expected_usd=expected,
        worst_usd=worst,
        latency_ms=latency_ms,
        quality=deployment.card.quality,
    )


def _output_bound(deployment: Deployment, needs: Needs) -> int:
    if needs.operation in _WORDLESS:
        return 0
    if needs.operation == "speech" and needs.units is not None:
        return _LEAST_SPEECH_TOKENS + _MOST_TOKENS_PER_CHARACTER * needs.units.characters
    if needs.operation == "image":
        return _MOST_IMAGE_TOKENS
    return needs.output_tokens or deployment.card.max_output_tokens or DEFAULT_OUTPUT_TOKENS
