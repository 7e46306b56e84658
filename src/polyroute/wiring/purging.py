"""Takes over what was asked to go from caches, in whichever process or by whichever command that was."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from polyroute.errors import StoreError
from polyroute.ports import Records
from polyroute.state.purges import Purges
from polyroute.types.caching import Purge

_log = logging.getLogger(__name__)


class PurgeWatch:
    """One per process: a changed document begins with what was seen before it."""

    def __init__(self, records: Records, purges: Purges) -> None:
        self._records = records
        self._purges = purges
        self._generation = -1
        self._seen: int | None = None  # None: not read yet, and nothing is kept from before

    async def refresh(self, purge: Callable[[Purge], Awaitable[object]]) -> None:
        try:
            asked = await asyncio.to_thread(self._asked)
        except StoreError as fault:
            _log.debug("caches stay as they are: %s", fault)
            return
        for what in asked:
            await purge(what)

    def _asked(self) -> tuple[Purge, ...]:
        generation = self._records.generation()
        if generation == self._generation:
            return ()
        asked: tuple[Purge, ...] = ()
        if self._seen is None:
            self._seen = self._purges.last()
        else:
            self._seen, asked = self._purges.since(self._seen)
        self._generation = generation
        return asked
