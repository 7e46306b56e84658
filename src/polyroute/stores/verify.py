"""Whether the books balance: every finding as a value, none where they do. Pure.

Checked of each settled request: its final state; the sum of its attempts against its cost; that its receipt is kept,
but for one past its retention, and tells the same state, cost, attempts and attempt costs; that a cost called complete
has no attempt without a price; that no count or cost is negative. What spans requests (rows without a request, an
attempt in two requests, requests left open by a dead process) the store finds and puts into the same words.
"""

from typing import Literal

from msgspec import Struct

from polyroute.stores.rows import AttemptRow, RequestRow, nanos_of
from polyroute.types.money import format_usd, from_nanos
from polyroute.types.receipt import Receipt

FindingKind = Literal[
    "damaged_file",
    "sum_differs",
    "receipt_missing",
    "receipt_differs",
    "price_missing",
    "negative",
    "left_open",
    "stray_row",
    "attempt_shared",
]


class Finding(Struct, frozen=True, kw_only=True):
    """One thing wrong in the books."""

    kind: FindingKind
    request_id: str | None  # None: the file as a whole
    message: str

    def __str__(self) -> str:
        return f"{self.request_id}: {self.message}" if self.request_id else self.message


class Entry(Struct, frozen=True, kw_only=True):
    """All that the books hold of one settled request."""

    request: RequestRow
    attempts: tuple[AttemptRow, ...]
    receipt: Receipt | None


def check_entry(entry: Entry, *, receipts_from_us: int = 0) -> list[Finding]:
    """Of requests that arrived before `receipts_from_us` the receipt may be past its retention."""
    request, attempts, receipt = entry.request, entry.attempts, entry.receipt
    findings: list[Finding] = []

    def found(kind: FindingKind, message: str) -> None:
        findings.append(Finding(kind=kind, request_id=request.id, message=message))

    total = sum(attempt.cost_nanos or 0 for attempt in attempts)
    if total != request.cost_nanos:
        found("sum_differs", f"its attempts cost {_usd(total)} together, the request {_usd(request.cost_nanos)}")
    for attempt in attempts:
        if any(amount is not None and amount < 0 for amount in _amounts(attempt)):
            found("negative", f"attempt {attempt.id} has a negative count or cost")
        if attempt.cost_nanos is None and attempt.input_tokens is not None and request.cost_complete:
            found("price_missing", f"attempt {attempt.id} has tokens and no cost, yet the cost is called complete")
    if receipt is None and request.opened_us < receipts_from_us:
        return findings
    if receipt is None:
        found("receipt_missing", "its receipt is not there, or cannot be read")
        return findings
    if receipt.request_id != request.id or receipt.state != request.state:
        found("receipt_differs", f"the row is {request.state}, the receipt {receipt.request_id} {receipt.state}")
    if nanos_of(receipt.cost_usd) != request.cost_nanos:
        found("receipt_differs", f"the row costs {_usd(request.cost_nanos)}, the receipt {receipt.cost_usd} USD")
    told = {attempt.id: nanos_of(attempt.cost_usd) for attempt in receipt.attempts}
    kept = {attempt.id: attempt.cost_nanos for attempt in attempts}
    for attempt_id in sorted(told.keys() | kept.keys()):
        if attempt_id not in kept:
            found("receipt_differs", f"attempt {attempt_id} is in the receipt only")
        elif attempt_id not in told:
            found("receipt_differs", f"attempt {attempt_id} is not in the receipt")
        elif told[attempt_id] != kept[attempt_id]:
            found("receipt_differs", f"attempt {attempt_id} costs something else in the receipt")
    return findings


def _amounts(attempt: AttemptRow) -> tuple[int | None, ...]:
    return (
        attempt.cost_nanos,
        attempt.input_tokens,
        attempt.cached_input_tokens,
        attempt.cache_write_tokens,
        attempt.cache_write_1h_tokens,
        attempt.output_tokens,
        attempt.reasoning_tokens,
        attempt.input_audio_tokens,
        attempt.output_audio_tokens,
    )


def _usd(nanos: int) -> str:
    return f"{format_usd(from_nanos(nanos))} USD"
