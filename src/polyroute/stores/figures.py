"""What many settled requests add up to. Pure."""

from array import array
from collections.abc import Iterable
from decimal import Decimal
from math import ceil

from msgspec import Struct

from polyroute.types.money import from_nanos


class Figures(Struct, frozen=True, kw_only=True):
    """Totals of one model (its attempts) or one route (its requests)."""

    name: str
    calls: int
    errors: int  # failed, or of unknown outcome
    unpriced: int  # calls whose cost is not known, or not wholly
    input_tokens: int  # of every class
    output_tokens: int
    cost_usd: Decimal
    saved_usd: Decimal  # signed; of a model: by the requests it answered
    p50_ms: float
    p95_ms: float


class Observation(Struct, frozen=True, kw_only=True):
    """One attempt or one request, as it counts."""

    name: str
    is_error: bool
    is_priced: bool
    input_tokens: int
    output_tokens: int
    cost_nanos: int
    saved_nanos: int
    duration_ms: float


class _Sums:
    __slots__ = (
        "calls",
        "cost_nanos",
        "durations_ms",
        "errors",
        "input_tokens",
        "output_tokens",
        "saved_nanos",
        "unpriced",
    )

    def __init__(self) -> None:
        self.calls = self.errors = self.unpriced = 0
        self.input_tokens = self.output_tokens = 0
        self.cost_nanos = self.saved_nanos = 0
        self.durations_ms = array("f")


def add_up(observations: Iterable[Observation], saved_nanos: dict[str, int] | None = None) -> list[Figures]:
    """One line per name, the dearest first. `saved_nanos` by name is added to what the observations saved."""
    sums: dict[str, _Sums] = {}
    for seen in observations:
        total = sums.get(seen.name)
        if total is None:
            total = sums[seen.name] = _Sums()
        total.calls += 1
        total.errors += seen.is_error
        total.unpriced += not seen.is_priced
        total.input_tokens += seen.input_tokens
        total.output_tokens += seen.output_tokens
        total.cost_nanos += seen.cost_nanos
        total.saved_nanos += seen.saved_nanos
        total.durations_ms.append(seen.duration_ms)
    lines = [_figures(name, total, (saved_nanos or {}).get(name, 0)) for name, total in sums.items()]
    return sorted(lines, key=lambda line: (-line.cost_usd, line.name))


def _figures(name: str, total: _Sums, saved_nanos: int) -> Figures:
    durations_ms = sorted(total.durations_ms)
    return Figures(
        name=name,
        calls=total.calls,
        errors=total.errors,
        unpriced=total.unpriced,
        input_tokens=total.input_tokens,
        output_tokens=total.output_tokens,
        cost_usd=from_nanos(total.cost_nanos),
        saved_usd=from_nanos(total.saved_nanos + saved_nanos),
        p50_ms=quantile(durations_ms, 0.50),
        p95_ms=quantile(durations_ms, 0.95),
    )


def quantile(rising: list[float], share: float) -> float:
    """The smallest value that at least `share` of `rising` do not exceed (nearest rank). 0 of nothing."""
    return rising[max(ceil(share * len(rising)) - 1, 0)] if rising else 0.0
