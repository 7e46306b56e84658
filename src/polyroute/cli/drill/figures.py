"""What a drill's runs come to, request by request against the healthy run. Pure."""

from collections import Counter
from decimal import Decimal

from msgspec import Struct

from polyroute.stores.figures import quantile
from polyroute.types.money import ZERO_USD
from polyroute.types.receipt import Receipt

Run = list[Receipt | None]


class Share(Struct, frozen=True, kw_only=True):
    name: str
    requests: int


class Outcome(Struct, frozen=True, kw_only=True):
    """One run. Milliseconds are simulated; what was added counts only requests that both runs answered."""

    name: str
    requests: int
    answered: int
    success_share: float
    attempts_per_request: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    added_p50_ms: float
    added_p95_ms: float
    added_p99_ms: float
    cost_usd: Decimal
    extra_usd: Decimal  # against the same requests of the healthy run
    cost_complete: bool  # False: a price is not known
    answered_by: tuple[Share, ...]  # providers, the most first
    errors: tuple[Share, ...]


def outcome(name: str, run: Run, healthy: Run) -> Outcome:
    told = [receipt for receipt in run if receipt is not None]
    answered = [receipt for receipt in told if receipt.state == "settled"]
    pairs = [
        (receipt, before)
        for receipt, before in zip(run, healthy, strict=True)
        if receipt is not None and before is not None and receipt.state == before.state == "settled"
    ]
    took_ms = sorted(receipt.total_ms for receipt in answered)
    added_ms = sorted(receipt.total_ms - before.total_ms for receipt, before in pairs)
    refused = len(run) - len(told)
    errors = Counter(receipt.error or receipt.state for receipt in told if receipt.state != "settled")
    if refused:
        errors["refused"] += refused
    return Outcome(
        name=name,
        requests=len(run),
        answered=len(answered),
        success_share=len(answered) / len(run) if run else 0.0,
        attempts_per_request=sum(len(receipt.attempts) for receipt in told) / len(run) if run else 0.0,
        p50_ms=quantile(took_ms, 0.5),
        p95_ms=quantile(took_ms, 0.95),
        p99_ms=quantile(took_ms, 0.99),
        added_p50_ms=quantile(added_ms, 0.5),
        added_p95_ms=quantile(added_ms, 0.95),
        added_p99_ms=quantile(added_ms, 0.99),
        cost_usd=sum((receipt.cost_usd for receipt in told), ZERO_USD),
        extra_usd=sum((receipt.cost_usd - before.cost_usd for receipt, before in pairs), ZERO_USD),
        cost_complete=all(receipt.cost_complete for receipt in told),
        answered_by=_shares(Counter(receipt.provider or "plain logic" for receipt in answered)),
        errors=_shares(errors),
    )


def _shares(counted: Counter[str]) -> tuple[Share, ...]:
    return tuple(Share(name=name, requests=number) for name, number in counted.most_common())
