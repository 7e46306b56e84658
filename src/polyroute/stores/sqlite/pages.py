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
from polyroute.stores.sqlite.words import spelling
from polyroute.stores.verify import Entry


class SqlitePage:
    def __init__(self, connection: sqlite3.Connection, queries: Queries) -> None:
        self._connection = connection
        self._queries = queries
        self._word = spelling(connection).get

    def rows(self, query: str, *given: object) -> Iterator[tuple[Any, ...]]:
        word = self._word
        for row in self._connection.execute(query_named(self._queries, query), given):
            yield tuple([word(value, value) for value in row])

    def entries(self, since_us: int, until_us: int) -> Iterator[Entry]:
        for values in self.rows("list_requests", since_us, until_us):
            request = request_row(values)
            receipt = next(self.rows("find_receipt", request.id), None)
            yield Entry(
                request=request,
                attempts=tuple(map(attempt_row, self.rows("list_attempts", request.id))),
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
