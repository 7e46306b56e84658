"""What past use would have cost at other prices. Pure: the books stay as they are."""

from collections.abc import Callable, Iterable
from decimal import Decimal

from msgspec import Struct

from polyroute.catalog import pricing
from polyroute.stores.reconcile import Billed
from polyroute.types.cards import Price
from polyroute.types.money import ZERO_USD
from polyroute.types.response import Usage


class Repriced(Struct, frozen=True, kw_only=True):
    """One model's calls at both prices."""

    model: str
    provider: str
    calls: int
    kept: int  # calls that stay as booked: no other price is known, or they are not billed by tokens
    booked_usd: Decimal
    repriced_usd: Decimal

    @property
    def difference_usd(self) -> Decimal:
        return self.repriced_usd - self.booked_usd


def reprice(calls: Iterable[Billed], price_of: Callable[[Billed], Price | None]) -> list[Repriced]:
    """The largest difference first."""
    found: dict[tuple[str, str], Repriced] = {}
    for call in calls:
        place = (call.model, call.provider)
        total = found.get(place) or Repriced(
            model=call.model, provider=call.provider, calls=0, kept=0, booked_usd=ZERO_USD, repriced_usd=ZERO_USD
        )
        booked, price = call.cost_usd or ZERO_USD, price_of(call)
        usage = _usage(call)
        is_kept = price is None or not call.has_usage or usage.total_tokens == 0
        found[place] = Repriced(
            model=call.model,
            provider=call.provider,
            calls=total.calls + 1,
            kept=total.kept + is_kept,
            booked_usd=total.booked_usd + booked,
            repriced_usd=total.repriced_usd + (booked if is_kept or price is None else pricing.cost(usage, price)),
        )
    return sorted(found.values(), key=lambda line: (-abs(line.difference_usd), line.model, line.provider))


def _usage(call: Billed) -> Usage:
    return Usage(
        input_tokens=call.input_tokens,
        cached_input_tokens=call.cached_input_tokens,
        cache_write_tokens=call.cache_write_tokens,
        cache_write_1h_tokens=call.cache_write_1h_tokens,
        output_tokens=call.output_tokens,
        reasoning_tokens=call.reasoning_tokens,
        input_audio_tokens=call.input_audio_tokens,
        output_audio_tokens=call.output_audio_tokens,
    )
