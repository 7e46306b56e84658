"""Who got how much: shares of requests and of money. Pure."""

from collections.abc import Iterable, Mapping
from decimal import Decimal

from msgspec import Struct

from polyroute.types.money import ZERO_USD

_NO_TARGETS: Mapping[str, float] = {}


class Part(Struct, frozen=True, kw_only=True):
    """One model's or one tier's part of the whole."""

    name: str
    requests: int
    request_share: float
    cost_usd: Decimal
    cost_share: float | None  # None where nothing was spent
    target_share: float | None = None  # of the requests, where one was set

    @property
    def drift(self) -> float | None:
        """How far the share of requests lies above its target; negative below."""
        return None if self.target_share is None else self.request_share - self.target_share


class Counted(Struct, frozen=True, kw_only=True):
    """One request, as it counts."""

    name: str
    cost_usd: Decimal


def mix(requests: Iterable[Counted], targets: Mapping[str, float] = _NO_TARGETS) -> tuple[Part, ...]:
    """The largest number of requests first; who has a target stands there also without one."""
    counts = dict.fromkeys(targets, 0)
    costs = dict.fromkeys(targets, ZERO_USD)
    for request in requests:
        counts[request.name] = counts.get(request.name, 0) + 1
        costs[request.name] = costs.get(request.name, ZERO_USD) + request.cost_usd
    total, spent = sum(counts.values()), sum(costs.values(), ZERO_USD)
    parts = (
        Part(
            name=name,
            requests=count,
            request_share=count / total if total else 0.0,
            cost_usd=costs[name],
            cost_share=float(costs[name] / spent) if spent else None,
            target_share=targets.get(name),
        )
        for name, count in counts.items()
    )
    return tuple(sorted(parts, key=lambda part: (-part.requests, part.name)))
