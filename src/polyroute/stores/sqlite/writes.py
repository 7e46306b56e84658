"""Each write to the books as a function to run inside a transaction.

Rows are made when the write is asked for, so that what cannot be stored is the asker's fault alone; running one
touches only the database.
"""

import sqlite3
from collections.abc import Callable, Iterable
from decimal import Decimal

import msgspec

from polyroute.errors import StoreError
from polyroute.stores.rows import attempt_values, request_values
from polyroute.stores.sqlite.queries import Queries
from polyroute.types.receipt import Receipt, Settlement

# Puts a write's rows in place. Raises StoreError where the books refuse it.
Apply = Callable[[sqlite3.Cursor], None]

_encode = msgspec.json.Encoder().encode
decode_receipt = msgspec.json.Decoder(Receipt).decode


def settle(queries: Queries, settlement: Settlement, reserved_usd: Decimal | None) -> Apply:
    """Attempts of the receipt that were never opened are booked like the others."""
    insert = _inserting(queries, settlement, reserved_usd)

    def apply(cursor: sqlite3.Cursor) -> None:
        if not insert(cursor):
            found = cursor.execute(queries.find_receipt, (settlement.request_id,)).fetchone()
            if found is None or decode_receipt(found[0]) != settlement.receipt:
                raise StoreError(
                    f"request {settlement.request_id} is settled already, and differently; the first stands"
                )

    return apply


def settle_unsettled(
    queries: Queries, settlements: Iterable[tuple[Settlement, Decimal]], done: list[Settlement]
) -> Apply:
    """Book each with its reservation unless it is in the books; `done` gets those that were not."""
    inserts = [(settlement, _inserting(queries, settlement, reserved)) for settlement, reserved in settlements]

    def apply(cursor: sqlite3.Cursor) -> None:
        done[:] = [settlement for settlement, insert in inserts if insert(cursor)]

    return apply


def _inserting(
    queries: Queries, settlement: Settlement, reserved_usd: Decimal | None
) -> Callable[[sqlite3.Cursor], bool]:
    """Puts the final rows in place; False, and nothing done, where the request is in the books."""
    request_id = settlement.request_id
    request = request_values(settlement, reserved_usd)
    attempts = [
        attempt_values(request_id, number, attempt) for number, attempt in enumerate(settlement.receipt.attempts)
    ]
    try:
        receipt = (request_id, _encode(settlement.receipt))
    except UnicodeEncodeError as fault:  # a lone surrogate: not text that any encoding can carry
        raise StoreError(f"a name in the request is not Unicode text ({fault.reason}); it cannot be booked") from fault

    def insert(cursor: sqlite3.Cursor) -> bool:
        execute = cursor.execute
        execute(queries.settle_request, request)
        if cursor.rowcount == 0:
            return False
        for attempt in attempts:
            execute(queries.settle_attempt, attempt)
        execute(queries.keep_receipt, receipt)
        return True

    return insert
