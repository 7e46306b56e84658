"""Moving committed pages from the write-ahead log into the database file. Waits for the disk: for a thread.

First PASSIVE, which disturbs nobody and does the bulk; then RESTART, which holds the lock for the few pages left,
so that the log is written from its start again. Readers that hold an old state may delay the second step; it is
tried again after the next commits. Source: https://www.sqlite.org/c3ref/wal_checkpoint_v2.html
"""

import logging
import sqlite3
from pathlib import Path

_LOG = logging.getLogger(__name__)
_LOCK_PATIENCE_MS = 20  # writers wait this long at most while a reader holds up the second step


def shorten_log(connection: sqlite3.Connection, path: Path, *, limit_bytes: int) -> None:
    """A checkpoint where the log is longer than `limit_bytes`."""
    try:
        if path.with_name(path.name + "-wal").stat().st_size <= limit_bytes:
            return
        (patience_ms,) = connection.execute("PRAGMA busy_timeout").fetchone()
        connection.execute(f"PRAGMA busy_timeout = {_LOCK_PATIENCE_MS}")
        try:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
        finally:
            connection.execute(f"PRAGMA busy_timeout = {patience_ms}")
    except (OSError, sqlite3.Error) as fault:
        _LOG.warning("checkpoint of the ledger %s put off: %s", path, fault)
