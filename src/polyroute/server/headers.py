"""Response headers from a receipt: what a caller may want to know without asking for the receipt itself."""

from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache

from polyroute.state.accounts.accounts import RateStandings
from polyroute.types.money import format_usd
from polyroute.types.receipt import Receipt

Headers = list[tuple[bytes, bytes]]

_MAX_REASON = 200
_MEDIA_TYPES = frozenset({
    "application/json", "application/octet-stream", "application/vnd.amazon.eventstream", "application/x-subrip",
    "text/event-stream", "text/plain", "text/srt", "text/vtt",
})  # fmt: skip


def receipt_headers(receipt: Receipt, *, final: bool) -> Headers:
    """`final` is False while a stream is under way: cost and saving are not known then."""
    seen, attempts = receipt.classification, receipt.attempts
    headers = [
        (b"x-polyroute-request-id", receipt.request_id.encode()),
        *_as_routed(
            receipt.route,
            receipt.strategy,
            receipt.plan_reason[:_MAX_REASON],
            receipt.model,
            receipt.provider,
            receipt.cache,
            receipt.policy,
            receipt.baseline if final else None,
        ),
        (b"x-polyroute-attempts", b"%d" % len(attempts)),
        (b"x-polyroute-overhead-ms", b"%.2f" % receipt.overhead_ms),
    ]
    if seen is not None:
        headers.append((b"x-polyroute-complexity", f"{seen.label} {seen.score:.2f}".encode()))
    if receipt.split is not None:
        headers.append((b"x-polyroute-split", _safe(f"{receipt.split.split}={receipt.split.arm}")))
    if receipt.estimated_cost_per_1k is not None:
        headers.append((b"x-polyroute-estimated-cost-per-1k", _money(receipt.estimated_cost_per_1k)))
    if receipt.fallback_reason:
        headers.append((b"x-polyroute-fallback-reason", _safe(receipt.fallback_reason)))
    if receipt.fallback_ms is not None:
        headers.append((b"x-polyroute-fallback-ms", b"%.2f" % receipt.fallback_ms))
    if attempts and attempts[-1].dropped:
        headers.append((b"x-polyroute-dropped", _safe(",".join(attempts[-1].dropped))))
    if receipt.clamped_to is not None:
        headers.append((b"x-polyroute-clamped", b"%d" % receipt.clamped_to))
    if final:
        headers.append((b"x-polyroute-cost-usd", _money(receipt.cost_usd) if receipt.cost_complete else b"unknown"))
        if receipt.saved_usd is not None:
            headers.append((b"x-polyroute-saved-usd", _money(receipt.saved_usd)))
    if receipt.client_request_id is not None:
        headers.append((b"x-request-id", _safe(receipt.client_request_id)))
    return headers


@lru_cache(1024)
def _as_routed(
    route: str,
    strategy: str,
    reason: str,
    model: str | None,
    provider: str | None,
    cache: str,
    policy: str,
    baseline: str | None,
) -> Headers:
    """What the document names: few combinations, and the same for request after request."""
    pairs = (
        (b"x-polyroute-route", route),
        (b"x-polyroute-strategy", strategy),
        (b"x-polyroute-reason", reason),
        (b"x-polyroute-model", model),
        (b"x-polyroute-provider", provider),
        (b"x-polyroute-cache", cache),
        (b"x-polyroute-policy", policy),
        (b"x-polyroute-baseline", baseline),
    )
    return [(name, _safe(value)) for name, value in pairs if value]


def standing_headers(standings: RateStandings, left_usd: Decimal | None) -> Headers:
    """`x-ratelimit-*` as OpenAI's, and the money left under the caller's tightest budget."""
    headers = [] if left_usd is None else [(b"x-polyroute-budget-remaining-usd", _money(left_usd))]
    for name, limit in ((b"requests", standings.requests), (b"tokens", standings.tokens)):
        if limit is not None:
            headers += [
                (b"x-ratelimit-limit-" + name, b"%d" % limit.limit),
                (b"x-ratelimit-remaining-" + name, b"%d" % limit.remaining),
                (b"x-ratelimit-reset-" + name, b"%.3fs" % limit.reset_s),
            ]
    return headers


def media_type(told: str) -> str:
    """A provider's word on what its answer is, where it is one that an API gives; nothing that a browser would run."""
    kind = told.partition(";")[0].strip().lower()
    fits = kind in _MEDIA_TYPES or kind.startswith("audio/")
    return told if fits and told.isascii() and told.isprintable() else "application/octet-stream"


def encode(headers: Mapping[str, str]) -> Headers:
    return [(name.encode(), _safe(value)) for name, value in headers.items()]


def report(receipt: Receipt) -> dict[str, object]:
    """What is known at a stream's end only; it travels under `polyroute` in the last event."""
    went_on = [a.model for a in receipt.attempts if a.role == "continuation" and a.first_token_ms is not None]
    return {
        **({"continued_by": went_on} if went_on else {}),
        "request_id": receipt.request_id,
        "model": receipt.model,
        "provider": receipt.provider,
        "attempts": len(receipt.attempts),
        "cost_usd": format_usd(receipt.cost_usd) if receipt.cost_complete else None,
        "saved_usd": None if receipt.saved_usd is None else format_usd(receipt.saved_usd),
        "baseline": receipt.baseline,
    }


def _money(amount: Decimal) -> bytes:
    return format_usd(amount).encode()


def _safe(value: str) -> bytes:
    """Printable ASCII: what a provider or a document named must not break a header."""
    if not value.isprintable():
        value = "".join(mark if mark.isprintable() else " " for mark in value)
    return value.encode("ascii", "replace")
