"""What a provider's prompt cache is worth to a request: the input it has read before, at the price of cached input.

Pure. A place that holds a conversation's prompt is expected to cost less by that, so a switch is chosen only where it
is worth the input that is read anew. What is cached nobody tells beforehand: it is what the newest answer's usage
says, or its whole input where a provider caches unasked and free of charge.
"""

from decimal import Decimal

from msgspec.structs import replace

from polyroute.catalog import pricing
from polyroute.types.cards import Price
from polyroute.types.money import ZERO_USD, format_usd
from polyroute.types.response import Usage
from polyroute.types.routing import Candidate

KEPT_S = 300.0  # OpenAI's and Anthropic's prompt caching guides, 2026: five minutes after the last use, at least
_LEAST_TOKENS = 1024  # the same: shorter prompts are not cached
_TOLD = Decimal("0.000001")


def cached_tokens(usage: Usage, price: Price | None) -> int:
    """Of the prompt that was just answered, what is cached there now."""
    if price is None or price.rates.cached_input is None:
        return 0
    told = usage.cached_input_tokens + usage.cache_write_tokens + usage.cache_write_1h_tokens
    if told or price.rates.cache_write is not None:
        return told
    return usage.total_input_tokens if usage.total_input_tokens >= _LEAST_TOKENS else 0


def saved_usd(candidate: Candidate, tokens: int, price: Price | None) -> Decimal:
    """What so many cached tokens save of this request's input there."""
    read = min(tokens, candidate.input_tokens or 0)
    if price is None or read <= 0:
        return ZERO_USD
    whole, reused = Usage(input_tokens=read), Usage(cached_input_tokens=read)
    return max(ZERO_USD, pricing.cost(whole, price) - pricing.cost(reused, price))


def warmed(candidate: Candidate, saved: Decimal) -> Candidate:
    """With what it is expected to cost; the worst case stays."""
    if not saved or candidate.expected_usd is None:
        return candidate
    return replace(candidate, expected_usd=max(ZERO_USD, candidate.expected_usd - saved))


def told(first: str, saved: dict[str, Decimal]) -> str | None:
    """What the plan does to the prompt caches that hold this request's beginning; None where none does."""
    if not saved:
        return None
    if first in saved:
        return f"its prompt cache saves about ${_short(saved[first])}"
    left = max(saved, key=lambda deployment: saved[deployment])
    return f"{left}'s prompt cache is left, worth about ${_short(saved[left])}"


def _short(amount: Decimal) -> str:
    return format_usd(amount.quantize(_TOLD))
