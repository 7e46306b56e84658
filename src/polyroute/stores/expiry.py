"""What is kept for a while only goes a batch at a time, the oldest first, so that whoever books waits for one at most.

Ledger rows stay unless somebody said otherwise, and sums are made of ledger rows: receipts that go change none of them.
How far each kind is gone is written down with every batch, so that a receipt past its time is not taken for a lost one.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from datetime import datetime
from typing import Any, Literal, Protocol

from msgspec import Struct

from polyroute.stores.queries import Queries
from polyroute.stores.rows import to_micros

Kind = Literal["receipts", "ledger", "notes"]  # of `ledger` rows, their receipts go with them

FIRST_BATCH = 100
_LARGEST_BATCH = 2_000
_AIM_S = 0.02  # so long a batch may hold up bookings
_REST = 4  # times as long as the batch took: a fifth of the time is spent here at most
_SHORTEST_REST_S = 0.01


class Going(Struct, frozen=True, kw_only=True):
    """One kind, and the moment before which it goes."""

    kind: Kind
    before: datetime


class Batch(Struct, frozen=True, kw_only=True):
    removed: int
    reached_us: int  # what arrived before is done


class Ran(Protocol):
    """A statement's outcome, as both databases' modules have it."""

    @property
    def rowcount(self) -> int: ...

    def fetchone(self) -> tuple[Any, ...] | None: ...


Run = Callable[[str, tuple[object, ...]], Ran]


def expire_batch(run: Run, queries: Queries, kind: Kind, since_us: int, before_us: int, most: int) -> Batch:
    """In a transaction of its caller's: `most` of what arrived in [since, before), or a few more of one microsecond."""
    if kind == "notes":  # each has an end of its own
        removed = run(queries.expire_notes, (before_us, most)).rowcount
        return Batch(removed=removed, reached_us=since_us if removed >= most else before_us)
    end = run(queries.find_batch_end, (since_us, before_us, most)).fetchone()
    reached_us = before_us if end is None else max(int(end[0]), since_us + 1)
    span = (since_us, reached_us)
    removed = run(queries.expire_receipts, span).rowcount
    if kind == "ledger":
        run(queries.expire_attempts, span)
        removed = run(queries.expire_requests, span).rowcount
    run(queries.note_expired, (kind, reached_us))
    return Batch(removed=removed, reached_us=reached_us)


def reached(run: Run, queries: Queries, kind: Kind) -> int:
    """Where the last batch of this kind ended, in microseconds."""
    found = run(queries.expired_before, (kind,)).fetchone()
    return 0 if found is None else int(found[0])


class Expiring(Protocol):
    """One database's part. Synchronous, for the thread that books; every method raises StoreError."""

    def take_turn(self) -> bool:
        """False: another process is at it. Of all gateways one at a time."""

    def give_turn(self) -> None: ...

    def reached(self, kind: Kind) -> int:
        """Where the last batch ended, in microseconds."""

    def expire(self, kind: Kind, since_us: int, before_us: int, most: int) -> Batch:
        """A batch as `expire_batch` says, committed."""


async def expire(
    expiring: Expiring, thread: Executor, going: Going, *, anew: bool, tell: Callable[[int], object]
) -> int | None:
    """As `JournaledLedger.expire` says."""
    loop = asyncio.get_running_loop()
    if not await loop.run_in_executor(thread, expiring.take_turn):
        return None
    removed, size, before_us = 0, FIRST_BATCH, to_micros(going.before)
    try:
        since_us = 0 if anew else await loop.run_in_executor(thread, expiring.reached, going.kind)
        while since_us < before_us:
            began_s = loop.time()
            batch = await loop.run_in_executor(thread, expiring.expire, going.kind, since_us, before_us, size)
            took_s = loop.time() - began_s
            removed, since_us = removed + batch.removed, batch.reached_us
            tell(removed)
            size = next_size(size, took_s)
            await asyncio.sleep(rest_s(took_s))
    finally:
        await loop.run_in_executor(thread, expiring.give_turn)
    return removed


def next_size(size: int, took_s: float) -> int:
    """Twice as many where there was time for it, half as many where there was none."""
    if took_s > _AIM_S:
        return max(size // 2, 1)
    return min(size * 2, _LARGEST_BATCH) if took_s < _AIM_S / 2 else size


def rest_s(took_s: float) -> float:
    return max(took_s * _REST, _SHORTEST_REST_S)
