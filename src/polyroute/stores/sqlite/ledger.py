"""The books in a SQLite file: the port `Ledger`, durable when a call returns.

Openings go to this process's journal, one appended line each; a settlement puts the final rows into the database.
Opening twice, or settling twice with different figures, is a StoreError that changes nothing; settling again with
the same figures is done already.
"""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from msgspec import Struct

from polyroute.errors import StoreError
from polyroute.stores.journal import Journal, claim, journal_paths
from polyroute.stores.recovery import in_flight, recover
from polyroute.stores.sqlite.books import Books, journals_folder
from polyroute.stores.sqlite.checkpoints import Checkpoints
from polyroute.stores.sqlite.commits import GroupCommit
from polyroute.stores.sqlite.files import Durability, open_books, store_error
from polyroute.stores.sqlite.queries import load_queries
from polyroute.stores.sqlite.writes import Apply, settle, settle_unsettled
from polyroute.types.money import ZERO_USD
from polyroute.types.receipt import AttemptOpening, Opening, Receipt, Settlement

_PATIENCE_S = 5.0  # for another process's lock
_LOG_LIMIT_BYTES = 4 << 20
_JOURNAL_LIMIT_BYTES = 1 << 20
_RECOVERY_BATCH = 250  # requests per commit, so that the loop goes on meanwhile
_MAX_PENDING = 10_000  # settlements; beyond it nothing new is opened


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
        writer: ThreadPoolExecutor | None,
        log_limit_bytes: int,
    ) -> None:
        """`writer`: the thread that waits for the disk; None: nobody does, and commits happen on the event loop."""
        self._path = path
        self._connection = connection
        self._journal = journal
        self._writer = writer
        self._queries = load_queries()
        self._books = Books(path)
        self._checkpoints = Checkpoints(path, limit_bytes=log_limit_bytes)
        self._commits = GroupCommit(
            connection, path, executor=writer, patience_s=_PATIENCE_S, after_commit=self._checkpoints.committed
        )
        self._is_closed = False

    @property
    def pending(self) -> int:
        """Settlements that wait for their commit."""
        return self._commits.pending

    async def open(self, opening: Opening) -> None:
        self._refuse_if_closed()
        if self._commits.pending >= _MAX_PENDING:
            raise StoreError(f"the ledger {self._path} is {_MAX_PENDING} writes behind; the disk is too slow")
        await self._journal.open(opening)

    async def open_attempt(self, opening: AttemptOpening) -> None:
        self._refuse_if_closed()
        await self._journal.open_attempt(opening)

    async def settle(self, settlement: Settlement) -> None:
        request = self._journal.find(settlement.request_id)
        await self._write(settle(self._queries, settlement, request.opening.reserved_usd if request else None))
        self._journal.close_request(settlement.request_id)

    async def receipt(self, request_id: str) -> Receipt | None:
        """The receipt as settled; of a request still in flight, what is known of it."""
        request = self._journal.find(request_id)
        return in_flight(request.opening, request.later) if request else self._books.receipt(request_id)

    async def recover(self, now: datetime) -> Recovery:
        """Close what processes that died have left open. Never touches the requests of a living one.

        Call it at start, and every minute or so where several processes share the file.
        """
        requests, cost_usd = 0, ZERO_USD
        for path in journal_paths(journals_folder(self._path)):
            journal = claim(path)
            if journal is None:
                continue
            try:
                for start in range(0, len(journal.requests), _RECOVERY_BATCH):
                    settlements = [
                        (recover(request.opening, request.later, now), request.opening.reserved_usd)
                        for request in journal.requests[start : start + _RECOVERY_BATCH]
                    ]
                    booked: list[Settlement] = []
                    await self._write(settle_unsettled(self._queries, settlements, booked))
                    requests += len(booked)
                    cost_usd += sum((settlement.receipt.cost_usd for settlement in booked), ZERO_USD)
            except BaseException:
                journal.leave()
                raise
            journal.done()
        return Recovery(requests=requests, cost_usd=cost_usd)

    async def aclose(self) -> None:
        """Commit what is queued, then let go of the file. What is still open belongs to nobody from then on."""
        if self._is_closed:
            return
        self._is_closed = True
        await self._commits.drain()
        if self._writer is not None:
            self._writer.shutdown()
        self._checkpoints.close()
        self._books.close()
        self._connection.close()
        self._journal.close()

    async def _write(self, apply: Apply) -> None:
        self._refuse_if_closed()
        await self._commits.write(apply)

    def _refuse_if_closed(self) -> None:
        if self._is_closed:
            raise StoreError(f"the ledger {self._path} is closed")


def open_ledger(
    path: Path,
    *,
    durability: Durability = "process",
    log_limit_bytes: int = _LOG_LIMIT_BYTES,
    journal_limit_bytes: int = _JOURNAL_LIMIT_BYTES,
) -> SqliteLedger:
    """The books at `path`, made where there are none. Raises StoreError with the way out."""
    connection = open_books(path, durability)
    writer = None
    try:
        if durability == "power":
            writer = ThreadPoolExecutor(1, thread_name_prefix="polyroute-ledger")  # started by its first job
        else:  # commits run on the loop, which waits for another process's lock with timers
            connection.execute("PRAGMA busy_timeout = 0")
        journal = Journal(journals_folder(path), syncer=writer, limit_bytes=journal_limit_bytes)
        return SqliteLedger(path, connection, journal, writer=writer, log_limit_bytes=log_limit_bytes)
    except (StoreError, sqlite3.Error) as fault:
        connection.close()
        raise fault if isinstance(fault, StoreError) else store_error(fault, path) from fault
