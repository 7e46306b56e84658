"""Who got how much: shares of requests and of money. Pure."""

from collections.abc import Iterable
from decimal import Decimal

from msgspec import Struct

from polyroute.types.money import ZERO_USD


class Part(Struct, frozen=True, kw_only=True):
    """One model's or one tier's part of the whole."""

    name: str
    requests: int
    request_share: float
    cost_usd: Decimal
    cost_share: float | None  # None where nothing was spent


class Counted(Struct, frozen=True, kw_only=True):
    """One request, as it counts."""

    name: str
    cost_usd: Decimal


def mix(requests: Iterable[Counted]) -> tuple[Part, ...]:
    """The largest number of requests first."""
    counts: dict[str, int] = {}
    costs: dict[str, Decimal] = {}
    for request in requests:
        counts[request.name] = counts.get(request.name, 0) + 1
        costs[request.name] = costs.get(request.name, ZERO_USD) + request.cost_usd
    total, spent = sum(counts.values()), sum(costs.values(), ZERO_USD)
    parts = (
        Part(
            name=name,
            requests=count,
            request_share=count / total,
            cost_usd=costs[name],
            cost_share=float(costs[name] / spent) if spent else None,
        )
        for name, count in counts.items()
    )
    return tuple(sorted(parts, key=lambda part: (-part.requests, part.name)))
