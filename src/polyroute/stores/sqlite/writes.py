"""Each write to the books as a function to run inside a transaction.

Rows are made when the write is asked for, so that what cannot be stored is the asker's fault alone; running one
touches only the database.
"""

import sqlite3
from collections.abc import Callable, Iterable
from datetime import datetime
from decimal import Decimal
from itertools import groupby
from operator import itemgetter

import msgspec

from polyroute.errors import StoreError
from polyroute.stores.recovery import recover
from polyroute.stores.rows import attempt_values, request_values
from polyroute.stores.sqlite.queries import Queries
from polyroute.types.money import round_usd_up, to_nanos
from polyroute.types.receipt import AttemptOpening, Opening, Receipt, Settlement

# Puts a write's rows in place. Raises StoreError where the books refuse it.
Apply = Callable[[sqlite3.Cursor], None]

_encode = msgspec.json.Encoder().encode
decode_opening = msgspec.json.Decoder(Opening).decode
decode_attempt_opening = msgspec.json.Decoder(AttemptOpening).decode
decode_receipt = msgspec.json.Decoder(Receipt).decode


def open_request(queries: Queries, owner: str, opening: Opening) -> Apply:
    row = (opening.request_id, owner, _nanos_up(opening.reserved_usd), _body(opening))

    def apply(cursor: sqlite3.Cursor) -> None:
        cursor.execute(queries.open_request, row)
        if cursor.rowcount == 0:
            raise StoreError(f"request {opening.request_id} is settled already; it cannot be opened again")

    return apply


def open_attempt(queries: Queries, owner: str, opening: AttemptOpening) -> Apply:
    row = (opening.request_id, opening.id, owner, _nanos_up(opening.worst_usd), _body(opening))

    def apply(cursor: sqlite3.Cursor) -> None:
        cursor.execute(queries.open_attempt, row)
        if cursor.rowcount == 0:
            raise StoreError(f"request {opening.request_id} is not open; attempt {opening.id} has no place")

    return apply


def settle(queries: Queries, settlement: Settlement) -> Apply:
    """Attempts of the receipt that were never opened are booked like the others."""
    request_id = settlement.request_id
    request = request_values(settlement)
    attempts = [
        attempt_values(request_id, number, attempt) for number, attempt in enumerate(settlement.receipt.attempts)
    ]
    receipt = (request_id, _body(settlement.receipt))

    def apply(cursor: sqlite3.Cursor) -> None:
        execute = cursor.execute
        execute(queries.settle_request, request)
        if cursor.rowcount == 0:
            _expect_same(cursor, queries, settlement)
            return
        for attempt in attempts:
            execute(queries.settle_attempt, attempt)
        execute(queries.keep_receipt, receipt)
        execute(queries.close_openings, (request_id,))

    return apply


class Recovered(msgspec.Struct):
    """What a recovery did, filled when it is durable."""

    owners: list[str]
    settlements: list[Settlement]


def recover_dead(queries: Queries, is_dead: Callable[[str], bool], now: datetime, recovered: Recovered) -> Apply:
    """Settle what dead owners left open, each attempt at its upper bound."""

    def apply(cursor: sqlite3.Cursor) -> None:
        owners = [owner for (owner,) in cursor.execute(queries.list_owners).fetchall()]
        recovered.owners = [owner for owner in owners if is_dead(owner)]
        recovered.settlements = [
            settlement
            for owner in recovered.owners
            for settlement in _left_open(cursor.execute(queries.list_openings, (owner,)).fetchall(), now)
        ]
        for settlement in recovered.settlements:
            settle(queries, settlement)(cursor)

    return apply


def _left_open(rows: Iterable[tuple[str, str, bytes]], now: datetime) -> Iterable[Settlement]:
    """`rows` are request id, attempt id (empty for the request itself, which comes first) and body."""
    for _, parts in groupby(rows, key=itemgetter(0)):
        (_, attempt_id, first), *later = parts
        if attempt_id:  # no request to settle: `verify` reports it
            continue
        yield recover(decode_opening(first), [decode_attempt_opening(body) for _, _, body in later], now)


def _expect_same(cursor: sqlite3.Cursor, queries: Queries, settlement: Settlement) -> None:
    found = cursor.execute(queries.find_receipt, (settlement.request_id,)).fetchone()
    if found is None or decode_receipt(found[0]) != settlement.receipt:
        raise StoreError(f"request {settlement.request_id} is settled already, and differently; the first stands")


def _body(value: Opening | AttemptOpening | Receipt) -> bytes:
    try:
        return _encode(value)
    except UnicodeEncodeError as fault:  # a lone surrogate: not text that any encoding can carry
        raise StoreError(f"a name in the request is not Unicode text ({fault.reason}); it cannot be booked") from fault


def _nanos_up(amount: Decimal | None) -> int | None:
    return None if amount is None else to_nanos(round_usd_up(amount))
