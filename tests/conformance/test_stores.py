"""Every built-in ledger keeps every promise of the port."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import pytest

from polyroute.ports import Ledger
from polyroute.stores.ledger import Durability
from polyroute.stores.memory import MemoryLedger
from polyroute.stores.sqlite.ledger import open_ledger
from polyroute.testing.stores import check_ledger


async def test_the_memory_ledger_conforms() -> None:
    @asynccontextmanager
    async def make() -> AsyncIterator[Ledger]:
        yield MemoryLedger()

    await check_ledger(make)


@pytest.mark.parametrize("durability", ["process", "power"])
async def test_the_sqlite_ledger_conforms(durability: Durability, tmp_path: Path) -> None:
    numbers = count()

    @asynccontextmanager
    async def make() -> AsyncIterator[Ledger]:
        ledger = open_ledger(tmp_path / f"{next(numbers)}.db", durability=durability)
        try:
            yield ledger
        finally:
            await ledger.aclose()

    await check_ledger(make)
