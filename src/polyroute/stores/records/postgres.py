"""Managed records in the PostgreSQL database of the books. Synchronous, for a thread; connects when first asked.

Where the server is away every call is a StoreError, and the next one tries again.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Self

from polyroute.errors import Conflict, StoreError
from polyroute.stores.postgres.connection import Address, Patient, let_go, migrate, told
from polyroute.stores.postgres.store import PostgresStore
from polyroute.stores.records.chain import next_entry
from polyroute.types.records import Act, AuditEntry, Change, Kind, Put, Record

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

_SELECT = "SELECT kind, id, tenant, body, version, updated_us FROM records"


class PostgresRecords:
    def __init__(self, address: Address) -> None:
        self._address = address
        self._lock = threading.RLock()  # one connection, asked from several threads
        self._connection: Patient | None = None
        self._is_migrated = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        with self._lock:
            if self._connection is not None:
                let_go(self._connection)
                self._connection = None

    def find(self, kind: Kind, name: str) -> Record | None:
        with self._connected() as connection:
            row = connection.execute(f"{_SELECT} WHERE kind = %s AND id = %s".encode(), (kind, name)).fetchone()
        return None if row is None else _record(row)

    def every(self, kind: Kind, tenant: str | None = None) -> list[Record]:
        """By id; of every tenant where none is named."""
        where, values = (" AND tenant = %s", (kind, tenant)) if tenant is not None else ("", (kind,))
        with self._connected() as connection:
            rows = connection.execute(
                f'{_SELECT} WHERE kind = %s{where} ORDER BY id COLLATE "C"'.encode(), values
            ).fetchall()
        return [_record(row) for row in rows]

    def change(self, changes: Sequence[Change], act: Act) -> None:
        """All of `changes` and the act's audit entry, or nothing. Raises Conflict where a version is not the last."""
        with self._connected() as connection, connection.transaction():
            connection.execute("LOCK TABLE audit_log IN EXCLUSIVE MODE")  # one change at a time, as in a file
            for change in changes:
                _apply(connection, change, act.at)
            entry = next_entry(_last_entry(connection), act)
            connection.execute("INSERT INTO audit_log VALUES (%s, %s, %s)", (entry.seq, entry.body, entry.hash))

    def generation(self) -> int:
        """Grows with every change; 0 where there was none."""
        with self._connected() as connection:
            found = connection.execute("SELECT coalesce(max(seq), 0) FROM audit_log").fetchone()
        return 0 if found is None else int(found[0])

    def entries(self, *, after: int = 0, limit: int = 1000) -> list[AuditEntry]:
        """Of the audit log, in order."""
        with self._connected() as connection:
            rows = connection.execute(
                "SELECT seq, body, hash FROM audit_log WHERE seq > %s ORDER BY seq LIMIT %s", (after, limit)
            ).fetchall()
        return [_entry(row) for row in rows]

    def keep(self, space: str, name: str, body: bytes, *, now: datetime, until: datetime) -> bytes | None:
        """Keeps `body` where nothing is kept under this name, and says None; else says what is, and changes nothing."""
        with self._connected() as connection, connection.transaction():
            connection.execute("DELETE FROM notes WHERE until_us <= %s", (_micros(now),))
            made = connection.execute(
                "INSERT INTO notes VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING RETURNING 1",
                (space, name, _micros(until), body),
            ).fetchone()
            if made is not None:
                return None
            found = connection.execute(
                "SELECT body FROM notes WHERE space = %s AND name = %s", (space, name)
            ).fetchone()
        return b"" if found is None else bytes(found[0])  # dropped in this very moment: to be asked again

    def swap(self, space: str, name: str, old: bytes, new: bytes, *, until: datetime) -> bool:
        """`new` in place of `old`; False, and nothing changed, where `old` is not what is kept."""
        with self._connected() as connection:
            changed = connection.execute(
                "UPDATE notes SET body = %s, until_us = %s WHERE space = %s AND name = %s AND body = %s RETURNING 1",
                (new, _micros(until), space, name, old),
            ).fetchone()
        return changed is not None

    def drop(self, space: str, name: str) -> None:
        with self._connected() as connection:
            connection.execute("DELETE FROM notes WHERE space = %s AND name = %s", (space, name))

    def keep_all(self, space: str, bodies: Mapping[str, bytes], *, now: datetime, until: datetime) -> None:
        """Keeps each under its name where nothing is kept there."""
        with self._connected() as connection, connection.transaction():
            connection.execute("DELETE FROM notes WHERE until_us <= %s", (_micros(now),))
            connection.execute(
                "INSERT INTO notes (space, name, until_us, body)"
                " SELECT %s, name, %s, body FROM unnest(%s::text[], %s::bytea[]) AS kept (name, body)"
                " ON CONFLICT DO NOTHING",
                (space, _micros(until), list(bodies), list(bodies.values())),
            )

    def look(self, space: str, names: Sequence[str], *, now: datetime) -> dict[str, bytes]:
        """What is kept under those of `names` that there are."""
        with self._connected() as connection:
            rows = connection.execute(
                "SELECT name, body FROM notes WHERE space = %s AND name = ANY(%s) AND until_us > %s",
                (space, list(names), _micros(now)),
            ).fetchall()
        return {name: bytes(body) for name, body in rows}

    def held(self, space: str, *, now: datetime) -> dict[str, bytes]:
        """Everything that is kept in `space`, by name."""
        with self._connected() as connection:
            rows = connection.execute(
                'SELECT name, body FROM notes WHERE space = %s AND until_us > %s ORDER BY name COLLATE "C"',
                (space, _micros(now)),
            ).fetchall()
        return {name: bytes(body) for name, body in rows}

    @contextmanager
    def _connected(self) -> Iterator[Patient]:
        with self._lock:
            if self._connection is None:
                self._connection = self._address.connect()
            try:
                if not self._is_migrated:
                    migrate(self._connection, self._address)
                    self._is_migrated = True
                with told(self._address):
                    yield self._connection
            except StoreError:
                self.close()
                raise


def open_records(store: PostgresStore) -> PostgresRecords:
    return PostgresRecords(store.address)


def _apply(connection: Patient, change: Change, at: datetime) -> None:
    where = (change.kind, change.id)
    found = connection.execute("SELECT version FROM records WHERE kind = %s AND id = %s", where).fetchone()
    version = 0 if found is None else int(found[0])
    if version != change.version:
        raise Conflict(
            f"{change.kind} `{change.id}` is there already: take another name"
            if not change.version
            else f"{change.kind} `{change.id}` was changed meanwhile: read it again, then change it"
        )
    if not isinstance(change, Put):
        connection.execute("DELETE FROM records WHERE kind = %s AND id = %s", where)
        return
    connection.execute(
        "INSERT INTO records (kind, id, tenant, version, updated_us, body) VALUES (%s, %s, %s, %s, %s, %s)"
        " ON CONFLICT (kind, id) DO UPDATE SET tenant = excluded.tenant, version = excluded.version,"
        " updated_us = excluded.updated_us, body = excluded.body",
        (*where, change.tenant, version + 1, _micros(at), change.body),
    )


def _last_entry(connection: Patient) -> AuditEntry | None:
    row = connection.execute("SELECT seq, body, hash FROM audit_log ORDER BY seq DESC LIMIT 1").fetchone()
    return None if row is None else _entry(row)


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
