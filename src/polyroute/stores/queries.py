"""Named queries from a database's `queries.sql`, each a field: every database answers the same ones."""

from pathlib import Path

import msgspec

_MARK = "-- name: "


class Queries(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    settle_request: str
    settle_attempt: str
    keep_receipt: str
    find_receipt: str
    lock_receipt: str  # in a transaction that is to write
    amend_request: str
    amend_attempt: str
    amend_receipt: str
    is_settled: str
    list_recent: str
    sum_spent: str
    sum_usage: str
    sum_caches: str
    list_billed: str
    list_request_figures: str
    list_attempt_figures: str
    list_requests: str
    list_attempts: str
    find_stray_attempts: str
    find_stray_receipts: str
    find_shared_attempts: str
    find_batch_end: str
    expire_receipts: str
    expire_attempts: str
    expire_requests: str
    expire_notes: str
    note_expired: str
    expired_before: str
    count_receipts: str
    count_requests: str
    count_notes: str


def parse_queries(text: str) -> Queries:
    """Raises msgspec.ValidationError where a query is missing or unknown."""
    blocks = (block.partition("\n") for block in text.split(_MARK)[1:])
    return msgspec.convert({name.strip(): body.strip() for name, _, body in blocks}, Queries)


def read_queries(package: Path) -> Queries:
    return parse_queries((package / "queries.sql").read_text(encoding="utf-8"))
