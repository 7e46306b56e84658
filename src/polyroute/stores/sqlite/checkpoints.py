"""Moving committed pages from the write-ahead log into the database file, off the event loop.

SQLite would do it inside a commit, and wait for the disk there. Here a thread with its own connection does it,
once the log is longer than `limit_bytes`: first PASSIVE, which disturbs nobody and does the bulk; then RESTART,
which holds the lock for the few pages left, so that the log is written from its start again. Readers that hold
an old state may delay the second step; it is tried again after the next commits.
Source: https://www.sqlite.org/c3ref/wal_checkpoint_v2.html
"""

import logging
import sqlite3
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from polyroute.errors import StoreError
from polyroute.stores.sqlite.files import connect

_LOG = logging.getLogger(__name__)
_COMMITS_BETWEEN_LOOKS = 64
_LOCK_PATIENCE_S = 0.02  # writers wait this long at most while a reader holds up the second step


class Checkpoints:
    def __init__(self, path: Path, *, limit_bytes: int) -> None:
        self._path = path
        self._log_path = path.with_name(path.name + "-wal")
        self._limit_bytes = limit_bytes
        self._commits = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="polyroute-checkpoint")  # started by its first job
        self._running: Future[None] | None = None

    def committed(self) -> None:
        """Called after each commit."""
        self._commits += 1
        if self._commits % _COMMITS_BETWEEN_LOOKS or (self._running is not None and not self._running.done()):
            return
        if self._log_path.stat().st_size > self._limit_bytes:
            self._running = self._thread.submit(checkpoint, self._path)

    def close(self) -> None:
        """Waits for a checkpoint that is under way."""
        self._thread.shutdown()


def checkpoint(path: Path) -> None:
    try:
        with closing(connect(path, patience_s=_LOCK_PATIENCE_S, must_exist=True)) as connection:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
            connection.execute("PRAGMA wal_checkpoint(RESTART)")
    except (sqlite3.Error, StoreError) as fault:
        _LOG.warning("checkpoint of the ledger %s put off: %s", path, fault)
