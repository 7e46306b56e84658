"""Which database a document names, and what is opened of it. An extra's driver is loaded only where it is named."""

from pathlib import Path
from pkgutil import resolve_name
from typing import Any, Protocol

from polyroute.config.document import Document
from polyroute.errors import StoreError
from polyroute.ports import Notes, Records
from polyroute.stores.records.sqlite import SqliteRecords
from polyroute.stores.sqlite.store import SqliteStore
from polyroute.stores.store import Store

_SQLITE = "sqlite:///"


class ClosableRecords(Records, Notes, Protocol):
    def close(self) -> None: ...


def open_store(document: Document, folder: Path) -> Store:
    """Opens nothing yet. Raises StoreError where the driver is not installed, or the address is none."""
    database = document.store.database
    if database.startswith(_SQLITE):
        return SqliteStore(folder / database.removeprefix(_SQLITE))
    store: Store = _extra("polyroute.stores.postgres.store:PostgresStore")(database, folder)
    return store


def open_records(store: Store) -> ClosableRecords:
    """Keys, users and teams, in the same database."""
    if isinstance(store, SqliteStore):
        return SqliteRecords(store.path)
    records: ClosableRecords = _extra("polyroute.stores.records.postgres:open_records")(store)
    return records


def _extra(name: str) -> Any:
    try:
        return resolve_name(name)
    except ModuleNotFoundError as fault:
        raise StoreError(
            f"store.database names PostgreSQL whose driver is not here ({fault}): pip install 'polyroute[postgres]'"
        ) from fault
