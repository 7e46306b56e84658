"""Where replicas count together: a Valkey, or a SQLite file of one machine; each can forget all, and be away."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Protocol

import pytest
from tests.rig.servers import Valkey

from polyroute.ports import SharedCounters
from polyroute.stores.shared.counters import RedisCounters
from polyroute.stores.shared.resp import connect, encode, parse_place
from polyroute.stores.sqlite.counters import SqliteCounters

GRACE_S = 0.6
_TABLES = ("memory", "replicas", "spent", "seeded", "rates", "grains")


class Counting(Protocol):
    def counters(self, name: str, window_s: float) -> SharedCounters: ...

    async def flush(self) -> None: ...

    def leave(self) -> None: ...

    def come_back(self) -> None: ...

    def shorten_leases(self, monkeypatch: pytest.MonkeyPatch, lease_s: float) -> None: ...


class InValkey:
    def __init__(self, server: Valkey) -> None:
        self._server = server

    def counters(self, name: str, window_s: float) -> RedisCounters:
        return RedisCounters(parse_place(self._server.url), name, window_s=window_s, grace_s=GRACE_S)

    async def flush(self) -> None:
        connection = await connect(parse_place(self._server.url), answer_s=5)
        await connection.call(encode("FLUSHALL"))
        connection.close()

    def leave(self) -> None:
        self._server.server.kill()

    def come_back(self) -> None:
        self._server.restart()

    def shorten_leases(self, monkeypatch: pytest.MonkeyPatch, lease_s: float) -> None:
        monkeypatch.setattr("polyroute.stores.shared.counters.LEASE_S", lease_s)


class InFile:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._lease_s = 45.0
        self._locker: sqlite3.Connection | None = None

    def counters(self, name: str, window_s: float) -> SqliteCounters:
        return SqliteCounters(self._path, name, window_s=window_s, grace_s=GRACE_S, lease_s=self._lease_s)

    async def flush(self) -> None:
        with closing(sqlite3.connect(self._path, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            for table in _TABLES:
                connection.execute(f"DELETE FROM {table}")
            connection.execute("COMMIT")

    def leave(self) -> None:
        """Locked, and never let go."""
        self._locker = sqlite3.connect(self._path, isolation_level=None)
        self._locker.execute("BEGIN IMMEDIATE")

    def come_back(self) -> None:
        assert self._locker is not None
        self._locker.close()

    def shorten_leases(self, monkeypatch: pytest.MonkeyPatch, lease_s: float) -> None:
        self._lease_s = lease_s
