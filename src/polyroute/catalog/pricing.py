"""What an answer costs: exact amounts from usage by token class. Pure; never guesses a price.

A model whose price is unknown has no cost (None), which callers flag; only rates that are all zero cost nothing.
The price is the one of the request's own day, so old requests keep old prices. Arithmetic is exact for token
counts below 2**63 and rates of up to nine significant digits, and rounds once, at the end.
Tiers price the whole request, not the part above them: OpenAI, Anthropic and Google pricing pages, 2026.
"""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from msgspec import Struct

from polyroute.types.cards import ModelCard, Price, Rates
from polyroute.types.money import ZERO_USD, round_usd, round_usd_up
from polyroute.types.response import Units, Usage

FREE = Rates(input=ZERO_USD, output=ZERO_USD)

_PER_MILLION = Decimal("0.000001")
_MS_PER_MINUTE = 60_000


def price_at(card: ModelCard, when: date) -> Price | None:
    """The price in force on `when` (a UTC date); None where it is not known."""
    found = None
    for price in card.prices:
        if price.effective_from is None or price.effective_from <= when:
            found = price
    return found


def is_free(price: Price) -> bool:
    """Whether every class costs nothing: said by someone, never concluded from silence."""
    return not price.per_request_usd and not any(
        rate for rates in (price.rates, *(tier.rates for tier in price.tiers)) for rate in _all_of(rates)
    )


def cost(usage: Usage, price: Price) -> Decimal:
    """US dollars for `usage`, to the nearest nano-dollar."""
    rates = price.rates
    if price.tiers:
        total = usage.total_input_tokens
        for tier in price.tiers:
            if total > tier.above_input_tokens:
                rates = tier.rates
    amount = usage.input_tokens * rates.input + usage.output_tokens * rates.output
    if usage.cached_input_tokens:
        amount += usage.cached_input_tokens * (rates.input if rates.cached_input is None else rates.cached_input)
    if usage.reasoning_tokens:
        amount += usage.reasoning_tokens * (rates.output if rates.reasoning is None else rates.reasoning)
    if usage.cache_write_tokens:
        amount += usage.cache_write_tokens * _cache_write(rates)
    if usage.cache_write_1h_tokens:
        hour = rates.cache_write_1h
        amount += usage.cache_write_1h_tokens * (_cache_write(rates) if hour is None else hour)
    if usage.input_audio_tokens:
        amount += usage.input_audio_tokens * (rates.input if rates.input_audio is None else rates.input_audio)
    if usage.output_audio_tokens:
        amount += usage.output_audio_tokens * (rates.output if rates.output_audio is None else rates.output_audio)
    amount *= _PER_MILLION
    if usage.units is not None:
        amount += _units_cost(usage.units, rates)
    if price.per_request_usd is not None:
        amount += price.per_request_usd
    return round_usd(amount)


def covers(price: Price, units: Units) -> bool:
    """Whether the price says what such a request costs: by its tokens, by its units, or that it is free."""
    return is_free(price) or not is_by_unit(price) or charged(units, price) is not None


def is_by_unit(price: Price) -> bool:
    """Whether tokens cost nothing and something else does."""
    rates = price.rates
    return not (rates.input or rates.output or price.tiers or any(_token_rates(rates)) or is_free(price))


def charged(units: Units, price: Price) -> Units | None:
    """Those of `units` that have a price; the others are paid as tokens, or not at all."""
    rates = price.rates
    left = Units(
        images=units.images if rates.image is not None or rates.images else 0,
        image_kind=units.image_kind if rates.images else "",
        audio_ms=0 if rates.audio_minute is None else units.audio_ms,
        likely_audio_ms=0 if rates.audio_minute is None else units.likely_audio_ms,
        characters=0 if rates.million_characters is None else units.characters,
        searches=0 if rates.search is None else units.searches,
        estimated=units.estimated,
    )
    return left if left.images or left.audio_ms or left.characters or left.searches else None


def expected_cost(input_tokens: int, output_tokens: int, price: Price, units: Units | None = None) -> Decimal:
    """The cost where nothing is cached, reasoned or spoken."""
    return cost(Usage(input_tokens=input_tokens, output_tokens=output_tokens, units=units), price)


def worst_cost(
    input_tokens: int,
    max_output_tokens: int,
    price: Price,
    *,
    cache_writes: bool = True,
    audio: bool = True,
    units: Units | None = None,
) -> Decimal:
    """No usage within these bounds costs more, whatever its classes; rounded up.

    `cache_writes` says whether the request marks prefixes for caching: only those may be kept for an hour. Short
    writes always count, since OpenAI caches unasked and charges for it from GPT-5.6 on (its prompt caching guide,
    2026). `audio` says whether sound may go in or come out, which is far dearer than text.
    """
    worst = ZERO_USD
    bands = ((0, price.rates), *((tier.above_input_tokens, tier.rates) for tier in price.tiers))
    for place, (above, rates) in enumerate(bands):
        if place and input_tokens <= above:
            break
        # Just below the next tier a request may cost more than just above it.
        longest = min(input_tokens, bands[place + 1][0]) if place + 1 < len(bands) else input_tokens
        amount = longest * _dearest_input(rates, cache_writes=cache_writes, audio=audio)
        worst = max(worst, amount + max_output_tokens * _dearest_output(rates, audio=audio))
    beside = ZERO_USD if units is None else _units_cost(units, price.rates)
    return round_usd_up(worst * _PER_MILLION + beside + (price.per_request_usd or ZERO_USD))


class Share(Struct, frozen=True, kw_only=True):
    """One part of a mix: how much of the traffic, at how many dollars per million tokens."""

    weight: Decimal  # 60 of 60/30/10, or 0.6; any unit
    usd_per_million: Decimal | None  # None: the price is not known


class Blend(Struct, frozen=True, kw_only=True):
    usd_per_million: Decimal
    baseline_usd_per_million: Decimal
    saved_ratio: Decimal | None  # of the baseline, signed; None where the baseline is free


def usd_per_million(price: Price, *, output_share: Decimal = Decimal("0.25")) -> Decimal:
    """One figure for a price: dollars per million tokens of which `output_share` (0..1) are output."""
    return price.rates.input * (1 - output_share) + price.rates.output * output_share


def blended_per_million(mix: Sequence[Share], baseline_usd_per_million: Decimal) -> Blend | None:
    """What a mix costs against sending everything to the baseline; None where a used part's price is unknown.

    Raises ValueError where a weight is negative or all are zero.
    """
    total = sum((share.weight for share in mix), ZERO_USD)
    if total <= 0 or any(share.weight < 0 for share in mix):
        raise ValueError("a mix needs weights that are not negative and not all zero, as in 60/30/10")
    amount = ZERO_USD
    for share in mix:
        if share.weight:
            if share.usd_per_million is None:
                return None
            amount += share.weight * share.usd_per_million
    blended = round_usd(amount / total)
    saved = (1 - blended / baseline_usd_per_million) if baseline_usd_per_million else None
    return Blend(
        usd_per_million=blended,
        baseline_usd_per_million=baseline_usd_per_million,
        saved_ratio=None if saved is None else round_usd(saved),
    )


def _units_cost(units: Units, rates: Rates) -> Decimal:
    amount = units.images * _image_rate(rates, units.image_kind)
    if units.audio_ms and rates.audio_minute is not None:
        amount += units.audio_ms * rates.audio_minute / _MS_PER_MINUTE
    if units.characters and rates.million_characters is not None:
        amount += units.characters * rates.million_characters * _PER_MILLION
    if units.searches and rates.search is not None:
        amount += units.searches * rates.search
    return amount


def _image_rate(rates: Rates, kind: str) -> Decimal:
    """By quality and size, by either of them, else for any; a kind that nobody priced costs as the dearest."""
    if rates.images:
        for name in (kind, *kind.split("/")):
            if name in rates.images:
                return rates.images[name]
        return max(rates.image or ZERO_USD, *rates.images.values())
    return rates.image or ZERO_USD


def _cache_write(rates: Rates) -> Decimal:
    return rates.input if rates.cache_write is None else rates.cache_write


def _dearest_input(rates: Rates, *, cache_writes: bool, audio: bool) -> Decimal:
    return max(
        rates.input,
        rates.cached_input or ZERO_USD,
        rates.cache_write or ZERO_USD,
        (rates.cache_write_1h or ZERO_USD) if cache_writes else ZERO_USD,
        (rates.input_audio or ZERO_USD) if audio else ZERO_USD,
    )


def _dearest_output(rates: Rates, *, audio: bool) -> Decimal:
    return max(rates.output, rates.reasoning or ZERO_USD, (rates.output_audio or ZERO_USD) if audio else ZERO_USD)


def _all_of(rates: Rates) -> tuple[Decimal, ...]:
    beside = (rates.image, rates.audio_minute, rates.million_characters, rates.search, *rates.images.values())
    return (*_token_rates(rates), *(rate for rate in beside if rate is not None))


def _token_rates(rates: Rates) -> tuple[Decimal, ...]:
    return tuple(
        rate
        for rate in (
            rates.input,
            rates.output,
            rates.cached_input,
            rates.cache_write,
            rates.cache_write_1h,
            rates.reasoning,
            rates.input_audio,
            rates.output_audio,
        )
        if rate is not None
    )
