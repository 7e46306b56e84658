"""What an attempt cost: its usage at the price of the day, or an estimate marked as one.

- A reported usage is taken at its word.
- An answer without usage is counted by us, and never as more than what was held for it.
- A failure that was answered with an error status, or never connected, cost nothing.
- Any other failure may have been billed: its input is booked, and what output was seen.
"""

from datetime import date
from decimal import Decimal

from msgspec.structs import replace

from polyroute.catalog import pricing, tokens
from polyroute.errors import ProviderError, ProviderTimeout, Unreachable
from polyroute.types.cards import Deployment
from polyroute.types.content import Part, Refusal, Text, Thinking, ToolCall
from polyroute.types.money import ZERO_USD
from polyroute.types.request import Operation
from polyroute.types.response import (
    Chunk,
    RefusalDelta,
    Response,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    Units,
    Usage,
    WireBytes,
)
from polyroute.types.routing import Candidate, Needs

_TOKEN_CHARS = 4
_SPEECH_TOKENS = 14  # for ten characters: 1,250 a minute (OpenAI's pricing page, 2025) at 900 characters a minute
_IMAGE_TOKENS = 1_056  # of medium quality, square: OpenAI's image generation guide, 2025


def cost_of(usage: Usage | None, deployment: Deployment, day: date) -> Decimal | None:
    """None where the deployment's price is not known; without usage there is nothing to pay."""
    if usage is None:
        return ZERO_USD
    price = pricing.price_at(deployment.card, day)
    if price is None or (usage.units is not None and not pricing.covers(price, usage.units)):
        return None
    return pricing.cost(usage, price)


def metered(usage: Usage, needs: Needs, deployment: Deployment, day: date) -> Usage:
    """`usage` with what else is billed, as the provider counted it, or else as it was asked for.

    Where only that is billed, tokens that we counted ourselves say nothing and are left out.
    """
    asked, told = needs.units, usage.units
    if asked is None:
        return usage
    if told is not None:
        units = replace(told, image_kind=told.image_kind or asked.image_kind)
    else:
        units = replace(asked, audio_ms=asked.likely_audio_ms or asked.audio_ms, likely_audio_ms=0)
    price = pricing.price_at(deployment.card, day)
    if price is None and not usage.estimated and units.estimated:
        return usage  # what was reported is better than what may not even be billed
    if price is not None:
        billed = pricing.charged(units, price)
        if usage.estimated and billed is not None and pricing.is_by_unit(price):
            return Usage(units=billed, estimated=billed.estimated)
        units = billed or Units()
    return replace(usage, units=None if units == Units() else units, estimated=usage.estimated or units.estimated)


def counted(needs: Needs, candidate: Candidate, max_output_tokens: int | None, seen_output_tokens: int) -> Usage:
    """The usage of a call whose provider reported none. `max_output_tokens` is the cap it was sent with, if any."""
    if needs.units is not None:
        seen_output_tokens = max(seen_output_tokens, _unseen_tokens(needs.operation, needs.units))
    cap = max_output_tokens or needs.output_tokens or candidate.deployment.card.max_output_tokens
    reads = candidate.input_tokens
    return Usage(
        input_tokens=min(needs.input_tokens if reads is None else reads, candidate.input_bound_tokens),
        output_tokens=seen_output_tokens if cap is None else min(seen_output_tokens, cap * needs.choices),
        estimated=True,
    )


def likely_written(candidate: Candidate, elapsed_s: float) -> int:
    """Output tokens of a whole answer that was given up after so long; 0 where the model's speed is not known."""
    speed, first_ms = candidate.deployment.card.tokens_per_s, candidate.latency_ms
    if speed is None:
        return 0
    return min(candidate.output_bound_tokens, int(max(0.0, elapsed_s - (first_ms or 0.0) / 1000) * speed))


def is_unbilled(error: ProviderError) -> bool:
    """Whether a call that failed so, before any output came, cost nothing."""
    if isinstance(error, ProviderTimeout):
        return error.phase == "connect"
    return error.http_status is not None or isinstance(error, Unreachable)


def tokens_in(response: Response) -> int:
    """Output tokens of a whole answer, most likely."""
    return sum(tokens.estimate_text(_written(part)) for choice in response.choices for part in choice.parts)


def events_in(chunk: WireBytes) -> int:
    """An event is a token, near enough."""
    return chunk.data.count(b"data:")


def tokens_of(chunk: Chunk) -> int:
    """Output tokens of one chunk, roughly: this runs for every chunk of every stream."""
    match chunk:
        case WireBytes():
            return events_in(chunk)
        case TextDelta() | ThinkingDelta() | RefusalDelta():
            return -(-len(chunk.text) // _TOKEN_CHARS)
        case ToolCallDelta():
            return -(-len(chunk.arguments) // _TOKEN_CHARS)
        case _:
            return 0


def _unseen_tokens(operation: Operation, units: Units) -> int:
    """Output tokens of what is no text, most likely."""
    if operation == "speech":
        return -(-units.characters * _SPEECH_TOKENS // 10)
    return units.images * _IMAGE_TOKENS


def _written(part: Part) -> str:
    match part:
        case Text() | Refusal() | Thinking():
            return part.text
        case ToolCall():
            return f"{part.name} {part.arguments}"
        case _:
            return ""
