"""Group commit: all writes of one event-loop turn share one transaction, and each waiter hears of its own.

Without an executor the transaction runs on the loop: at `synchronous=NORMAL` it never waits for the disk, and a
hand-over to a thread would cost more than it. With one (`durability: power`) it runs there, and what arrives
meanwhile makes the next batch. A lock held by another process is waited for with timers, never by stalling the
loop. After a fault nothing of the batch is half written, its waiters get a StoreError, and the next batch is
tried anew.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path

from msgspec import Struct

from polyroute.errors import StoreError
from polyroute.stores.sqlite.files import is_busy, roll_back, store_error
from polyroute.stores.sqlite.writes import Apply

Outcome = StoreError | None  # None: durable

_FAULTS_OF_ONE_WRITE = (StoreError, sqlite3.IntegrityError, sqlite3.DataError, OverflowError, UnicodeEncodeError)
_BATCH = 256  # writes per transaction: a few milliseconds of the loop at most
_BUSY_PAUSE_S = 0.002


class _Write(Struct):
    apply: Apply
    done: asyncio.Future[None]


class GroupCommit:
    """One per writing connection. Used from one event loop at a time."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        path: Path,
        *,
        executor: Executor | None,
        patience_s: float,
        after_commit: Callable[[], None],
    ) -> None:
        self._connection = connection
        self._path = path
        self._executor = executor
        self._patience_s = patience_s
        self._after_commit = after_commit
        self._writes: list[_Write] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_scheduled = False
        self._busy_since: float | None = None

    @property
    def pending(self) -> int:
        return len(self._writes)

    def write(self, apply: Apply) -> asyncio.Future[None]:
        """Queue a write; the future ends when it is durable."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:  # a new loop: whatever the last one had scheduled died with it
            self._loop, self._is_scheduled = loop, False
            self._writes = [write for write in self._writes if write.done.get_loop() is loop]
        done = loop.create_future()
        self._writes.append(_Write(apply, done))
        if not self._is_scheduled:
            self._is_scheduled = True
            loop.call_soon(self._flush)
        return done

    def _flush(self) -> None:
        assert self._loop is not None
        batch = self._writes[:_BATCH]
        applies = [write.apply for write in batch]
        if self._executor is None:
            self._finish(batch, commit(self._connection, self._path, applies))
        else:
            job = self._loop.run_in_executor(self._executor, commit, self._connection, self._path, applies)
            job.add_done_callback(lambda ended: self._finish(batch, ended.result()))

    def _finish(self, batch: list[_Write], outcomes: list[Outcome] | None) -> None:
        assert self._loop is not None
        if outcomes is None:
            now = self._loop.time()
            self._busy_since = self._busy_since or now
            if now - self._busy_since < self._patience_s:
                self._loop.call_later(_BUSY_PAUSE_S, self._flush)
                return
            locked = (
                f"the ledger {self._path} was locked by another process for {self._patience_s:g} s; stop that process"
            )
            outcomes = [StoreError(locked) for _ in batch]
        self._busy_since = None
        del self._writes[: len(batch)]
        for write, outcome in zip(batch, outcomes, strict=True):
            if write.done.done():  # its waiter was cancelled; the row is there all the same
                continue
            if outcome is None:
                write.done.set_result(None)
            else:
                write.done.set_exception(outcome)
        self._after_commit()
        if self._writes:
            self._loop.call_soon(self._flush)
        else:
            self._is_scheduled = False

    async def drain(self) -> None:
        """Until everything queued so far has its outcome."""
        if self._writes:
            await asyncio.wait([write.done for write in self._writes])


def commit(connection: sqlite3.Connection, path: Path, applies: list[Apply]) -> list[Outcome] | None:
    """The outcome of each write, in order; None where another process holds the lock and nothing was done."""
    try:
        try:
            return _together(connection, applies)
        except _FAULTS_OF_ONE_WRITE:
            roll_back(connection)
            return _apart(connection, path, applies)
    except sqlite3.Error as fault:
        roll_back(connection)
        if is_busy(fault):
            return None
        return [store_error(fault, path) for _ in applies]


def _together(connection: sqlite3.Connection, applies: list[Apply]) -> list[Outcome]:
    cursor = connection.cursor()
    cursor.execute("BEGIN IMMEDIATE")
    for apply in applies:
        apply(cursor)
    cursor.execute("COMMIT")
    return [None] * len(applies)


def _apart(connection: sqlite3.Connection, path: Path, applies: list[Apply]) -> list[Outcome]:
    """As `_together`, but a write at fault takes only itself back."""
    outcomes: list[Outcome] = []
    cursor = connection.cursor()
    cursor.execute("BEGIN IMMEDIATE")
    for apply in applies:
        cursor.execute("SAVEPOINT one")
        try:
            apply(cursor)
        except StoreError as refusal:
            outcomes.append(refusal)
            cursor.execute("ROLLBACK TO one")
        except _FAULTS_OF_ONE_WRITE as fault:
            outcomes.append(store_error(fault, path))
            cursor.execute("ROLLBACK TO one")
        else:
            outcomes.append(None)
        cursor.execute("RELEASE one")
    cursor.execute("COMMIT")
    return outcomes
