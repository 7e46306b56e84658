"""Exact money: `Decimal` US dollars in code, integer nano-dollars in storage. Never float."""

from decimal import ROUND_HALF_EVEN, ROUND_UP, Decimal

ZERO_USD = Decimal(0)
_NANO = Decimal("0.000000001")
_NANOS_PER_USD = Decimal(1_000_000_000)


def round_usd(amount: Decimal) -> Decimal:
    """The nearest nano-dollar, ties to even: the one rounding a settled cost ever sees."""
    return amount.quantize(_NANO, ROUND_HALF_EVEN)


def round_usd_up(amount: Decimal) -> Decimal:
    """The nano-dollar at or above `amount`: worst cases are never rounded down."""
    return amount.quantize(_NANO, ROUND_UP)


def to_nanos(amount: Decimal) -> int:
    """Nano-dollars for storage. Raises ValueError where `amount` is not a whole number of them."""
    nanos = amount * _NANOS_PER_USD
    whole = int(nanos)
    if whole != nanos:
        raise ValueError(f"{amount} USD is not a whole number of nano-dollars")
    return whole


def from_nanos(nanos: int) -> Decimal:
    return Decimal(nanos).scaleb(-9)


def format_usd(amount: Decimal) -> str:
    """Plain decimal digits without exponent or trailing zeros, as headers and JSON carry money."""
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
