"""A SQLite file, as a document names it."""

from contextlib import closing
from pathlib import Path

from polyroute.stores.books import Books as AnyBooks
from polyroute.stores.ledger import Durability, JournaledLedger
from polyroute.stores.sqlite.books import Books
from polyroute.stores.sqlite.files import SCHEMA, connect, migrate, version_of
from polyroute.stores.sqlite.ledger import open_ledger

_PATIENCE_S = 5.0


class SqliteStore:
    is_remote = False

    def __init__(self, path: Path) -> None:
        self.path = path

    def __str__(self) -> str:
        return str(self.path)

    @property
    def beside(self) -> Path:
        return self.path

    def open_ledger(self, durability: Durability) -> JournaledLedger:
        return open_ledger(self.path, durability=durability)

    def open_books(self) -> AnyBooks:
        return Books(self.path)

    def version(self) -> int:
        if not self.path.exists():
            return 0
        with closing(connect(self.path, patience_s=_PATIENCE_S, must_exist=True)) as connection:
            return version_of(connection)

    @property
    def newest(self) -> int:
        return SCHEMA.newest

    def migrate(self, to: int | None = None) -> None:
        with closing(connect(self.path, patience_s=_PATIENCE_S)) as connection:
            migrate(connection, self.path, to)
