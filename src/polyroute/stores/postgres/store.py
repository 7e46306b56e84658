"""A PostgreSQL database, as a document names it. Its journals are in a folder of this machine."""

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from polyroute.stores.books import Books
from polyroute.stores.journal.journal import Journal
from polyroute.stores.ledger import Durability, JournaledLedger
from polyroute.stores.postgres.books import PostgresBooks
from polyroute.stores.postgres.connection import SCHEMA, Address, migrate, told, version_of
from polyroute.stores.postgres.ledger import PostgresLedger

_REPORT_S = 120.0  # a figure over millions of rows
_READERS = 4  # at once, beside the ledger's two connections


class PostgresStore:
    is_remote = True

    def __init__(self, url: str, folder: Path) -> None:
        """`folder`: where the journals' folder is made, one per database."""
        self.address = Address(url)
        place = re.sub(r"[^A-Za-z0-9.-]+", "_", f"{self.address.name}@{self.address.host}-{self.address.port}")
        self.beside = folder / place.strip("_")
        self.journals = self.beside.with_name(f"{self.beside.name}-journals")
        self._readers = threading.BoundedSemaphore(_READERS)

    def __str__(self) -> str:
        return str(self.address)

    def open_ledger(self, durability: Durability) -> JournaledLedger:
        syncer = None
        if durability == "power":
            syncer = ThreadPoolExecutor(1, thread_name_prefix="polyroute-journal")  # started by its first job
        return PostgresLedger(self.address, self.journals, Journal(self.journals, syncer=syncer), syncer=syncer)

    def open_books(self) -> Books:
        return _Counted(self._readers, self.address, self.journals)

    def version(self) -> int:
        with closing(self.address.connect()) as connection, told(self.address):
            return version_of(connection)

    @property
    def newest(self) -> int:
        return SCHEMA.newest

    def migrate(self, to: int | None = None) -> None:
        with closing(self.address.connect(answer_s=_REPORT_S)) as connection:
            migrate(connection, self.address, to)


class _Counted(PostgresBooks):
    """Waits where too many are open already: a server's connections are few."""

    def __init__(self, readers: threading.BoundedSemaphore, address: Address, journals: Path) -> None:
        readers.acquire()
        self._readers = readers
        try:
            super().__init__(address, journals, answer_s=_REPORT_S)
        except BaseException:
            readers.release()
            raise

    def close(self) -> None:
        super().close()
        self._readers.release()
