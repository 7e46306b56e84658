"""From the journal to the books, behind the requests: a batch at a time, in a thread, in the order of settling.

Nothing runs while nothing is pending. A batch that the store refuses as a whole stays in the journal and in memory,
and is tried again, later and later. A thread rather than the loop: it costs a little more CPU (measured:
docs/decisions/0004), and the loop never stands still for a batch, another process's lock or a checkpoint.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from concurrent.futures import Executor

from polyroute.errors import StoreError
from polyroute.stores.journal.journal import Journal
from polyroute.stores.journal.lines import Settled

_LOG = logging.getLogger(__name__)
_PAUSE_S = 0.2  # a batch has fixed costs, as much as ten more settlements in it
_BATCH = 256  # and is begun at once when so many wait
LONGEST_PAUSE_S = 5.0  # between tries


class Drain:
    """Used from one event loop at a time."""

    def __init__(
        self,
        journal: Journal,
        executor: Executor,
        book: Callable[[list[Settled]], object],
        *,
        longest_pause_s: float = LONGEST_PAUSE_S,
    ) -> None:
        """`book` runs in the executor; it raises StoreError where nothing of a batch was written."""
        self._journal = journal
        self._executor = executor
        self._book = book
        self._longest_pause_s = longest_pause_s
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._full = asyncio.Event()
        self._ending = asyncio.Event()
        self._stepped = asyncio.Event()
        self._pause_s = _PAUSE_S
        self.fault: StoreError | None = None  # of the last batch

    def wake(self) -> None:
        """Something was settled."""
        loop = asyncio.get_running_loop()
        if self._task is None or loop is not self._loop or self._task.done():  # a loop's tasks die with it
            self._loop = loop
            self._full, self._ending, self._stepped = asyncio.Event(), asyncio.Event(), asyncio.Event()
            self._pause_s = _PAUSE_S
            self._task = loop.create_task(self._run(), name="polyroute-drain")
        elif self._journal.pending >= _BATCH:
            self._full.set()

    async def finish(self) -> None:
        """Everything into the books. Raises StoreError where the store fails; the rest is left in the journal."""
        if self._has_work():
            self.wake()
        if self._task is not None and not self._task.done():
            self._ending.set()
            self._full.set()
            await asyncio.wait([self._task])
        if self.fault is not None:
            raise self.fault

    async def step(self) -> None:
        """Until a batch is booked or refused."""
        self.wake()
        self._full.set()
        await self._stepped.wait()

    async def _run(self) -> None:
        while self._has_work():
            try:
                await self._pause()
                await self._take()
            except StoreError as fault:
                self._fail(fault)
            else:
                self._succeed()
            finally:
                self._stepped.set()
                self._stepped = asyncio.Event()
            if self.fault is not None and self._ending.is_set():
                return

    def _has_work(self) -> bool:
        return bool(self._journal.pending or self._journal.sealed)

    async def _take(self) -> None:
        """Book a batch; of what was put aside, a whole file."""
        loop, journal = asyncio.get_running_loop(), self._journal
        if journal.sealed:
            entries = await loop.run_in_executor(self._executor, journal.sealed[0].read)
            for start in range(0, len(entries), _BATCH):
                await loop.run_in_executor(self._executor, self._book, entries[start : start + _BATCH])
            journal.drop_oldest_sealed()
        else:
            batch = journal.oldest_settled(_BATCH)
            await loop.run_in_executor(self._executor, self._book, batch)
            journal.booked(batch)

    async def _pause(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._pause_s):
                await (self._ending if self.fault else self._full).wait()

    def _fail(self, fault: StoreError) -> None:
        if self.fault is None:
            _LOG.warning("%s. Settlements wait in the journal; this is tried again until it works", fault)
        self.fault = fault
        self._pause_s = min(self._pause_s * 2, self._longest_pause_s)

    def _succeed(self) -> None:
        if self.fault is not None:
            _LOG.warning(
                "the ledger works again; %d settlements wait for it", self._journal.pending + self._journal.sealed_count
            )
        self.fault = None
        self._pause_s = _PAUSE_S
        if self._journal.sealed:
            self._full.set()
        elif self._journal.pending < _BATCH and not self._ending.is_set():
            self._full.clear()
