"""A route's ceiling, floor and latency budget, applied before any strategy chooses.

The ceiling is held against the worst case, before dispatch. Where no candidate meets both ceiling and floor, the
route's `precedence` says who wins; the default is to refuse. An unknown quality neither meets nor breaks a floor: such
a candidate stays, after those that are known to meet it.
"""

from collections.abc import Iterable
from decimal import Decimal

from msgspec import Struct

from polyroute.types.money import format_usd
from polyroute.types.routing import Candidate, Exclusion, Precedence, RequestClass


class Constraints(Struct, frozen=True, kw_only=True):
    latency_budget_ms: float | None = None
    cost_ceiling_usd: Decimal | None = None
    quality_floor: float | None = None
    precedence: Precedence = "refuse"
    request_class: RequestClass = "interactive"


class Constrained(Struct, frozen=True, kw_only=True):
    candidates: tuple[Candidate, ...]
    exclusions: tuple[Exclusion, ...]
    note: str | None = None  # which constraint gave way


def constrain(candidates: tuple[Candidate, ...], constraints: Constraints) -> Constrained:
    """Candidates within the constraints, in the order given."""
    too_dear = {c.deployment.id: reason for c in candidates if (reason := _over_ceiling(c, constraints))}
    too_poor = {c.deployment.id: reason for c in candidates if (reason := _under_floor(c, constraints))}
    refused, note = {**too_poor, **too_dear}, None
    if too_dear and too_poor and len(refused) == len(candidates):
        if constraints.precedence == "cost":
            refused, note = too_dear, "cost ceiling wins over quality floor"
        elif constraints.precedence == "quality":
            refused, note = too_poor, "quality floor wins over cost ceiling"
    kept = [candidate for candidate in candidates if candidate.deployment.id not in refused]
    if constraints.quality_floor is not None:
        kept.sort(key=lambda c: c.quality is None)
    return Constrained(
        candidates=tuple(kept),
        exclusions=tuple(
            Exclusion(deployment=c.deployment.id, model=c.deployment.model, reason=refused[c.deployment.id])
            for c in candidates
            if c.deployment.id in refused
        ),
        note=note,
    )


def by_price(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Cheapest first; unknown prices last. Stable."""
    return sorted(candidates, key=lambda c: (c.expected_usd is None, c.expected_usd or 0))


def by_latency(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Fastest first; unknown latencies last. Stable."""
    return sorted(candidates, key=lambda c: (c.latency_ms is None, c.latency_ms or 0.0))


def _over_ceiling(candidate: Candidate, constraints: Constraints) -> str | None:
    ceiling = constraints.cost_ceiling_usd
    if ceiling is None:
        return None
    if candidate.worst_usd is None:
        return f"price unknown, and a cost ceiling of ${format_usd(ceiling)} applies"
    if candidate.worst_usd > ceiling:
        return f"worst case ${format_usd(candidate.worst_usd)} > cost ceiling ${format_usd(ceiling)}"
    return None


def _under_floor(candidate: Candidate, constraints: Constraints) -> str | None:
    floor = constraints.quality_floor
    if floor is None or candidate.quality is None or candidate.quality >= floor:
        return None
    return f"quality {candidate.quality:g} < floor {floor:g}"
