"""Books in one SQLite connection, read: the file's, or those in memory of what the file has not got yet."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from polyroute.stores.books import query_named
from polyroute.stores.journal.lines import Settled
from polyroute.stores.packing import readable
from polyroute.stores.queries import Queries
from polyroute.stores.rows import attempt_row, request_row
from polyroute.stores.sqlite.booking import book
from polyroute.stores.sqlite.files import migrate
from polyroute.stores.sqlite.queries import load_queries
from polyroute.stores.verify import Entry


class SqlitePage:
    def __init__(self, connection: sqlite3.Connection, queries: Queries) -> None:
        self._connection = connection
        self._queries = queries

    def rows(self, query: str, *given: object) -> Iterator[tuple[Any, ...]]:
        return self._connection.execute(query_named(self._queries, query), given)

    def entries(self, since_us: int, until_us: int) -> Iterator[Entry]:
        queries = self._queries
        for values in self._connection.execute(queries.list_requests, (since_us, until_us)):
            request = request_row(values)
            attempts = self._connection.execute(queries.list_attempts, (request.id,)).fetchall()
            receipt = self._connection.execute(queries.find_receipt, (request.id,)).fetchone()
            yield Entry(
                request=request,
                attempts=tuple(attempt_row(attempt) for attempt in attempts),
                receipt=readable(receipt[0]) if receipt else None,
            )


@contextmanager
def margin(entries: Sequence[Settled]) -> Iterator[SqlitePage]:
    """Books in memory, of `entries` alone."""
    name, queries = Path("what is not booked yet"), load_queries()
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        migrate(connection, name)
        book(connection, name, queries, entries)
        yield SqlitePage(connection, queries)
