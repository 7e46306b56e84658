"""Deleting what is past its retention, a batch in one transaction. The server's own vacuum gives the room back.

Synchronous, for the thread that books. Of all gateways one at a time does it: it holds a lock of the server's.
"""

from collections.abc import Callable

from polyroute.stores.expiry import Batch, Kind, Run, expire_batch, reached
from polyroute.stores.postgres.connection import Address, Patient, told
from polyroute.stores.queries import Queries

_LOCK = 7_606_195_182  # an advisory lock of ours alone, beside the schema's


class PostgresExpiring:
    """The turn ends with the connection on which it was taken, at the latest: another one is not used."""

    def __init__(self, connected: Callable[[], Patient], address: Address, queries: Queries) -> None:
        self._connected = connected
        self._address = address
        self._queries = queries

    def take_turn(self) -> bool:
        self._connection = self._connected()
        with told(self._address):
            found = self._connection.execute("SELECT pg_try_advisory_lock(%s)", (_LOCK,)).fetchone()
        return found is not None and bool(found[0])

    def give_turn(self) -> None:
        if not self._connection.closed:
            with told(self._address):
                self._connection.execute("SELECT pg_advisory_unlock(%s)", (_LOCK,))

    def reached(self, kind: Kind) -> int:
        with told(self._address):
            return reached(self._run, self._queries, kind)

    def expire(self, kind: Kind, since_us: int, before_us: int, most: int) -> Batch:
        with told(self._address), self._connection.transaction():
            return expire_batch(self._run, self._queries, kind, since_us, before_us, most)

    @property
    def _run(self) -> Run:
        return lambda query, given: self._connection.execute(query.encode(), given)
