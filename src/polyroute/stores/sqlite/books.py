"""The books in a SQLite file, read directly, also beside a running gateway."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from polyroute.stores.books import Books as AnyBooks
from polyroute.stores.books import State, unbooked_of
from polyroute.stores.journal.lines import Settled
from polyroute.stores.packing import kept_receipt
from polyroute.stores.sqlite.files import connect, roll_back, store_error
from polyroute.stores.sqlite.pages import SqlitePage, margin
from polyroute.stores.sqlite.queries import load_queries
from polyroute.types.receipt import Receipt

_PATIENCE_S = 5.0
_MAX_FAULTS = 100  # that an integrity check reports


class Books(AnyBooks):
    def __init__(self, path: Path) -> None:
        super().__init__(journals_folder(path))
        self._path = path
        self._queries = load_queries()
        self._connection = connect(path, patience_s=_PATIENCE_S, must_exist=True)
        with self._reading():
            self._connection.execute("PRAGMA query_only = ON")

    def close(self) -> None:
        self._connection.close()

    def settled(self, request_id: str) -> Receipt | None:
        with self._reading():
            found = self._connection.execute(self._queries.find_receipt, (request_id,)).fetchone()
        return None if found is None else kept_receipt(found[0])

    def booked_among(self, request_ids: Sequence[str]) -> set[str]:
        with self._reading():
            return {
                name for name in request_ids if self._connection.execute(self._queries.is_settled, (name,)).fetchone()
            }

    def faults(self) -> list[str]:
        try:
            rows = self._connection.execute(f"PRAGMA integrity_check({_MAX_FAULTS})").fetchall()
        except sqlite3.DatabaseError as fault:
            return [str(store_error(fault, self._path))]
        return [str(fault) for (fault,) in rows if fault != "ok"]

    @contextmanager
    def one_state(self, settled: Sequence[Settled]) -> Iterator[State]:
        with self._reading(), ExitStack() as stack:
            self._connection.execute("BEGIN")
            stack.callback(roll_back, self._connection)
            unbooked = unbooked_of(settled, self.booked_among)
            pages = [SqlitePage(self._connection, self._queries)]
            if unbooked:
                pages.append(stack.enter_context(margin(unbooked)))
            yield State(*pages)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as fault:
            raise store_error(fault, self._path) from fault


def journals_folder(path: Path) -> Path:
    """Where the processes that write the books at `path` keep their journals."""
    return path.with_name(path.name + "-journals")
