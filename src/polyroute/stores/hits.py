"""What caches did, per route and tier: requests, how many of them were answered without a call of their own, and what
that saved. Pure; the books count every request, in whichever process it was, so these are the same for all.
"""

from collections.abc import Iterable
from decimal import Decimal

from msgspec import Struct

from polyroute.types.money import ZERO_USD

TIERS = ("exact", "semantic", "coalesced")


class CacheLine(Struct, frozen=True, kw_only=True):
    """Requests of a tenant and route with one outcome: "miss" or a tier."""

    tenant: str
    route: str
    cache: str
    requests: int
    cost_usd: Decimal
    saved_usd: Decimal  # against the baseline


class Tier(Struct, frozen=True, kw_only=True):
    hits: int
    hit_ratio: float
    cost_usd: Decimal  # shares of calls
    saved_usd: Decimal


class RouteHits(Struct, frozen=True, kw_only=True):
    route: str
    requests: int  # that were settled
    hit_ratio: float  # of all tiers
    saved_usd: Decimal  # by all tiers
    tiers: dict[str, Tier]


def hits_of(lines: Iterable[CacheLine], *, tenant: str | None = None, route: str | None = None) -> list[RouteHits]:
    """By route, those without a hit too."""
    by_route: dict[str, dict[str, list[CacheLine]]] = {}
    for line in lines:
        if tenant in (None, line.tenant) and route in (None, line.route):
            by_route.setdefault(line.route, {}).setdefault(line.cache, []).append(line)
    found = []
    for name, by_tier in sorted(by_route.items()):
        total = sum(line.requests for some in by_tier.values() for line in some)
        tiers = {tier: _tier(by_tier[tier], total) for tier in TIERS if tier in by_tier}
        hits = sum(tier.hits for tier in tiers.values())
        saved_usd = sum((tier.saved_usd for tier in tiers.values()), ZERO_USD)
        found.append(
            RouteHits(route=name, requests=total, hit_ratio=round(hits / total, 4), saved_usd=saved_usd, tiers=tiers)
        )
    return found


def _tier(lines: list[CacheLine], total: int) -> Tier:
    hits = sum(line.requests for line in lines)
    return Tier(
        hits=hits,
        hit_ratio=round(hits / total, 4),
        cost_usd=sum((line.cost_usd for line in lines), ZERO_USD),
        saved_usd=sum((line.saved_usd for line in lines), ZERO_USD),
    )
