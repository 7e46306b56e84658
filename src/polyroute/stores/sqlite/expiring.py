"""Deleting what is past its retention from the file, a batch in one transaction; and giving its pages back.

Synchronous, for the thread that books.
"""

import sqlite3
from pathlib import Path

from polyroute.errors import StoreError
from polyroute.stores.expiry import Batch, Kind, expire_batch, reached
from polyroute.stores.journal.files import Turn
from polyroute.stores.queries import Queries
from polyroute.stores.sqlite.checkpoints import shorten_log
from polyroute.stores.sqlite.files import roll_back, store_error

_PAGES = 512  # given back at a time: four megabytes
_LOG_LIMIT_BYTES = 16 << 20
_SPARE_SHARE = 8  # an eighth of the pages stays: new rows will want them soon


class SqliteExpiring:
    def __init__(self, connection: sqlite3.Connection, path: Path, journals: Path, queries: Queries) -> None:
        self._connection = connection
        self._path = path
        self._journals = journals
        self._queries = queries
        self._turn: Turn | None = None

    def take_turn(self) -> bool:
        try:
            turn = Turn(self._journals, "retention")
        except OSError as fault:
            raise StoreError(f"the folder {self._journals} cannot be used: {fault}") from fault
        if not turn.take():
            turn.give()
            return False
        self._turn = turn
        return True

    def give_turn(self) -> None:
        if self._turn is not None:
            self._turn.give()
            self._turn = None

    def reached(self, kind: Kind) -> int:
        try:
            return reached(self._connection.execute, self._queries, kind)
        except sqlite3.Error as fault:
            raise store_error(fault, self._path) from fault

    def expire(self, kind: Kind, since_us: int, before_us: int, most: int) -> Batch:
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            batch = expire_batch(connection.execute, self._queries, kind, since_us, before_us, most)
            connection.execute("COMMIT")
            if _number(connection, "freelist_count") > _number(connection, "page_count") // _SPARE_SHARE:
                connection.executescript(f"PRAGMA incremental_vacuum({_PAGES})")  # `execute` ends after one page
        except sqlite3.Error as fault:
            roll_back(connection)
            raise store_error(fault, self._path) from fault
        shorten_log(connection, self._path, limit_bytes=_LOG_LIMIT_BYTES)
        return batch


def _number(connection: sqlite3.Connection, pragma: str) -> int:
    (number,) = connection.execute(f"PRAGMA {pragma}").fetchone()
    return int(number)
