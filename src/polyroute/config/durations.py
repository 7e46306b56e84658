"""Spans of time as people write them: `30s`, `5m`, `24h`, `7d`, `500ms`, or a number of seconds."""

from decimal import Decimal, InvalidOperation
from typing import Self

_SECONDS = {
    "ms": Decimal("0.001"),
    "s": Decimal(1),
    "m": Decimal(60),
    "h": Decimal(3600),
    "d": Decimal(86400),
    "w": Decimal(604800),
}


class Duration(float):
    """Seconds, more than zero."""

    __slots__ = ()

    @classmethod
    def read(cls, written: object) -> Self:
        """Raises ValueError for anything else than the forms above."""
        if isinstance(written, str):
            digits = written.rstrip("abcdefghijklmnopqrstuvwxyz")
            unit = written[len(digits) :]
            try:
                seconds = Decimal(digits.strip()) * _SECONDS[unit or "s"]
            except (InvalidOperation, KeyError):
                seconds = Decimal(0)
        elif isinstance(written, int | float | Decimal) and not isinstance(written, bool):
            seconds = Decimal(written)
        else:
            seconds = Decimal(0)
        if not seconds.is_finite() or seconds <= 0 or seconds > 10**10:
            raise ValueError(f"must be a span of time such as 30s, 5m, 24h or 7d, got {written!r}")
        return cls(seconds)
