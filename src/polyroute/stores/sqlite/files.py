"""Opening the file: its settings, its schema, and what SQLite's errors mean. Never reads or writes a row."""

import contextlib
import sqlite3
from pathlib import Path

from polyroute.errors import StoreError
from polyroute.stores.ledger import Durability
from polyroute.stores.packing import unpack
from polyroute.stores.schema import Schema
from polyroute.stores.sqlite.words import number_of

SCHEMA = Schema(Path(__file__).with_name("schema"))

# SQLite result codes: https://www.sqlite.org/rescode.html
_PRIMARY = 0xFF  # the low byte is the primary code, the rest a detail
_BUSY, _LOCKED = 5, 6
_MEANINGS = {
    1: "its tables are not these; start the gateway once, or run `polyroute migrate`",
    _BUSY: "another process keeps it locked; stop that process or try again",
    _LOCKED: "another process keeps it locked; stop that process or try again",
    8: "it cannot be written; check the permissions of the file and its folder",
    10: "the disk refused to read or write; check the disk",
    11: "the file is damaged; restore a backup, or move it away to start afresh",
    13: "the disk is full; free some space",
    14: "it cannot be opened; check that the folder exists and may be written",
    26: "it is not a SQLite database; name another file in store.database",
}

_PAGE_BYTES = 8192  # five receipts of usual size fit, where two of 2048 bytes hold one: a sixth less on disk
_OPEN_PATIENCE_S = 5.0


def is_busy(fault: sqlite3.Error) -> bool:
    """Whether another process held the lock: nothing was written, and a later try may succeed."""
    return _code(fault) in {_BUSY, _LOCKED}


def _code(fault: sqlite3.Error) -> int:
    # Faults that the module finds by itself, before SQLite is asked, carry no code.
    return getattr(fault, "sqlite_errorcode", 0) & _PRIMARY


def store_error(fault: Exception, path: Path) -> StoreError:
    meaning = _MEANINGS.get(_code(fault)) if isinstance(fault, sqlite3.Error) else None
    return StoreError(f"the ledger {path} failed: {meaning or 'the row was refused'} ({fault})")


def connect(path: Path, *, patience_s: float, must_exist: bool = False) -> sqlite3.Connection:
    """A connection in autocommit mode that waits `patience_s` for another process's lock. Raises StoreError."""
    mode = "rw" if must_exist else "rwc"
    if must_exist and not path.exists():
        raise StoreError(f"there is no ledger at {path}; start the gateway once, or name its file in store.database")
    try:
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode={mode}",
            uri=True,
            timeout=patience_s,
            isolation_level=None,
            check_same_thread=False,  # the owner hands it to one thread at a time
        )
        if not must_exist:  # of a file that is made now; of any other it changes nothing
            connection.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    except sqlite3.Error as fault:
        raise store_error(fault, path) from fault
    return connection


def open_books(path: Path, durability: Durability) -> sqlite3.Connection:
    """The one writing connection of a process, its schema up to date. Raises StoreError."""
    connection = connect(path, patience_s=_OPEN_PATIENCE_S)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        # In WAL mode NORMAL leaves a commit to the operating system, which outlives a killed process; FULL
        # waits for the disk at each commit: https://www.sqlite.org/pragma.html#pragma_synchronous
        connection.execute(f"PRAGMA synchronous = {'FULL' if durability == 'power' else 'NORMAL'}")
        connection.execute("PRAGMA wal_autocheckpoint = 0")  # a checkpoint waits for the disk: see checkpoints.py
        migrate(connection, path)
    except sqlite3.Error as fault:
        connection.close()
        raise store_error(fault, path) from fault
    except StoreError:
        connection.close()
        raise
    return connection


def migrate(connection: sqlite3.Connection, path: Path, to: int | None = None) -> None:
    """Bring the schema to version `to`, else the newest; all or nothing, also where two processes start at once."""
    if version_of(connection) == (SCHEMA.newest if to is None else to):
        return
    for name, function in (("unpack", unpack), ("word_number", number_of)):  # for the way back
        connection.create_function(name, 1, function, deterministic=True)
    connection.execute("BEGIN IMMEDIATE")
    try:
        for step in SCHEMA.steps(version_of(connection), to, of=f"the ledger {path}"):
            for statement in split_statements(step.script):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {step.version}")
        connection.execute("COMMIT")
    except BaseException:
        roll_back(connection)
        raise


def split_statements(script: str) -> list[str]:
    statements = []
    pending = ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            statements.append(pending)
            pending = ""
    return statements


def roll_back(connection: sqlite3.Connection) -> None:
    """Leave no transaction open. SQLite has often rolled back by itself after an error."""
    if connection.in_transaction:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")


def version_of(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)
