"""Putting settlements into the books, many in one transaction. Idempotent: what is there already stays as it is.

Synchronous, for a thread. The rows of a batch go as arrays into one statement per table, three round trips in all
whatever their number; the first tells which requests are new, and only their attempts and receipts follow.
"""

import logging
from collections.abc import Sequence

import psycopg

from polyroute.stores.amending import Change, amended_by
from polyroute.stores.contradictions import note_contradiction
from polyroute.stores.journal.lines import Settled, encode_receipt
from polyroute.stores.packing import kept_body, pack
from polyroute.stores.postgres.connection import Address, Patient, store_error, told
from polyroute.stores.queries import Queries
from polyroute.stores.rows import amended_attempts, amended_request, attempt_values, request_values
from polyroute.types.receipt import Amended

_LOG = logging.getLogger(__name__)
_FAULTS_OF_ONE = (psycopg.DataError, psycopg.IntegrityError, ArithmeticError, ValueError)


def book(connection: Patient, address: Address, queries: Queries, entries: Sequence[Settled]) -> list[Settled]:
    """Those that were not in the books before. Raises StoreError, with nothing written, where the store fails.

    A settlement that contradicts the books, or that they refuse, is logged whole and left out: the rest goes on.
    """
    by_id = {entry.settlement.request_id: entry for entry in reversed(entries)}  # of two alike, the first
    with told(address):
        try:
            with connection.transaction():
                fresh = _insert(connection, queries, by_id)
        except _FAULTS_OF_ONE:  # find out which
            fresh = []
            with connection.transaction():
                for entry in list(by_id.values()):
                    try:
                        fresh += _insert_one(connection, queries, entry)
                    except _FAULTS_OF_ONE as fault:
                        why = store_error(fault, address) if isinstance(fault, psycopg.Error) else fault
                        _LOG.error("%s It was to be: %r", why, entry.body)
                        del by_id[entry.settlement.request_id]
        for request_id in by_id.keys() - {entry.settlement.request_id for entry in fresh}:
            found = connection.execute(queries.find_receipt.encode(), (request_id,)).fetchone()
            note_contradiction(by_id[request_id], found[0] if found else None)
    return fresh


def amend(connection: Patient, address: Address, queries: Queries, request_id: str, change: Change) -> Amended | None:
    """As the port `Ledger` says."""
    with told(address), connection.transaction():
        found = connection.execute(queries.lock_receipt.encode(), (request_id,)).fetchone()
        amended = amended_by(change, request_id, found)
        if amended is not None:
            connection.execute(queries.amend_request.encode(), amended_request(amended.after))
            for attempt in amended_attempts(amended):
                connection.execute(queries.amend_attempt.encode(), attempt)
            connection.execute(queries.amend_receipt.encode(), (pack(encode_receipt(amended.after)), request_id))
    return amended


def _insert(connection: Patient, queries: Queries, by_id: dict[str, Settled]) -> list[Settled]:
    if not by_id:
        return []
    rows = [request_values(entry.settlement, entry.reserved_usd, entry.replica) for entry in by_id.values()]
    settled = connection.execute(queries.settle_request.encode(), _columns(rows)).fetchall()
    fresh = [by_id[request_id] for (request_id,) in settled]
    attempts = [
        attempt_values(entry.settlement.request_id, number, attempt)
        for entry in fresh
        for number, attempt in enumerate(entry.settlement.receipt.attempts)
    ]
    if attempts:
        connection.execute(queries.settle_attempt.encode(), _columns(attempts))
    if fresh:
        receipts = ([entry.settlement.request_id for entry in fresh], [kept_body(entry) for entry in fresh])
        connection.execute(queries.keep_receipt.encode(), receipts)
    return fresh


def _insert_one(connection: Patient, queries: Queries, entry: Settled) -> list[Settled]:
    with connection.transaction():
        return _insert(connection, queries, {entry.settlement.request_id: entry})


def _columns(rows: Sequence[tuple[object, ...]]) -> list[list[object]]:
    """A list per column. PostgreSQL's text holds every character but one."""
    return [
        [_text(value) if isinstance(value, str) else value for value in column] for column in zip(*rows, strict=True)
    ]


def _text(value: str) -> str:
    return value.replace("\x00", "\ufffd") if "\x00" in value else value
