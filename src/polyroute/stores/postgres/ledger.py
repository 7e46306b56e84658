"""This process's way into the books in PostgreSQL. Needs no server to open: what is settled waits for one."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from polyroute.errors import StoreError
from polyroute.stores.amending import Change
from polyroute.stores.expiry import Expiring
from polyroute.stores.journal.journal import Journal
from polyroute.stores.journal.lines import Settled
from polyroute.stores.ledger import JournaledLedger
from polyroute.stores.postgres.booking import amend, book
from polyroute.stores.postgres.books import QUERIES, PostgresBooks
from polyroute.stores.postgres.connection import Address, Patient, let_go, migrate
from polyroute.stores.postgres.expiring import PostgresExpiring
from polyroute.types.receipt import Amended, Receipt

_LOOK_UP_S = 3.0


class PostgresLedger(JournaledLedger):
    """Holds two connections at most: one writes, the other looks receipts up."""

    def __init__(
        self, address: Address, journals: Path, journal: Journal, *, syncer: ThreadPoolExecutor | None
    ) -> None:
        super().__init__(str(address), journals, journal, is_remote=True, syncer=syncer)
        self._address = address
        self._connection: Patient | None = None  # used by the ledger's thread alone, until it has ended
        self._books: PostgresBooks | None = None  # likewise by its reader
        self._is_migrated = False

    def _prepare(self) -> None:
        self._connected()

    def _book(self, entries: Sequence[Settled]) -> list[Settled]:
        connection = self._connected()
        try:
            return book(connection, self._address, QUERIES, entries)
        except StoreError:
            self._disconnect()
            raise

    def _amend(self, request_id: str, change: Change) -> Amended | None:
        connection = self._connected()
        try:
            return amend(connection, self._address, QUERIES, request_id, change)
        except StoreError:
            self._disconnect()
            raise

    def _expiring(self) -> Expiring:
        return PostgresExpiring(self._connected, self._address, QUERIES)

    def _look_up(self, request_id: str) -> Receipt | None:
        if self._books is None:
            self._books = PostgresBooks(self._address, self._journals, answer_s=_LOOK_UP_S)
        try:
            return self._books.receipt(request_id)
        except StoreError:
            self._books.close()
            self._books = None
            raise

    def _settled_in_database(self, request_id: str) -> Receipt | None:
        raise NotImplementedError  # a database elsewhere is never asked at once

    def _let_go(self) -> None:
        self._disconnect()
        if self._books is not None:
            self._books.close()

    def _connected(self) -> Patient:
        if self._connection is None:
            self._connection = self._address.connect()
        if not self._is_migrated:  # once: tables that a newer gateway brought further meanwhile still serve this one
            try:
                migrate(self._connection, self._address)
            except StoreError:
                self._disconnect()
                raise
            self._is_migrated = True
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            let_go(self._connection)
            self._connection = None
