"""The audit log's chain of hashes: how an entry is made, and how a log is checked.

The first entry follows on 32 zero bytes. An entry that was changed, removed from the middle or put in between
breaks the chain there; entries cut off at the end show only against a hash that was noted elsewhere (`Audit.head`).
"""

import hashlib

from msgspec import Struct, json

from polyroute.ports import Records
from polyroute.types.records import Act, AuditEntry

BEGINNING = bytes(32)
_PAGE = 1000

_encode = json.Encoder(order="deterministic").encode


def link(previous: bytes, body: bytes) -> bytes:
    return hashlib.sha256(previous + body).digest()


def next_entry(last: AuditEntry | None, act: Act) -> AuditEntry:
    body = _encode(act)
    seq, previous = (last.seq, last.hash) if last is not None else (0, BEGINNING)
    return AuditEntry(seq=seq + 1, body=body, hash=link(previous, body))


class Audit(Struct, frozen=True, kw_only=True):
    """What came out of checking a log."""

    entries: int
    head: str  # the last hash, in hexadecimal: to be noted elsewhere
    fault: str | None = None  # the first thing wrong

    @property
    def whole(self) -> bool:
        return self.fault is None


def check(records: Records, *, noted: str | None = None) -> Audit:
    """The whole log, in order. `noted`: a head of before, which must still be one of its hashes."""
    previous, count = BEGINNING, 0
    is_found = noted is None or noted == BEGINNING.hex()
    while page := records.entries(after=count, limit=_PAGE):
        for entry in page:
            if entry.seq != count + 1:
                return _audit(previous, count, f"entry {count + 1} is missing: the next one is {entry.seq}")
            if link(previous, entry.body) != entry.hash:
                return _audit(previous, count, f"entry {entry.seq} was changed, or one before it was")
            previous, count = entry.hash, entry.seq
            is_found = is_found or entry.hash.hex() == noted
    return _audit(previous, count, None if is_found else f"the head {noted} is not in the log: its end was cut off")


def _audit(head: bytes, entries: int, fault: str | None = None) -> Audit:
    return Audit(entries=entries, head=head.hex(), fault=fault)
