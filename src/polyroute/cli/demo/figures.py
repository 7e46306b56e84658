"""What each policy cost, took and was worth, from the ledger's own rows and the noted answers. Pure."""

from collections.abc import Iterable
from decimal import Decimal

from msgspec import Struct

from polyroute.cli.demo.traffic import ROUTES, Sent
from polyroute.cli.interval import wilson
from polyroute.cli.mix import Counted, Part, mix
from polyroute.stores.figures import quantile
from polyroute.stores.verify import Entry
from polyroute.types.money import ZERO_USD, from_nanos

_MILLION = 1_000_000


class Quality(Struct, frozen=True, kw_only=True):
    """The share of good answers, with its 95 % interval."""

    good: int
    of: int
    share: float
    low: float
    high: float


class Policy(Struct, frozen=True, kw_only=True):
    """One route's figures. `saved_usd` is signed, against `baseline`."""

    name: str
    requests: int
    cost_usd: Decimal
    usd_per_million_requests: Decimal
    p50_ms: float
    p95_ms: float
    quality: Quality
    mix: tuple[Part, ...]  # by model
    baseline: str | None
    baseline_usd: Decimal
    saved_usd: Decimal
    saved_share: float | None  # of the baseline's cost


def policies(entries: Iterable[Entry], sent: Iterable[Sent]) -> list[Policy]:
    rows: dict[str, list[Entry]] = {name: [] for name in ROUTES}
    for entry in entries:
        rows.setdefault(entry.request.route, []).append(entry)
    good = {noted.request_id for noted in sent if noted.is_good}
    return [_policy(name, found, good) for name, found in rows.items() if found]


def _policy(name: str, entries: list[Entry], good: set[str]) -> Policy:
    requests = [entry.request for entry in entries]
    cost_usd = _sum(request.cost_nanos for request in requests)
    baseline_usd = _sum(request.baseline_nanos or 0 for request in requests)
    saved_usd = _sum(request.saved_nanos or 0 for request in requests)
    durations_ms = sorted(request.total_ms for request in requests)
    answered_well = sum(request.id in good for request in requests)
    low, high = wilson(answered_well, len(requests))
    return Policy(
        name=name,
        requests=len(requests),
        cost_usd=cost_usd,
        usd_per_million_requests=(cost_usd * _MILLION / len(requests)).quantize(Decimal("0.01")),
        p50_ms=quantile(durations_ms, 0.5),
        p95_ms=quantile(durations_ms, 0.95),
        quality=Quality(good=answered_well, of=len(requests), share=answered_well / len(requests), low=low, high=high),
        mix=mix(Counted(name=r.model or "no answer", cost_usd=from_nanos(r.cost_nanos)) for r in requests),
        baseline=next((request.baseline for request in requests if request.baseline), None),
        baseline_usd=baseline_usd,
        saved_usd=saved_usd,
        saved_share=float(saved_usd / baseline_usd) if baseline_usd else None,
    )


def _sum(nanos: Iterable[int]) -> Decimal:
    return sum(map(from_nanos, nanos), ZERO_USD)
