"""Response headers from a receipt: what a caller may want to know without asking for the receipt itself."""

from collections.abc import Mapping
from decimal import Decimal

from polyroute.state.accounts.accounts import RateStandings
from polyroute.types.money import format_usd
from polyroute.types.receipt import Receipt

Headers = list[tuple[bytes, bytes]]

_MAX_REASON = 200


def receipt_headers(receipt: Receipt, *, final: bool) -> Headers:
    """`final` is False while a stream is under way: cost and saving are not known then."""
    seen = receipt.classification
    pairs: list[tuple[bytes, str | None]] = [
        (b"x-polyroute-request-id", receipt.request_id),
        (b"x-polyroute-route", receipt.route),
        (b"x-polyroute-strategy", receipt.strategy),
        (b"x-polyroute-complexity", f"{seen.label} {seen.score:.2f}" if seen else None),
        (b"x-polyroute-reason", receipt.plan_reason[:_MAX_REASON]),
        (b"x-polyroute-estimated-cost-per-1k", _money(receipt.estimated_cost_per_1k)),
        (b"x-polyroute-model", receipt.model),
        (b"x-polyroute-provider", receipt.provider),
        (b"x-polyroute-attempts", str(len(receipt.attempts))),
        (b"x-polyroute-fallback-reason", receipt.fallback_reason),
        (b"x-polyroute-fallback-ms", None if receipt.fallback_ms is None else f"{receipt.fallback_ms:.2f}"),
        (b"x-polyroute-cache", receipt.cache),
        (b"x-polyroute-policy", receipt.policy),
        (b"x-polyroute-dropped", ",".join(receipt.attempts[-1].dropped) if receipt.attempts else None),
        (b"x-polyroute-clamped", None if receipt.clamped_to is None else str(receipt.clamped_to)),
        (b"x-polyroute-overhead-ms", f"{receipt.overhead_ms:.2f}"),
    ]
    if final:
        pairs += [
            (b"x-polyroute-cost-usd", format_usd(receipt.cost_usd) if receipt.cost_complete else "unknown"),
            (b"x-polyroute-saved-usd", _money(receipt.saved_usd)),
            (b"x-polyroute-baseline", receipt.baseline),
        ]
    if receipt.client_request_id is not None:
        pairs.append((b"x-request-id", receipt.client_request_id))
    return [(name, _safe(value)) for name, value in pairs if value]


def standing_headers(standings: RateStandings, left_usd: Decimal | None) -> Headers:
    """`x-ratelimit-*` as OpenAI's, and the money left under the caller's tightest budget."""
    pairs: list[tuple[bytes, str | None]] = [(b"x-polyroute-budget-remaining-usd", _money(left_usd))]
    for name, limit in ((b"requests", standings.requests), (b"tokens", standings.tokens)):
        if limit is not None:
            pairs += [
                (b"x-ratelimit-limit-" + name, str(limit.limit)),
                (b"x-ratelimit-remaining-" + name, str(limit.remaining)),
                (b"x-ratelimit-reset-" + name, f"{limit.reset_s:.3f}s"),
            ]
    return [(name, _safe(value)) for name, value in pairs if value is not None]


def encode(headers: Mapping[str, str]) -> Headers:
    return [(name.encode(), _safe(value)) for name, value in headers.items()]


def report(receipt: Receipt) -> dict[str, object]:
    """What is known at a stream's end only; it travels under `polyroute` in the last event."""
    return {
        "request_id": receipt.request_id,
        "model": receipt.model,
        "provider": receipt.provider,
        "attempts": len(receipt.attempts),
        "cost_usd": format_usd(receipt.cost_usd) if receipt.cost_complete else None,
        "saved_usd": _money(receipt.saved_usd),
        "baseline": receipt.baseline,
    }


def _money(amount: Decimal | None) -> str | None:
    return None if amount is None else format_usd(amount)


def _safe(value: str) -> bytes:
    """Printable ASCII: what a provider or a document named must not break a header."""
    if not value.isprintable():
        value = "".join(mark if mark.isprintable() else " " for mark in value)
    return value.encode("ascii", "replace")
