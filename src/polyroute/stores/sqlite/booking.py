"""Putting settlements into the books, many in one transaction. Idempotent: what is there already stays as it is.

Synchronous, for a thread: it may wait for another process's lock, and for the disk. Many rows go into one statement:
the interpreter's lock changes hands at each, and handing it over costs more than the rows do.
"""

import logging
import sqlite3
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from polyroute.stores.amending import Change, amended_by
from polyroute.stores.contradictions import note_contradiction
from polyroute.stores.journal.lines import Settled, encode_receipt
from polyroute.stores.packing import kept_body, pack
from polyroute.stores.queries import Queries
from polyroute.stores.rows import amended_attempts, amended_request, attempt_values, request_values
from polyroute.stores.sqlite.files import roll_back, store_error
from polyroute.stores.sqlite.queries import for_rows
from polyroute.stores.sqlite.words import OF_ATTEMPT, OF_REQUEST, shortened
from polyroute.types.receipt import Amended

_ROWS = 24  # in one statement; the widest has 24 columns, and SQLite once took 999 values at most
_LOG = logging.getLogger(__name__)
_FAULTS_OF_ONE = (sqlite3.IntegrityError, sqlite3.DataError, ArithmeticError, ValueError)


def book(connection: sqlite3.Connection, path: Path, queries: Queries, entries: Sequence[Settled]) -> list[Settled]:
    """Those that were not in the books before. Raises StoreError, with nothing written, where the store fails.

    A settlement that contradicts the books, or that they refuse, is logged whole and left out: the rest goes on.
    """
    try:
        connection.execute("BEGIN IMMEDIATE")
        try:
            fresh = _book_all(connection, queries, entries)
        except _FAULTS_OF_ONE:
            fresh = None
        if fresh is None:  # one of them is in the books already, or at fault: find out which
            connection.execute("ROLLBACK")
            connection.execute("BEGIN IMMEDIATE")
            fresh = [entry for entry in entries if _book_one(connection, path, queries, entry)]
        connection.execute("COMMIT")
    except sqlite3.Error as fault:
        roll_back(connection)
        raise store_error(fault, path) from fault
    return fresh


def amend(
    connection: sqlite3.Connection, path: Path, queries: Queries, request_id: str, change: Change
) -> Amended | None:
    """As the port `Ledger` says."""
    try:
        connection.execute("BEGIN IMMEDIATE")
        try:
            found = connection.execute(queries.lock_receipt, (request_id,)).fetchone()
            amended = amended_by(change, request_id, found)
            if amended is not None:
                connection.execute(queries.amend_request, amended_request(amended.after))
                connection.executemany(queries.amend_attempt, amended_attempts(amended))
                connection.execute(queries.amend_receipt, (pack(encode_receipt(amended.after)), request_id))
            connection.execute("COMMIT")
        except BaseException:
            roll_back(connection)
            raise
    except sqlite3.Error as fault:
        raise store_error(fault, path) from fault
    return amended


def _book_all(connection: sqlite3.Connection, queries: Queries, entries: Sequence[Settled]) -> list[Settled] | None:
    """None where not all of them are new."""
    requests = [request_values(entry.settlement, entry.reserved_usd, entry.replica) for entry in entries]
    if _insert(connection, queries.settle_request, shortened(connection, requests, OF_REQUEST)) != len(entries):
        return None
    _insert(connection, queries.settle_attempt, shortened(connection, list(_attempts(entries)), OF_ATTEMPT))
    # As a bytearray: the module would look for an adapter of `bytes` each time, and take as long as the insert does.
    receipts = [(entry.settlement.request_id, bytearray(kept_body(entry))) for entry in entries]
    _insert(connection, queries.keep_receipt, receipts)
    return list(entries)


def _insert(connection: sqlite3.Connection, query: str, rows: Sequence[tuple[object, ...]]) -> int:
    """How many of `rows` were inserted."""
    inserted = 0
    for start in range(0, len(rows), _ROWS):
        some = rows[start : start + _ROWS]
        inserted += connection.execute(for_rows(query, len(some)), list(chain.from_iterable(some))).rowcount
    return inserted


def _book_one(connection: sqlite3.Connection, path: Path, queries: Queries, entry: Settled) -> bool:
    request_id = entry.settlement.request_id
    connection.execute("SAVEPOINT one")
    try:
        if _book_all(connection, queries, (entry,)):
            return True
        found = connection.execute(queries.find_receipt, (request_id,)).fetchone()
        note_contradiction(entry, found[0] if found else None)
    except _FAULTS_OF_ONE as fault:
        connection.execute("ROLLBACK TO one")
        _LOG.error("%s It was to be: %r", store_error(fault, path), entry.body)
    finally:
        connection.execute("RELEASE one")
    return False


def _attempts(entries: Sequence[Settled]) -> Iterator[tuple[object, ...]]:
    for entry in entries:
        for number, attempt in enumerate(entry.settlement.receipt.attempts):
            yield attempt_values(entry.settlement.request_id, number, attempt)
