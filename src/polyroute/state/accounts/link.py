"""The life of the connection to shared counters: made, kept, lost, made again, and all told anew each time.

What a replica says of itself is absolute, so after a loss of any kind one `join` puts everything right: a lost reply, a
lost connection, a lease that ran out, a server that forgot everything.
"""

import asyncio
import logging
from collections.abc import Callable

from polyroute.errors import StoreError
from polyroute.ports import SharedCounters
from polyroute.types.counters import Counted, Forgotten, Heard, Standing

BEAT_S = 0.25  # soon enough to tell a server that forgot everything what is held, within its grace
_TRIES = 5

_LOG = logging.getLogger(__name__)


class Link:
    def __init__(
        self,
        counters: SharedCounters,
        *,
        standings: Callable[[], list[Standing]],
        counted: Callable[[int, bool], list[Counted]],
        beat: Callable[[], tuple[list[str], list[str]]],
        heard: Callable[[Heard], None],
        turned: Callable[[bool], None],
    ) -> None:
        """`counted`: what to tell of rates, at the server's time, and whether all of it; `beat`: which budgets and
        rates to ask about, and `heard` how they stand; `turned`: away or back."""
        self._counters = counters
        self._standings = standings
        self._counted = counted
        self._beat = beat
        self._heard = heard
        self._turned = turned
        self._joining = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._wants_join = False
        self.is_away = True
        self.joins = 0  # counts what was told anew, at its sending

    async def start(self) -> None:
        """Tries once; then goes on by itself until `aclose`."""
        self._turned(True)
        try:
            await self._connect()
        except StoreError as fault:
            _LOG.warning("%s", fault)
        self._task = asyncio.create_task(self._run(), name="polyroute-shared")

    async def aclose(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._counters.close()

    def lost(self, fault: StoreError) -> None:
        """A call failed: nobody waits for another until the server is back."""
        self._counters.close()
        if not self.is_away:
            self.is_away = True
            _LOG.warning("%s", fault)
            self._turned(True)

    def join_soon(self) -> None:
        self._wants_join = True

    async def join(self, seen: int) -> None:
        """Tell everything anew, where nobody has since `seen`. Raises StoreError."""
        async with self._joining:
            if self.joins == seen:
                await self._join()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(BEAT_S)
            try:
                if self.is_away:
                    await self._connect()
                else:
                    await self._live_on()
            except StoreError as fault:
                self.lost(fault)

    async def _connect(self) -> None:
        await self._counters.connect()
        await self.join(self.joins)
        self.is_away = False
        self._turned(False)
        _LOG.info("the shared counters are in use")

    async def _live_on(self) -> None:
        seen, (tallies, subjects) = self.joins, self._beat()
        if self._wants_join:
            self._wants_join = False
            await self.join(seen)
            return
        try:
            self._heard(await self._counters.beat(tallies, subjects))
        except Forgotten:
            await self.join(seen)

    async def _join(self) -> None:
        for _ in range(_TRIES):
            generation, now_ms = await self._counters.generation()
            tells_all = not generation or generation != self._counters.known_generation
            counted = self._counted(now_ms, tells_all)
            self.joins += 1
            try:
                await self._counters.join(generation, self._standings(), counted)
                return
            except Forgotten:
                continue
        raise StoreError("the shared store forgets what it is told")
