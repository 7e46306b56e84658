"""Rates and budgets that the workers of one machine share, in a SQLite file beside the books.

The file is no truth: what was spent is in the books, and what a worker holds it says again when it joins. So a commit
waits for no disk, and whoever begins alone begins with an empty file (`custody`). All that a turn of the event loop
asks for is one transaction, in the order of asking. A lock that another worker has is tried again, never waited for:
the loop does not stand still. Rates and leases are by the machine's monotonic clock.
"""

import asyncio
import fcntl
import os
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from polyroute.errors import StoreError
from polyroute.stores.sqlite.files import connect, is_busy, roll_back
from polyroute.stores.sqlite.tallies import Moment, Tallies, begin_memory, make
from polyroute.types.counters import (
    Booked,
    BudgetAsk,
    BudgetLeave,
    Counted,
    Forgotten,
    Heard,
    RateAsk,
    RateLeave,
    Standing,
    Sum,
)

_ANSWER_S = 0.2  # a lock that is not had within it is none
_SPINS = 20  # tries of a lock at once: most are held for less than a tenth of a millisecond
_RETRY_S = 0.001
_OPEN_PATIENCE_S = 0.05  # the loop stands still
_TIDY_S = 60.0

LEASE_S = 45.0
GRACE_S = 1.0  # after everything was lost, every living worker has told what it holds by then

Work = Callable[[Tallies, Moment], Any]


class SqliteCounters:
    """One connection, made by `connect`; each call raises StoreError where the file cannot be used."""

    def __init__(
        self,
        path: Path,
        replica: str,
        *,
        window_s: float = 60.0,
        grace_s: float = GRACE_S,
        lease_s: float = LEASE_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.replica = replica
        self.replicas = 1  # alive, when last heard
        self._path = path
        self._window_ms = round(window_s * 1000)
        self._grace_ms = round(grace_s * 1000)
        self._lease_ms = round(lease_s * 1000)
        self._monotonic = monotonic
        self._connection: sqlite3.Connection | None = None
        self._tallies: Tallies | None = None
        self._file = 0
        self._generation = ""
        self._waiting: list[tuple[Work, asyncio.Future[Any]]] = []
        self._since_s = 0.0  # the first of them waits
        self._tidied_s = 0.0

    def __str__(self) -> str:
        return str(self._path)

    async def connect(self) -> None:
        self.close()
        try:
            connection = connect(self._path, patience_s=_OPEN_PATIENCE_S)
        except StoreError as fault:
            raise self._away(fault) from fault
        try:
            _set_up(connection)
            connection.execute("PRAGMA busy_timeout = 0")
            self._file = self._path.stat().st_ino
        except (sqlite3.Error, OSError) as fault:
            connection.close()
            raise self._away(fault) from fault
        self._connection = connection
        self._tallies = Tallies(connection, self.replica, window_ms=self._window_ms, lease_ms=self._lease_ms)
        self._tallies.generation = self._generation

    def close(self) -> None:
        """What waits is done first, where it can be."""
        if self._waiting:
            self._work()
        self._fail(StoreError(f"the counters {self._path} are closed"))
        if self._connection is not None:
            self._connection.close()
            self._connection = self._tallies = None

    async def enter(self, asks: Sequence[RateAsk]) -> RateLeave:
        """Count one request. Raises Forgotten."""
        leave: RateLeave = await self._send(lambda tallies, moment: tallies.enter(asks, moment))
        return leave

    def correct(self, differences: Sequence[Counted]) -> None:
        """Sent, and not waited for: an estimate that stays is a loss of a minute at most."""
        generation = self._generation
        sent = self._send(lambda tallies, moment: tallies.correct(generation, differences))
        sent.add_done_callback(_seen)

    def hold(self, amount: int, asks: Sequence[BudgetAsk]) -> asyncio.Future[Any]:
        """Set money aside; `held` reads what comes. Taken in its turn also where nobody waits for it."""
        return self._send(lambda tallies, moment: _told(tallies.hold, amount, asks, moment))

    def held(self, reply: Any) -> BudgetLeave | float | None:
        """The leave; or how many seconds to wait first; or None: `seed` a window first. Raises Forgotten."""
        if isinstance(reply, Forgotten):
            raise reply
        leave: BudgetLeave | float | None = reply
        return leave

    def settle(self, tallies: Sequence[str], held: int, cost: int) -> asyncio.Future[Any]:
        """What was held is spent, or free. A reply of -1, or none, wants a `join`, which says it all."""

        def settle(kept: Tallies, moment: Moment) -> int:
            return -1 if isinstance(_told(kept.settle, tallies, held, cost, moment), Forgotten) else 1

        return self._send(settle)

    async def beat(self, tallies: Sequence[str], subjects: Sequence[str]) -> Heard:
        """Live on, and hear how these stand. Raises Forgotten."""
        self._expect_same_file()
        is_untidy = self._monotonic() - self._tidied_s >= _TIDY_S
        if is_untidy:
            self._tidied_s = self._monotonic()

        def beat(kept: Tallies, moment: Moment) -> tuple[Heard, int]:
            heard = kept.beat(tallies, subjects, moment)
            if is_untidy:
                kept.tidy(moment)
            return heard, kept.count_living(moment)

        heard: Heard
        heard, self.replicas = await self._send(beat)
        return heard

    async def every(self) -> dict[str, Sum]:
        """Every tally that any of them touched."""
        found: dict[str, Sum] = await self._send(lambda tallies, moment: tallies.every(moment))
        return found

    async def generation(self) -> tuple[str, int]:
        """Of the file, "" where it is empty; and the clock, in milliseconds."""
        generation, now_ms = await self._send(lambda tallies, moment: (tallies.current, moment.ms))
        return str(generation), int(now_ms)

    def grain(self, at_ms: float) -> int:
        return int(at_ms // max(self._window_ms // 1000, 1))

    @property
    def known_generation(self) -> str:
        return self._generation

    async def join(self, generation: str, standings: Sequence[Standing], counted: Sequence[Counted]) -> None:
        """Say all of it; `generation` as just asked. Raises Forgotten where it changed meanwhile."""
        fresh, grace_ms = generation or secrets.token_hex(8), self._grace_ms
        await self._send(lambda tallies, moment: tallies.join(fresh, standings, counted, moment, grace_ms))
        self._generation = fresh

    async def seed(self, windows: Sequence[str], booked: Sequence[Booked], dead: Sequence[str] = ()) -> None:
        """What the books say of these windows, and who is dead and wholly in them. Raises Forgotten."""
        await self._send(lambda tallies, moment: tallies.seed(windows, booked, dead, moment))

    def _send(self, work: Work) -> asyncio.Future[Any]:
        loop = asyncio.get_running_loop()
        sent: asyncio.Future[Any] = loop.create_future()
        if self._connection is None:
            sent.set_exception(StoreError(f"the counters {self._path} are away"))
            return sent
        self._waiting.append((work, sent))
        if len(self._waiting) == 1:
            self._since_s = self._monotonic()
            loop.call_soon(self._work)
        return sent

    def _work(self) -> None:
        """All that waits, in one transaction; later where another has the lock."""
        if self._connection is None or self._tallies is None or not self._waiting:
            return
        try:
            if not _begin(self._connection):
                if self._monotonic() - self._since_s < _ANSWER_S:
                    asyncio.get_running_loop().call_later(_RETRY_S, self._work)
                    return
                raise StoreError("another process keeps them locked")
            moment = Moment(int(self._monotonic() * 1000), time.time_ns() // 1_000_000)
            self._tallies.look()
            replies = [_told(work, self._tallies, moment) for work, _ in self._waiting]
            self._connection.execute("COMMIT")
        except (sqlite3.Error, OverflowError, StoreError) as fault:
            roll_back(self._connection)
            self._fail(self._away(fault))
            self.close()
            return
        waiting, self._waiting = self._waiting, []
        for (_, sent), reply in zip(waiting, replies, strict=True):
            if sent.done():  # its caller has left
                continue
            if isinstance(reply, Forgotten):
                sent.set_exception(reply)
            else:
                sent.set_result(reply)

    def _fail(self, fault: StoreError) -> None:
        waiting, self._waiting = self._waiting, []
        for _, sent in waiting:
            if not sent.done():
                sent.set_exception(fault)

    def _expect_same_file(self) -> None:
        """Raises StoreError where the file was taken away, or another lies in its place."""
        try:
            if self._path.stat().st_ino == self._file:
                return
        except OSError as fault:
            raise self._away(fault) from fault
        raise StoreError(f"the counters {self._path} were taken away")

    def _away(self, fault: Exception) -> StoreError:
        return StoreError(f"the counters {self._path} cannot be used: {fault}")


@contextmanager
def custody(path: Path) -> Iterator[None]:
    """Counters for as long as the block lasts, also for processes that it forks: empty where nobody else has them."""
    try:
        descriptor = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as fault:
        raise StoreError(f"the folder of the counters {path} cannot be used: {fault}") from fault
    try:
        if _alone(descriptor):
            _remove(path)
            _begin_empty(path)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
        if _alone(descriptor):
            _remove(path)
    finally:
        os.close(descriptor)


def _alone(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _remove(path: Path) -> None:
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
        path.with_name(name).unlink(missing_ok=True)


def _begin_empty(path: Path) -> None:
    """Nobody held anything before, so nobody is waited for."""
    connection = connect(path, patience_s=_OPEN_PATIENCE_S)
    try:
        _set_up(connection)
        moment = Moment(int(time.monotonic() * 1000), time.time_ns() // 1_000_000)
        begin_memory(connection, secrets.token_hex(8), moment, 0)
    except sqlite3.Error as fault:
        raise StoreError(f"the counters {path} cannot be used: {fault}") from fault
    finally:
        connection.close()


def _set_up(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("BEGIN IMMEDIATE")
    make(connection)
    connection.execute("COMMIT")


def _begin(connection: sqlite3.Connection) -> bool:
    """False: another has the lock."""
    for _ in range(_SPINS):
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as fault:
            if not is_busy(fault):
                raise
            os.sched_yield()
        else:
            return True
    return False


def _told(work: Callable[..., Any], *given: Any) -> Any:
    """Its reply, or that it has to be joined first: the transaction goes on for the others."""
    try:
        return work(*given)
    except Forgotten as forgotten:
        return forgotten


def _seen(sent: asyncio.Future[Any]) -> None:
    if not sent.cancelled():
        sent.exception()
