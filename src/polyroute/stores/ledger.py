"""The books of a gateway: the port `Ledger`, durable when a call returns, whatever database is behind it.

Openings and settlements go to this process's journal, one appended line each; soon after, in batches, the
settlements' rows go into the database. Opening twice, or settling twice with different figures, is a StoreError
that changes nothing; settling again with the same figures is done already. Where the database is away, what is settled
waits: in memory and in the journal, or, for a database on another machine, put aside in files until it is back.
"""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Literal, TypeVar

from msgspec import Struct

from polyroute.errors import StoreError
from polyroute.stores.amending import Change
from polyroute.stores.drain import LONGEST_PAUSE_S, Drain
from polyroute.stores.expiry import Expiring, Going, expire
from polyroute.stores.journal.files import DeadJournal, claim, journal_paths, whole_turn
from polyroute.stores.journal.journal import Journal
from polyroute.stores.journal.lines import OpenRequest, Settled, settled
from polyroute.stores.recovery import in_flight, recover
from polyroute.stores.rows import unbookable
from polyroute.types.money import ZERO_USD
from polyroute.types.receipt import Amended, AttemptOpening, Opening, Receipt, Settlement

Durability = Literal["process", "power"]

_LOG = logging.getLogger(__name__)
_RECOVERY_BATCH = 2000  # requests per commit: what is settled meanwhile waits for one
# Settlements that the database has not taken yet:
_FULL = 2_048  # who brings more waits for it, or they are put aside
_MOST_WAITING = 10_000  # beyond it, while the database fails, nothing new is opened
_MOST_SETTLED = 2 * _MOST_WAITING  # and beyond this, what is open can no longer be settled
_MOST_ASIDE_BYTES = 4 << 30  # an hour of 400 requests a second; beyond it, nothing new is opened
_KNOWN = 4096  # settlements whose figures are remembered

_T = TypeVar("_T")
_R = TypeVar("_R")


class Recovery(Struct, frozen=True, kw_only=True):
    """Requests of dead processes that were closed at their upper bound."""

    requests: int = 0
    cost_usd: Decimal = ZERO_USD
    dead: tuple[str, ...] = ()  # the processes


class JournaledLedger(ABC):
    """Used from one event loop at a time; `aclose` when done. A database gives it the methods at the end."""

    def __init__(
        self, name: str, journals: Path, journal: Journal, *, is_remote: bool, syncer: ThreadPoolExecutor | None
    ) -> None:
        """`is_remote`: asking the database takes time, and it may be away. `syncer`: as the journal's."""
        self._name = name
        self._journals = journals
        self._journal = journal
        self._is_remote = is_remote
        self._syncer = syncer
        # One writes to the database, the other asks it; each is started by its first job.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="polyroute-books")
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="polyroute-reader")
        self._drain = Drain(journal, self._thread, self._book, longest_pause_s=0.5 if is_remote else LONGEST_PAUSE_S)
        self._known: dict[str, int] = {}  # the latest settlements' bodies, hashed
        self._is_closed = False

    @property
    def replica(self) -> str:
        """The name under which the books keep what this process settles."""
        return self._journal.replica

    @property
    def pending(self) -> int:
        """Settlements, safe on this machine, that the database has not taken yet."""
        return self._journal.pending + self._journal.sealed_count

    async def open(self, opening: Opening) -> None:
        if self._journal.pending >= _FULL or self._journal.sealed:
            await self._make_room(_MOST_WAITING)
        self._refuse_if_closed()
        await self._journal.open(opening)

    async def open_attempt(self, opening: AttemptOpening) -> None:
        self._refuse_if_closed()
        await self._journal.open_attempt(opening)

    async def settle(self, settlement: Settlement) -> None:
        if self._journal.pending >= _FULL:
            await self._make_room(_MOST_SETTLED)
        self._refuse_if_closed()
        request_id = settlement.request_id
        known = self._journal.settled_receipt(request_id)
        if known is None and self._journal.find(request_id) is None:  # not opened here: perhaps long settled
            known = self._settled_before(settlement)
        if known is None:
            reason = unbookable(settlement)
            if reason is not None:
                raise StoreError(f"request {request_id} cannot be booked: {reason}")
            self._remember(self._journal.settle(settlement))
            self._drain.wake()
        elif known != settlement.receipt:
            raise StoreError(f"request {request_id} is settled already, and differently; the first stands")
        if self._syncer is not None:
            await self._journal.until_synced()

    async def receipt(self, request_id: str) -> Receipt | None:
        """The receipt as settled; of a request still in flight, what is known of it."""
        request = self._journal.find(request_id)
        if request is not None:
            return in_flight(request.opening, request.later)
        known = self._journal.settled_receipt(request_id)
        if known is not None:
            return known
        if self._is_remote:
            return await asyncio.get_running_loop().run_in_executor(self._reader, self._look_up, request_id)
        self._refuse_beyond(_MOST_WAITING)
        return self._look_up(request_id)

    async def amend(self, request_id: str, change: Change) -> Amended | None:
        """What `change` makes of a settled receipt, in its place; None where it changes nothing."""
        self._refuse_if_closed()
        if self._journal.pending:
            await self.drain()
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._amend, request_id, change)

    async def check(self) -> None:
        """Raises StoreError where nothing new could be opened. A database on another machine may be away."""
        self._refuse_if_closed()
        self._refuse_beyond(_MOST_WAITING)
        if not self._is_remote:
            self._look_up("check")

    async def recover(self, now: datetime) -> Recovery:
        """Book what processes that died have settled, and close what they left open. Leaves living ones alone.

        Call it at start, and every now and then where several processes share the journals' folder. What the database
        does not take is left for the next time: StoreError.
        """
        await asyncio.get_running_loop().run_in_executor(self._thread, self._prepare)
        async with whole_turn(self._journals):
            return await self._recover(now)

    async def _recover(self, now: datetime) -> Recovery:
        left = [journal for path in journal_paths(self._journals) if (journal := claim(path)) is not None]
        requests, cost_usd = 0, ZERO_USD
        try:
            held: list[tuple[DeadJournal, list[OpenRequest]]] = []
            for journal in left:  # what was settled first: one file may tell the end of what another opens
                contents = await asyncio.get_running_loop().run_in_executor(self._thread, journal.read)
                await self._in_batches(contents.settled, self._book)
                held.append((journal, contents.requests))
            for journal, open_requests in held:
                for booked in await self._in_batches(open_requests, self._closer(journal.replica, now)):
                    requests += booked.requests
                    cost_usd += booked.cost_usd
                left.remove(journal)
                journal.done()
        finally:
            for journal in left:
                journal.leave()
        dead = sorted({journal.replica for journal, _ in held})
        return Recovery(requests=requests, cost_usd=cost_usd, dead=tuple(dead))

    async def expire(
        self, going: Going, *, anew: bool = False, tell: Callable[[int], object] = lambda removed: None
    ) -> int | None:
        """How many of its kind went; None: another process is at it. Between batches bookings have their turn.

        From where it ended last, or `anew` from the oldest. `tell` hears how many are gone, after every batch. Raises
        StoreError; what is gone by then stays gone.
        """
        self._refuse_if_closed()
        await asyncio.get_running_loop().run_in_executor(self._thread, self._prepare)
        return await expire(self._expiring(), self._thread, going, anew=anew, tell=tell)

    async def drain(self) -> None:
        """Everything settled so far is in the database when this returns. Raises StoreError."""
        self._refuse_if_closed()
        try:
            await self._drain.finish()
        except StoreError:
            self._drain.wake()  # and goes on trying
            raise

    async def aclose(self) -> None:
        """Book what is pending, then let go of the files. What is still open belongs to nobody from then on."""
        if self._is_closed:
            return
        self._is_closed = True
        try:
            await self._journal.until_synced()
            await self._drain.finish()
        except StoreError as fault:
            _LOG.warning("%s. %d settlements stay in the journal; the next start books them", fault, self.pending)
        self._thread.shutdown()
        self._reader.shutdown()
        if self._syncer is not None:
            self._syncer.shutdown()
        self._let_go()
        self._journal.close()

    @abstractmethod
    def _book(self, entries: Sequence[Settled]) -> list[Settled]:
        """Those that were not in the books before. In the thread; StoreError where nothing was written."""

    @abstractmethod
    def _amend(self, request_id: str, change: Change) -> Amended | None:
        """Of what is in the database. In the thread; StoreError where nothing was written."""

    @abstractmethod
    def _expiring(self) -> Expiring: ...

    @abstractmethod
    def _prepare(self) -> None:
        """In the thread: what the database needs before its first use. Raises StoreError."""

    @abstractmethod
    def _settled_in_database(self, request_id: str) -> Receipt | None:
        """At once: asked only of a database in a file."""

    @abstractmethod
    def _look_up(self, request_id: str) -> Receipt | None:
        """In the database, or in any process's journal."""

    @abstractmethod
    def _let_go(self) -> None: ...

    def _closer(self, replica: str, now: datetime) -> Callable[[Sequence[OpenRequest]], Recovery]:
        def close(requests: Sequence[OpenRequest]) -> Recovery:
            booked = self._book(
                [
                    settled(recover(request.opening, request.later, now), request.opening.reserved_usd, replica)
                    for request in requests
                ]
            )
            costs = (entry.settlement.receipt.cost_usd for entry in booked)
            return Recovery(requests=len(booked), cost_usd=sum(costs, ZERO_USD))

        return close

    async def _in_batches(self, items: Sequence[_T], work: Callable[[Sequence[_T]], _R]) -> list[_R]:
        return [
            await asyncio.get_running_loop().run_in_executor(self._thread, work, items[start : start + _RECOVERY_BATCH])
            for start in range(0, len(items), _RECOVERY_BATCH)
        ]

    def _settled_before(self, settlement: Settlement) -> Receipt | None:
        """A receipt with figures of before; a remote database is not asked, and finds it out at booking."""
        if not self._is_remote:
            return self._settled_in_database(settlement.request_id)
        body = self._known.get(settlement.request_id)
        if body is None:
            return None
        same = settled(settlement, None, self.replica)
        if hash(same.body) != body:
            raise StoreError(f"request {settlement.request_id} is settled already, and differently; the first stands")
        return settlement.receipt

    def _remember(self, entry: Settled) -> None:
        if self._is_remote:
            self._known[entry.settlement.request_id] = hash(entry.body)
            if len(self._known) > _KNOWN:
                del self._known[next(iter(self._known))]

    def _refuse_if_closed(self) -> None:
        if self._is_closed:
            raise StoreError(f"the ledger {self._name} is closed")

    async def _make_room(self, most: int) -> None:
        """Wait for a database that is slow, never for one that fails; of one elsewhere, put aside what it leaves."""
        if self._is_remote:
            if self._journal.pending >= _FULL:
                self._journal.seal()
        else:
            while self._drain.fault is None and self._journal.pending >= _FULL:
                await self._drain.step()
        if most == _MOST_WAITING or not self._is_remote:
            self._refuse_beyond(most)

    def _refuse_beyond(self, most: int) -> None:
        if self._is_remote:
            if self._journal.sealed_bytes >= _MOST_ASIDE_BYTES:
                raise StoreError(f"{self._drain.fault}; {self.pending} settlements wait for it, as many as there may")
        elif self._drain.fault is not None and self._journal.pending >= most:
            raise StoreError(f"{self._drain.fault}; {self._journal.pending} settlements wait for it")
