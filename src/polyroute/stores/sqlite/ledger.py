"""The books in a SQLite file: the port `Ledger`, durable when a call returns.

A request's life here is `open` (one row), `open_attempt` for each attempt after the first (one row), `settle`
(final rows in place of those). Opening twice, or settling twice with different figures, is a StoreError that
changes nothing; settling again with the same figures is done already.
"""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from msgspec import Struct

from polyroute.errors import StoreError
from polyroute.stores.sqlite.books import Books
from polyroute.stores.sqlite.checkpoints import Checkpoints
from polyroute.stores.sqlite.commits import GroupCommit
from polyroute.stores.sqlite.files import Durability, open_books, store_error
from polyroute.stores.sqlite.leases import Lease, forget, is_live, leases_folder
from polyroute.stores.sqlite.queries import load_queries
from polyroute.stores.sqlite.writes import Apply, Recovered, open_attempt, open_request, recover_dead, settle
from polyroute.types.money import ZERO_USD
from polyroute.types.receipt import AttemptOpening, Opening, Receipt, Settlement

_PATIENCE_S = 5.0  # for another process's lock
_LOG_LIMIT_BYTES = 4 << 20


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
        lease: Lease,
        *,
        writer: ThreadPoolExecutor | None,
        log_limit_bytes: int,
    ) -> None:
        """`writer`: the thread that commits; None: commits happen on the event loop."""
        self._path = path
        self._connection = connection
        self._lease = lease
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
        """Writes that wait for their commit."""
        return self._commits.pending

    async def open(self, opening: Opening) -> None:
        await self._write(open_request(self._queries, self._lease.owner, opening), may_refuse=True)

    async def open_attempt(self, opening: AttemptOpening) -> None:
        await self._write(open_attempt(self._queries, self._lease.owner, opening), may_refuse=True)

    async def settle(self, settlement: Settlement) -> None:
        await self._write(settle(self._queries, settlement))

    async def receipt(self, request_id: str) -> Receipt | None:
        """The receipt as settled; of a request still in flight, what is known of it."""
        return self._books.receipt(request_id)

    async def recover(self, now: datetime) -> Recovery:
        """Close what processes that died have left open. Never touches the requests of a living one.

        Call it at start, and every minute or so where several processes share the file.
        """
        folder = leases_folder(self._path)
        recovered = Recovered(owners=[], settlements=[])
        await self._write(recover_dead(self._queries, lambda owner: not is_live(folder, owner), now, recovered))
        for owner in recovered.owners:
            forget(folder, owner)
        costs = [settlement.receipt.cost_usd for settlement in recovered.settlements]
        return Recovery(requests=len(costs), cost_usd=sum(costs, ZERO_USD))

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
        self._lease.release()

    async def _write(self, apply: Apply, *, may_refuse: bool = False) -> None:
        if self._is_closed:
            raise StoreError(f"the ledger {self._path} is closed")
        await self._commits.write(apply, may_refuse=may_refuse)


def open_ledger(
    path: Path, *, durability: Durability = "process", log_limit_bytes: int = _LOG_LIMIT_BYTES
) -> SqliteLedger:
    """The books at `path`, made where there are none. Raises StoreError with the way out."""
    connection = open_books(path, durability)
    try:
        lease = Lease(leases_folder(path))
    except StoreError:
        connection.close()
        raise
    writer = None
    try:
        if durability == "power":
            writer = ThreadPoolExecutor(1, thread_name_prefix="polyroute-ledger")
        else:  # commits run on the loop, which waits for another process's lock with timers
            connection.execute("PRAGMA busy_timeout = 0")
        return SqliteLedger(path, connection, lease, writer=writer, log_limit_bytes=log_limit_bytes)
    except (StoreError, sqlite3.Error) as fault:
        connection.close()
        lease.release()
        raise fault if isinstance(fault, StoreError) else store_error(fault, path) from fault
