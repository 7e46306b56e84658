"""The books in a SQLite file, written by the gateway's processes on one machine."""

import sqlite3
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from polyroute.errors import StoreError
from polyroute.stores.amending import Change
from polyroute.stores.expiry import Expiring
from polyroute.stores.journal.journal import Journal
from polyroute.stores.journal.lines import Settled
from polyroute.stores.ledger import Durability, JournaledLedger
from polyroute.stores.ledger import Recovery as Recovery
from polyroute.stores.sqlite.booking import amend, book
from polyroute.stores.sqlite.books import Books, journals_folder
from polyroute.stores.sqlite.checkpoints import shorten_log
from polyroute.stores.sqlite.expiring import SqliteExpiring
from polyroute.stores.sqlite.files import open_books, store_error
from polyroute.stores.sqlite.queries import load_queries
from polyroute.types.receipt import Amended, Receipt

_LOG_LIMIT_BYTES = 16 << 20  # a checkpoint waits for the disk, and appends to the journal then wait for it too
JOURNAL_LIMIT_BYTES = 4 << 20


class SqliteLedger(JournaledLedger):
    """Made by `open_ledger`."""

    def __init__(
        self,
        path: Path,
        connection: sqlite3.Connection,
        journal: Journal,
        *,
        syncer: ThreadPoolExecutor | None,
        log_limit_bytes: int,
    ) -> None:
        super().__init__(str(path), journals_folder(path), journal, is_remote=False, syncer=syncer)
        self._path = path
        self._connection = connection  # used by the ledger's thread alone, until it has ended
        self._log_limit_bytes = log_limit_bytes
        self._queries = load_queries()
        self._books = Books(path)

    def _prepare(self) -> None:
        """It was made when it was opened."""

    def _book(self, entries: Sequence[Settled]) -> list[Settled]:
        booked = book(self._connection, self._path, self._queries, entries)
        shorten_log(self._connection, self._path, limit_bytes=self._log_limit_bytes)
        return booked

    def _amend(self, request_id: str, change: Change) -> Amended | None:
        return amend(self._connection, self._path, self._queries, request_id, change)

    def _expiring(self) -> Expiring:
        return SqliteExpiring(self._connection, self._path, journals_folder(self._path), self._queries)

    def _settled_in_database(self, request_id: str) -> Receipt | None:
        return self._books.settled(request_id)

    def _look_up(self, request_id: str) -> Receipt | None:
        return self._books.receipt(request_id)

    def _let_go(self) -> None:
        self._books.close()
        self._connection.close()


def open_ledger(
    path: Path,
    *,
    durability: Durability = "process",
    log_limit_bytes: int = _LOG_LIMIT_BYTES,
    journal_limit_bytes: int = JOURNAL_LIMIT_BYTES,
) -> SqliteLedger:
    """The books at `path`, made where there are none. Raises StoreError with the way out."""
    connection = open_books(path, durability)
    try:
        syncer = None
        if durability == "power":
            syncer = ThreadPoolExecutor(1, thread_name_prefix="polyroute-journal")  # started by its first job
        journal = Journal(journals_folder(path), syncer=syncer, limit_bytes=journal_limit_bytes)
        return SqliteLedger(path, connection, journal, syncer=syncer, log_limit_bytes=log_limit_bytes)
    except (StoreError, sqlite3.Error) as fault:
        connection.close()
        raise fault if isinstance(fault, StoreError) else store_error(fault, path) from fault
