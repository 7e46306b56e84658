"""The audit log's chain of hashes: how an entry is made, and how a log is checked. Pure.

The first entry follows on 32 zero bytes. An entry that was changed, removed from the middle or put in between
breaks the chain there; entries cut off at the end show only against a hash that was noted elsewhere (`head`).
"""

import hashlib
from collections.abc import Iterable

from msgspec import json

from polyroute.types.records import Act, AuditEntry

BEGINNING = bytes(32)

_encode = json.Encoder(order="deterministic").encode


def link(previous: bytes, body: bytes) -> bytes:
    return hashlib.sha256(previous + body).digest()


def next_entry(last: AuditEntry | None, act: Act) -> AuditEntry:
    body = _encode(act)
    seq, previous = (last.seq, last.hash) if last is not None else (0, BEGINNING)
    return AuditEntry(seq=seq + 1, body=body, hash=link(previous, body))


def fault_in(entries: Iterable[AuditEntry]) -> str | None:
    """The first thing wrong with a whole log, in order; None: nothing."""
    previous, expected = BEGINNING, 1
    for entry in entries:
        if entry.seq != expected:
            return f"entry {expected} is missing: the next one is {entry.seq}"
        if link(previous, entry.body) != entry.hash:
            return f"entry {entry.seq} was changed, or one before it was"
        previous, expected = entry.hash, expected + 1
    return None
