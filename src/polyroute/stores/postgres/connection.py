"""One connection to the server: how long anything may take, the schema, and what the server's errors mean.

Synchronous, for a thread. A server that does not answer in time (stopped, or behind a broken network) is a StoreError
like one that is not there, and the connection is closed: the next attempt makes another.
"""

import contextlib
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from polyroute.errors import StoreError
from polyroute.stores.packing import unpack
from polyroute.stores.schema import PACKED, Schema

SCHEMA = Schema(Path(__file__).with_name("schema"))
_CONNECT_S = 2  # libpq takes no less
_ANSWER_S = 5.0  # of one statement of the gateway's own
_SETTINGS: dict[str, str | int] = {
    "connect_timeout": _CONNECT_S,
    "application_name": "polyroute",
    "client_encoding": "utf8",
    "options": "-c statement_timeout=0 -c lock_timeout=4s -c idle_in_transaction_session_timeout=60s",
}
_SCHEMA_LOCK = 7_606_195_181  # an advisory lock of ours alone: who starts first makes the tables
_AT_ONCE = 1000
_SOME_RECEIPTS = b"SELECT request_id, body FROM receipts WHERE request_id > %s ORDER BY request_id LIMIT %s"
_REPLACE = (
    b"UPDATE receipts SET body = plain.body FROM unnest(%s::text[], %s::bytea[]) AS plain (request_id, body)"
    b" WHERE receipts.request_id = plain.request_id"
)
_VERSION_TABLE = "CREATE TABLE IF NOT EXISTS polyroute_schema (version integer NOT NULL)"

_T = TypeVar("_T")


class Patient(psycopg.Connection[tuple[Any, ...]]):
    """A connection on which one statement may take `answer_s` seconds, also where the server has gone silent."""

    answer_s = _ANSWER_S

    def wait(self, gen: PQGen[_T], *args: Any, **kwargs: Any) -> _T:
        return super().wait(_until(gen, time.monotonic() + self.answer_s), *args, **kwargs)


def _until(gen: PQGen[_T], deadline_s: float) -> Generator[Any, Any, _T]:
    """`gen`, which is told every so often that nothing came, ended at `deadline_s`."""
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            if not ready and time.monotonic() >= deadline_s:
                raise psycopg.OperationalError("the server does not answer")
            wanted = gen.send(ready)
    except StopIteration as ended:
        value: _T = ended.value
        return value


class Address:
    """Where the database is. Printed without its password."""

    def __init__(self, url: str) -> None:
        """Raises StoreError where it is no address."""
        try:
            self._conninfo = make_conninfo(url, **_SETTINGS)
            known = conninfo_to_dict(url)
        except psycopg.Error as fault:
            raise StoreError(f"store.database is not the address of a PostgreSQL database: {fault}") from None
        self.host = str(known.get("host") or "localhost")
        self.port = str(known.get("port") or "5432")
        self.name = str(known.get("dbname") or known.get("user") or "postgres")

    def __str__(self) -> str:
        return f"postgresql://{self.host}:{self.port}/{self.name}"

    def connect(self, *, answer_s: float = _ANSWER_S) -> Patient:
        """In autocommit mode. Raises StoreError."""
        with told(self):
            connection = Patient.connect(self._conninfo, autocommit=True)
        connection.answer_s = answer_s
        return connection


@contextmanager
def told(address: Address) -> Iterator[None]:
    """The server's errors as StoreError."""
    try:
        yield
    except psycopg.Error as fault:
        raise store_error(fault, address) from fault


def store_error(fault: psycopg.Error, address: Address) -> StoreError:
    if fault.sqlstate is None or isinstance(fault, psycopg.OperationalError):
        meaning = "it cannot be reached, or serves nobody now"
    elif isinstance(fault, psycopg.errors.UndefinedTable | psycopg.errors.UndefinedColumn):
        meaning = "its tables are not there or not these; start the gateway once, or run `polyroute migrate`"
    elif isinstance(fault, psycopg.errors.InsufficientPrivilege):
        meaning = "the user may not do that; grant it the tables"
    else:
        meaning = "it refused"
    return StoreError(f"the ledger {address} failed: {meaning} ({' '.join(str(fault).split())})")


def migrate(connection: Patient, address: Address, to: int | None = None) -> None:
    """Bring the schema to version `to`, else the newest; all or nothing, also where many gateways start at once."""
    with told(address):
        if to is None and version_of(connection) == SCHEMA.newest:
            return
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_SCHEMA_LOCK,))
            connection.execute(_VERSION_TABLE)
            for step in SCHEMA.steps(version_of(connection), to, of=f"the ledger {address}"):
                if step.version == PACKED - 1:
                    _unpack_all(connection)
                connection.execute(step.script.encode())
                connection.execute("DELETE FROM polyroute_schema")
                connection.execute("INSERT INTO polyroute_schema VALUES (%s)", (step.version,))


def _unpack_all(connection: Patient) -> None:
    """Every receipt as an older version reads it. Of one that is not packed nothing changes."""
    after = ""
    while rows := connection.execute(_SOME_RECEIPTS, (after, _AT_ONCE)).fetchall():
        after = rows[-1][0]
        plain = [(request_id, unpack(body)) for request_id, body in rows]
        connection.execute(_REPLACE, ([name for name, _ in plain], [body for _, body in plain]))


def version_of(connection: Patient) -> int:
    """0 where there is nothing yet."""
    found = connection.execute("SELECT to_regclass('polyroute_schema')").fetchone()
    if found is None or found[0] is None:
        return 0
    version = connection.execute("SELECT version FROM polyroute_schema").fetchone()
    return 0 if version is None else int(version[0])


def let_go(connection: Patient) -> None:
    with contextlib.suppress(psycopg.Error):
        connection.close()
