"""The books in PostgreSQL, read directly, also beside running gateways; this machine's journals are their margin."""

import itertools
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg

from polyroute.stores.books import Books, Page, State, query_named, unbooked_of
from polyroute.stores.journal.lines import Settled
from polyroute.stores.packing import kept_receipt, readable
from polyroute.stores.postgres.connection import Address, Patient, let_go, told
from polyroute.stores.queries import Queries, read_queries
from polyroute.stores.rows import AttemptRow, attempt_row, request_row
from polyroute.stores.sqlite.pages import margin
from polyroute.stores.verify import Entry
from polyroute.types.receipt import Receipt

_AT_ONCE = 500  # rows fetched at a time

QUERIES = read_queries(Path(__file__).parent)


class PostgresBooks(Books):
    def __init__(self, address: Address, journals: Path, *, answer_s: float) -> None:
        super().__init__(journals)
        self._address = address
        self._connection = address.connect(answer_s=answer_s)
        self._connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        self._connection.read_only = True

    def close(self) -> None:
        let_go(self._connection)

    def settled(self, request_id: str) -> Receipt | None:
        with told(self._address):
            found = self._connection.execute(QUERIES.find_receipt.encode(), (request_id,)).fetchone()
        return None if found is None else kept_receipt(found[0])

    def booked_among(self, request_ids: Sequence[str]) -> set[str]:
        with told(self._address):
            rows = self._connection.execute(QUERIES.is_settled.encode(), (list(request_ids),)).fetchall()
        return {request_id for (request_id,) in rows}

    def faults(self) -> list[str]:
        """None of the file's: the server looks after its pages."""
        return []

    @contextmanager
    def one_state(self, settled: Sequence[Settled]) -> Iterator[State]:
        with told(self._address), self._connection.transaction(), ExitStack() as stack:
            unbooked = unbooked_of(settled, self.booked_among)
            pages: list[Page] = [PostgresPage(self._connection, QUERIES)]
            if unbooked:
                pages.append(stack.enter_context(margin(unbooked)))
            yield State(*pages)


class PostgresPage:
    """In a transaction of its connection, which shows one moment."""

    def __init__(self, connection: Patient, queries: Queries) -> None:
        self._connection = connection
        self._queries = queries
        self._numbers = itertools.count()

    def rows(self, query: str, *given: object) -> Iterator[tuple[Any, ...]]:
        with self._connection.cursor(f"polyroute_{next(self._numbers)}") as cursor:  # the server keeps the rest
            cursor.itersize = _AT_ONCE
            cursor.execute(query_named(self._queries, query).encode(), given)
            yield from cursor

    def entries(self, since_us: int, until_us: int) -> Iterator[Entry]:
        rows = self.rows("list_requests", since_us, until_us)
        while some := list(itertools.islice(rows, _AT_ONCE)):
            attempts = self._attempts([columns[0] for columns in some])
            for *columns, body in some:
                request = request_row(columns)
                yield Entry(
                    request=request,
                    attempts=tuple(attempts.get(request.id, ())),
                    receipt=None if body is None else readable(body),
                )

    def _attempts(self, request_ids: list[str]) -> dict[str, list[AttemptRow]]:
        found: dict[str, list[AttemptRow]] = {}
        for columns in self._connection.execute(self._queries.list_attempts.encode(), (request_ids,)):
            row = attempt_row(columns)
            found.setdefault(row.request_id, []).append(row)
        return found
