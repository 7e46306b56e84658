"""What an attempt cost: its usage at the price of the day, or an estimate marked as one.

- A reported usage is taken at its word.
- An answer without usage is counted by us.
- A failure that was answered with an error status, or never connected, cost nothing.
- Any other failure may have been billed: its input is booked, and what output was seen.
"""

from datetime import date
from decimal import Decimal

from polyroute.catalog import pricing
from polyroute.errors import ProviderError, Unreachable
from polyroute.types.cards import Deployment
from polyroute.types.money import ZERO_USD
from polyroute.types.response import Usage


def cost_of(usage: Usage | None, deployment: Deployment, day: date) -> Decimal | None:
    """None where the deployment's price is not known."""
    price = pricing.price_at(deployment.card, day)
    if price is None:
        return None
    return ZERO_USD if usage is None else pricing.cost(usage, price)


def counted(input_tokens: int, output_tokens: int) -> Usage:
    """The usage of a call whose provider reported none."""
    return Usage(input_tokens=input_tokens, output_tokens=output_tokens, estimated=True)


def usage_of_failure(error: ProviderError, input_tokens: int, seen_output_tokens: int) -> Usage | None:
    """None where the failed attempt cost nothing."""
    unbilled = error.http_status is not None or isinstance(error, Unreachable)
    return None if unbilled and not seen_output_tokens else counted(input_tokens, seen_output_tokens)
