"""What fallbacks brought and cost in the past, by the books: who was answered because of one, at what price. Pure."""

from collections import Counter
from collections.abc import Iterable
from decimal import Decimal

from msgspec import Struct

from polyroute.stores.figures import quantile
from polyroute.stores.verify import Entry
from polyroute.types.money import ZERO_USD


class Effect(Struct, frozen=True, kw_only=True):
    route: str
    requests: int
    answered: int
    rescued: int  # answered by another than was asked first, because that one failed
    with_fallback: float  # share of requests that were answered
    without_fallback: float  # share that would have been
    extra_usd: Decimal  # what the rescued cost beyond what was estimated of whom they asked first
    unpriced: int  # rescued ones of which that is not known
    added_p50_ms: float  # from the first failure to the answer
    added_p95_ms: float
    reasons: dict[str, int]


def effects(entries: Iterable[Entry]) -> list[Effect]:
    """By route, the busiest first. Requests that their caller left, or that were refused, count for nothing."""
    rows: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.receipt is not None and entry.attempts and entry.request.state in ("settled", "failed"):
            rows.setdefault(entry.request.route, []).append(entry)
    return sorted((_effect(name, found) for name, found in rows.items()), key=lambda e: (-e.requests, e.route))


def _effect(route: str, entries: list[Entry]) -> Effect:
    answered = [entry for entry in entries if entry.request.state == "settled"]
    rescued = [entry.receipt for entry in answered if entry.receipt is not None and entry.receipt.fallback_reason]
    priced = [receipt for receipt in rescued if receipt.estimated_cost_usd is not None and receipt.cost_complete]
    added_ms = sorted(receipt.fallback_ms or 0.0 for receipt in rescued)
    return Effect(
        route=route,
        requests=len(entries),
        answered=len(answered),
        rescued=len(rescued),
        with_fallback=len(answered) / len(entries),
        without_fallback=(len(answered) - len(rescued)) / len(entries),
        extra_usd=sum((r.cost_usd - (r.estimated_cost_usd or ZERO_USD) for r in priced), ZERO_USD),
        unpriced=len(rescued) - len(priced),
        added_p50_ms=quantile(added_ms, 0.5),
        added_p95_ms=quantile(added_ms, 0.95),
        reasons=dict(Counter(receipt.fallback_reason or "" for receipt in rescued).most_common()),
    )
