"""The books in a SQLite file, read directly, also beside a running gateway."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from polyroute.stores.books import Books as AnyBooks
from polyroute.stores.books import State, query_named
from polyroute.stores.journal.lines import Settled
from polyroute.stores.sqlite.files import connect, roll_back, store_error
from polyroute.stores.sqlite.pages import SqlitePage, margin
from polyroute.stores.sqlite.queries import load_queries

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

    def point(self, query: str, *given: object) -> tuple[Any, ...] | None:
        with self._reading():
            row: tuple[Any, ...] | None = self._connection.execute(query_named(self._queries, query), given).fetchone()
        return row

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
            unbooked = [entry for entry in settled if self.point("is_settled", entry.settlement.request_id) is None]
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
