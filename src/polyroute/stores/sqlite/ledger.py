"""The books in a SQLite file: the port `Ledger`, durable when a call returns.

Openings and settlements go to this process's journal, one appended line each; soon after, in batches, the
settlements' rows go into the database. Opening twice, or settling twice with different figures, is a StoreError
that changes nothing; settling again with the same figures is done already.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

from msgspec import Struct

from polyroute.errors import StoreError
from polyroute.stores.journal.files import claim, journal_paths
from polyroute.stores.journal.journal import Journal
from polyroute.stores.journal.lines import OpenRequest, Settled, settled
from polyroute.stores.recovery import in_flight, recover
from polyroute.stores.rows import unbookable
from polyroute.stores.sqlite.booking import book
from polyroute.stores.sqlite.books import Books, journals_folder
from polyroute.stores.sqlite.checkpoints import shorten_log
from polyroute.stores.sqlite.drain import Drain
from polyroute.stores.sqlite.files import Durability, open_books, store_error
from polyroute.stores.sqlite.queries import load_queries
from polyroute.types.money import ZERO_USD
from polyroute.types.receipt import AttemptOpening, Opening, Receipt, Settlement

_LOG = logging.getLogger(__name__)
_LOG_LIMIT_BYTES = 16 << 20  # a checkpoint waits for the disk, and appends to the journal then wait for it too
_JOURNAL_LIMIT_BYTES = 4 << 20
_RECOVERY_BATCH = 2000  # requests per commit: what is settled meanwhile waits for one
# Settlements that the database has not taken yet:
_FULL = 2_048  # who brings more waits for it
_MOST_WAITING = 10_000  # beyond it, while the database fails, nothing new is opened
_MOST_SETTLED = 2 * _MOST_WAITING  # and beyond this, what is open can no longer be settled

_T = TypeVar("_T")
_R = TypeVar("_R")


class Recovery(Struct, frozen=True, kw_only=True):
    """Requests of dead processes that were closed at their upper bound."""

    requests: int = 0
    cost_usd: Decimal = ZERO_USD


class SqliteLedger:
    """Made by `open_ledger`; used from one event loop at a time; `aclose` when done."""

    def __init__(
        self,
        path: Path,
        connection: sqlite3.Connection,
        journal: Journal,
        *,
        syncer: ThreadPoolExecutor | None,
        log_limit_bytes: int,
    ) -> None:
        """`syncer`: the thread with which the journal waits for the disk, where it does."""
        self._path = path
        self._connection = connection  # used by the thread below alone, until it has ended
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="polyroute-books")  # started by its first job
        self._journal = journal
        self._syncer = syncer
        self._log_limit_bytes = log_limit_bytes
        self._queries = load_queries()
        self._books = Books(path)
        self._drain = Drain(journal, self._thread, self._book)
        self._is_closed = False

    @property
    def pending(self) -> int:
        """Settlements, safe in the journal, that the database has not taken yet."""
        return self._journal.pending

    async def open(self, opening: Opening) -> None:
        if self._journal.pending >= _FULL:
            await self._make_room(_MOST_WAITING)
        self._refuse_if_closed()
        await self._journal.open(opening)

    async def open_attempt(self, opening: AttemptOpening) -> None:
        self._refuse_if_closed()
        await self._journal.open_attempt(opening)

    async def settle(self, settlement: Settlement) -> None:
        if self._journal.pending >= _FULL:
            await self._make_room(_MOST_SETTLED)
        self._refuse_if_closed()
        request_id = settlement.request_id
        known = self._journal.settled_receipt(request_id)
        if known is None and self._journal.find(request_id) is None:  # not opened here: perhaps long settled
            known = self._books.settled(request_id)
        if known is None:
            reason = unbookable(settlement)
            if reason is not None:
                raise StoreError(f"request {request_id} cannot be booked: {reason}")
            self._journal.settle(settlement)
            self._drain.wake()
        elif known != settlement.receipt:
            raise StoreError(f"request {request_id} is settled already, and differently; the first stands")
        if self._syncer is not None:
            await self._journal.until_synced()

    async def receipt(self, request_id: str) -> Receipt | None:
        """The receipt as settled; of a request still in flight, what is known of it."""
        request = self._journal.find(request_id)
        if request is not None:
            return in_flight(request.opening, request.later)
        known = self._journal.settled_receipt(request_id)
        if known is not None:
            return known
        self._refuse_beyond(_MOST_WAITING)  # who asks whether this store works is told so
        return self._books.receipt(request_id)

    async def recover(self, now: datetime) -> Recovery:
        """Book what processes that died have settled, and close what they left open. Leaves living ones alone.

        Call it at start, and every minute or so where several processes share the file.
        """
        requests, cost_usd = 0, ZERO_USD
        for path in journal_paths(journals_folder(self._path)):
            journal = claim(path)
            if journal is None:
                continue
            try:
                contents = await asyncio.get_running_loop().run_in_executor(self._thread, journal.read)
                await self._in_batches(contents.settled, self._book)
                for booked in await self._in_batches(contents.requests, lambda open_: self._close(open_, now)):
                    requests += booked.requests
                    cost_usd += booked.cost_usd
            except BaseException:
                journal.leave()
                raise
            journal.done()
        return Recovery(requests=requests, cost_usd=cost_usd)

    async def drain(self) -> None:
        """Everything settled so far is in the database file when this returns. Raises StoreError."""
        self._refuse_if_closed()
        try:
            await self._drain.finish()
        except StoreError:
            self._drain.wake()  # and goes on trying
            raise

    async def aclose(self) -> None:
        """Book what is pending, then let go of the file. What is still open belongs to nobody from then on."""
        if self._is_closed:
            return
        self._is_closed = True
        try:
            await self._journal.until_synced()
            await self._drain.finish()
        except StoreError as fault:
            _LOG.warning("%s. %d settlements stay in the journal; the next start books them", fault, self.pending)
        self._thread.shutdown()
        if self._syncer is not None:
            self._syncer.shutdown()
        self._books.close()
        self._connection.close()
        self._journal.close()

    def _book(self, entries: Sequence[Settled]) -> list[Settled]:
        booked = book(self._connection, self._path, self._queries, entries)
        shorten_log(self._connection, self._path, limit_bytes=self._log_limit_bytes)
        return booked

    def _close(self, requests: Sequence[OpenRequest], now: datetime) -> Recovery:
        booked = self._book(
            [
                settled(recover(request.opening, request.later, now), request.opening.reserved_usd)
                for request in requests
            ]
        )
        return Recovery(
            requests=len(booked), cost_usd=sum((entry.settlement.receipt.cost_usd for entry in booked), ZERO_USD)
        )

    async def _in_batches(self, items: Sequence[_T], work: Callable[[Sequence[_T]], _R]) -> list[_R]:
        return [
            await asyncio.get_running_loop().run_in_executor(self._thread, work, items[start : start + _RECOVERY_BATCH])
            for start in range(0, len(items), _RECOVERY_BATCH)
        ]

    def _refuse_if_closed(self) -> None:
        if self._is_closed:
            raise StoreError(f"the ledger {self._path} is closed")

    async def _make_room(self, most: int) -> None:
        """Wait for a database that is slow; never for one that fails, then refuse what is beyond `most`."""
        while self._drain.fault is None and self._journal.pending >= _FULL:
            await self._drain.step()
        self._refuse_beyond(most)

    def _refuse_beyond(self, most: int) -> None:
        if self._drain.fault is not None and self._journal.pending >= most:
            raise StoreError(f"{self._drain.fault}; {self._journal.pending} settlements wait for it")


def open_ledger(
    path: Path,
    *,
    durability: Durability = "process",
    log_limit_bytes: int = _LOG_LIMIT_BYTES,
    journal_limit_bytes: int = _JOURNAL_LIMIT_BYTES,
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
