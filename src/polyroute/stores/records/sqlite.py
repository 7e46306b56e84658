"""Managed records in the SQLite file of the books. Opened directly, also beside a running gateway. Synchronous."""

import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from polyroute.errors import Conflict
from polyroute.stores.records.chain import next_entry
from polyroute.stores.sqlite.files import connect, migrate, roll_back, store_error
from polyroute.types.records import Act, AuditEntry, Change, Kind, Put, Record

_PATIENCE_S = 5.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

_SELECT = "SELECT kind, id, tenant, body, version, updated_us FROM records"


class SqliteRecords:
    """Raises StoreError where the file cannot be used."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()  # one connection, asked from several threads
        self._connection = connect(path, patience_s=_PATIENCE_S)
        try:
            with self._told():
                self._connection.execute("PRAGMA journal_mode = WAL")
                migrate(self._connection, path)
        except BaseException:
            self._connection.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        with self._lock:  # never under a thread that is still reading: SQLite would not survive it
            self._connection.close()

    def find(self, kind: Kind, name: str) -> Record | None:
        with self._told():
            row = self._connection.execute(f"{_SELECT} WHERE kind = ? AND id = ?", (kind, name)).fetchone()
        return None if row is None else _record(row)

    def every(self, kind: Kind, tenant: str | None = None) -> list[Record]:
        """By id; of every tenant where none is named."""
        where, values = (" AND tenant = ?", (kind, tenant)) if tenant is not None else ("", (kind,))
        with self._told():
            rows = self._connection.execute(f"{_SELECT} WHERE kind = ?{where} ORDER BY id", values).fetchall()
        return [_record(row) for row in rows]

    def change(self, changes: Sequence[Change], act: Act) -> None:
        """All of `changes` and the act's audit entry, or nothing. Raises Conflict where a version is not the last."""
        with self._told():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                for change in changes:
                    self._apply(change, act.at)
                entry = next_entry(self._last_entry(), act)
                self._connection.execute("INSERT INTO audit_log VALUES (?, ?, ?)", (entry.seq, entry.body, entry.hash))
                self._connection.execute("COMMIT")
            except BaseException:
                roll_back(self._connection)
                raise

    def generation(self) -> int:
        """Grows with every change; 0 where there was none."""
        with self._told():
            (seq,) = self._connection.execute("SELECT coalesce(max(seq), 0) FROM audit_log").fetchone()
        return int(seq)

    def entries(self, *, after: int = 0, limit: int = 1000) -> list[AuditEntry]:
        """Of the audit log, in order."""
        with self._told():
            rows = self._connection.execute(
                "SELECT seq, body, hash FROM audit_log WHERE seq > ? ORDER BY seq LIMIT ?", (after, limit)
            ).fetchall()
        return [_entry(row) for row in rows]

    def keep(self, space: str, name: str, body: bytes, *, now: datetime, until: datetime) -> bytes | None:
        """Keeps `body` where nothing is kept under this name, and says None; else says what is, and changes nothing."""
        with self._told():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                self._connection.execute("DELETE FROM notes WHERE until_us <= ?", (_micros(now),))
                found = self._connection.execute(
                    "SELECT body FROM notes WHERE space = ? AND name = ?", (space, name)
                ).fetchone()
                if found is None:
                    self._connection.execute(
                        "INSERT INTO notes VALUES (?, ?, ?, ?)", (space, name, _micros(until), body)
                    )
                self._connection.execute("COMMIT")
            except BaseException:
                roll_back(self._connection)
                raise
        return None if found is None else bytes(found[0])

    def swap(self, space: str, name: str, old: bytes, new: bytes, *, until: datetime) -> bool:
        """`new` in place of `old`; False, and nothing changed, where `old` is not what is kept."""
        with self._told():
            changed = self._connection.execute(
                "UPDATE notes SET body = ?, until_us = ? WHERE space = ? AND name = ? AND body = ?",
                (new, _micros(until), space, name, old),
            )
            return changed.rowcount == 1

    def drop(self, space: str, name: str) -> None:
        with self._told():
            self._connection.execute("DELETE FROM notes WHERE space = ? AND name = ?", (space, name))

    def keep_all(self, space: str, bodies: Mapping[str, bytes], *, now: datetime, until: datetime) -> None:
        """Keeps each under its name where nothing is kept there."""
        with self._told():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                self._connection.execute("DELETE FROM notes WHERE until_us <= ?", (_micros(now),))
                self._connection.executemany(
                    "INSERT INTO notes VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                    [(space, name, _micros(until), body) for name, body in bodies.items()],
                )
                self._connection.execute("COMMIT")
            except BaseException:
                roll_back(self._connection)
                raise

    def look(self, space: str, names: Sequence[str], *, now: datetime) -> dict[str, bytes]:
        """What is kept under those of `names` that there are."""
        query = "SELECT body FROM notes WHERE space = ? AND name = ? AND until_us > ?"
        with self._told():
            rows = {name: self._connection.execute(query, (space, name, _micros(now))).fetchone() for name in names}
        return {name: bytes(row[0]) for name, row in rows.items() if row is not None}

    def held(self, space: str, *, now: datetime) -> dict[str, bytes]:
        """Everything that is kept in `space`, by name."""
        with self._told():
            rows = self._connection.execute(
                "SELECT name, body FROM notes WHERE space = ? AND until_us > ? ORDER BY name", (space, _micros(now))
            ).fetchall()
        return {name: bytes(body) for name, body in rows}

    def _apply(self, change: Change, at: datetime) -> None:
        found = self._connection.execute(
            "SELECT version FROM records WHERE kind = ? AND id = ?", (change.kind, change.id)
        ).fetchone()
        version = 0 if found is None else int(found[0])
        if version != change.version:
            raise Conflict(
                f"{change.kind} `{change.id}` is there already: take another name"
                if not change.version
                else f"{change.kind} `{change.id}` was changed meanwhile: read it again, then change it"
            )
        if isinstance(change, Put):
            self._connection.execute(
                "INSERT OR REPLACE INTO records (kind, id, tenant, version, updated_us, body)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (change.kind, change.id, change.tenant, version + 1, _micros(at), change.body),
            )
        else:
            self._connection.execute("DELETE FROM records WHERE kind = ? AND id = ?", (change.kind, change.id))

    def _last_entry(self) -> AuditEntry | None:
        row = self._connection.execute("SELECT seq, body, hash FROM audit_log ORDER BY seq DESC LIMIT 1").fetchone()
        return None if row is None else _entry(row)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            with self._lock:
                yield
        except sqlite3.Error as fault:
            raise store_error(fault, self._path) from fault


def _record(row: tuple[Kind, str, str, bytes, int, int]) -> Record:
    kind, id_, tenant, body, version, updated_us = row
    return Record(
        kind=kind, id=id_, tenant=tenant, body=body, version=version, updated_at=_EPOCH + updated_us * _MICROSECOND
    )


def _entry(row: tuple[int, bytes, bytes]) -> AuditEntry:
    seq, body, hash_ = row
    return AuditEntry(seq=seq, body=body, hash=hash_)


def _micros(at: datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND
