"""Which database a document names, and what is opened of it. An extra's driver is loaded only where it is named."""

import asyncio
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, Protocol

from polyroute.config.document import Document
from polyroute.errors import StoreError
from polyroute.ports import AnswerCache, Notes, Records, SharedCounters
from polyroute.state.accounts.accounts import Accounts
from polyroute.state.accounts.allowances import Allowances
from polyroute.state.accounts.budgets import Period
from polyroute.state.accounts.shared import ByReplica, SharedAccounts, Spending
from polyroute.state.answers import AnswersInMemory
from polyroute.stores.ledger import JournaledLedger
from polyroute.stores.records.sqlite import SqliteRecords
from polyroute.stores.shared.answers import SharedAnswers
from polyroute.stores.shared.counters import RedisCounters
from polyroute.stores.shared.resp import Place, parse_place
from polyroute.stores.sqlite.counters import SqliteCounters
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


def counters_of(store: Store) -> Path:
    """Where the workers of one gateway count together."""
    return store.beside.with_name(f"{store.beside.name}-counters")


def open_accounts(
    document: Document, allowances: Allowances, store: Store, ledger: JournaledLedger, *, workers: int = 1
) -> Accounts:
    """The desk: of this process alone, or with counters that replicas or workers share. Raises StoreError."""
    settings = document.store
    if settings.shared == "memory" and workers == 1:
        return Accounts(allowances)
    counters: SharedCounters
    if settings.shared == "memory":
        counters = SqliteCounters(counters_of(store), ledger.replica)
    else:
        counters = RedisCounters(_place(settings.shared), ledger.replica)

    async def read_spending(starts: Mapping[Period, datetime]) -> Spending:
        recovery = await ledger.recover(datetime.now(UTC))
        return Spending(since=await asyncio.to_thread(_spending, store, starts), dead=recovery.dead)

    return SharedAccounts(
        allowances,
        counters,
        read_spending=read_spending,
        when_away=settings.when_away,
        replicas=settings.replicas * workers,
        monotonic=time.monotonic,
        utc_now=lambda: datetime.now(UTC),
    )


def open_answers(document: Document) -> AnswerCache:
    """Answers given again: of this process alone, or shared by replicas; that one connects when it is first needed."""
    shared = document.store.shared
    return AnswersInMemory(time.monotonic) if shared == "memory" else SharedAnswers(_place(shared))


def _place(shared: str) -> Place:
    """Raises StoreError."""
    try:
        return parse_place(shared)
    except ValueError as fault:
        raise StoreError(f"store.shared is no address: {fault}") from None


def _spending(store: Store, starts: Mapping[Period, datetime]) -> Mapping[Period, ByReplica]:
    with store.open_books() as books:
        return {period: books.spent_by_replica(start) for period, start in starts.items()}


def _extra(name: str) -> Any:
    try:
        return resolve_name(name)
    except ModuleNotFoundError as fault:
        raise StoreError(
            f"store.database names PostgreSQL whose driver is not here ({fault}): pip install 'polyroute[postgres]'"
        ) from fault
