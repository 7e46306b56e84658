"""A database as a document names it: what the gateway and the command line open of it."""

from pathlib import Path
from typing import Protocol

from polyroute.stores.books import Books
from polyroute.stores.ledger import Durability, JournaledLedger


class Store(Protocol):
    """Making one opens nothing. Everything below raises StoreError with the way out."""

    @property
    def is_remote(self) -> bool:
        """It may be away while the gateway serves, and come back."""

    @property
    def beside(self) -> Path:
        """Files of this machine that belong to it are named after this one."""

    def __str__(self) -> str:
        """Where it is, without secrets."""

    def open_ledger(self, durability: Durability) -> JournaledLedger: ...

    def open_books(self) -> Books: ...

    def version(self) -> int:
        """Of its schema; 0: nothing is there yet."""

    @property
    def newest(self) -> int: ...

    def migrate(self, to: int | None = None) -> None: ...
