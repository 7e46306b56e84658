"""A budget within a budget: what is part of something may not be allowed more than the whole. Pure."""

from decimal import Decimal
from typing import Protocol

PERIODS = ("daily_usd", "weekly_usd", "monthly_usd", "total_usd")  # each lies within those after it


class Amounts(Protocol):
    """Anything that says how much may be spent per period."""

    @property
    def daily_usd(self) -> Decimal | None: ...

    @property
    def weekly_usd(self) -> Decimal | None: ...

    @property
    def monthly_usd(self) -> Decimal | None: ...

    @property
    def total_usd(self) -> Decimal | None: ...


def beyond(child: Amounts, parent: Amounts) -> tuple[str, str] | None:
    """The child's period whose amount is more than the parent's of the same or a longer one, with the parent's."""
    for at, short in enumerate(PERIODS):
        amount = _known(child, short)
        for long in PERIODS[at:]:
            most = _known(parent, long)
            if amount is not None and most is not None and amount > most:
                return short, long
    return None


def _known(amounts: Amounts, period: str) -> Decimal | None:
    """What cannot be compared (a text that reads as no number) is told of where amounts are looked at singly."""
    amount: Decimal | None = getattr(amounts, period)
    return amount if amount is not None and amount.is_finite() else None
