"""What the answer would have cost at the baseline model, against what was really spent on it. Signed.

The baseline is always named: a route's own, or the dearest of its models. Tokens are those of the real answer: another
model would have written another one, so this is an estimate by construction, and exact in its arithmetic.
"""

from datetime import date
from decimal import Decimal

from msgspec import Struct

from polyroute.catalog import pricing
from polyroute.types.cards import Deployment, Price
from polyroute.types.response import Usage


class Saving(Struct, frozen=True, kw_only=True):
    baseline: str
    baseline_usd: Decimal
    saved_usd: Decimal  # negative where the route cost more


def saving(usage: Usage, spent_usd: Decimal, baseline: Deployment, day: date) -> Saving | None:
    """None where the baseline's price is not known."""
    price = pricing.price_at(baseline.card, day)
    if price is None or not _prices(price, usage):
        return None
    baseline_usd = pricing.cost(usage, price)
    return Saving(baseline=baseline.model, baseline_usd=baseline_usd, saved_usd=baseline_usd - spent_usd)


def _prices(price: Price, usage: Usage) -> bool:
    """Whether the baseline counts what the answer was billed by: minutes say nothing of tokens."""
    if usage.units is None:
        return not pricing.is_by_unit(price)
    return bool(usage.total_tokens) or pricing.charged(usage.units, price) is not None


def dearest(deployments: tuple[Deployment, ...], day: date) -> Deployment | None:
    """By output rate, then input rate; None where no price is known."""
    priced = [(price.rates, d) for d in deployments if (price := pricing.price_at(d.card, day)) is not None]
    if not priced:
        return None
    return max(priced, key=lambda pair: (pair[0].output, pair[0].input))[1]
