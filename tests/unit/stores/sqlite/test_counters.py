"""The file that workers count in: whose it is, and what becomes of those who wait for it."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from polyroute.errors import StoreError
from polyroute.stores.sqlite.counters import SqliteCounters, custody
from polyroute.types.counters import BudgetAsk, BudgetLeave, Forgotten, RateAsk, Sum

TODAY = "daily:0"
TALLY = f"{TODAY}\x1fteam\x1fblue"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "counters"


@pytest.fixture
async def counters(path: Path) -> AsyncIterator[SqliteCounters]:
    with custody(path):
        made = await joined(path, "one")
        await made.seed([TODAY], [])
        yield made
        made.close()


async def joined(path: Path, name: str) -> SqliteCounters:
    made = SqliteCounters(path, name)
    await made.connect()
    generation, _ = await made.generation()
    await made.join(generation, [], [])
    return made


async def hold(counters: SqliteCounters, amount: int, limit: int = 100) -> BudgetLeave | float | None:
    return counters.held(await counters.hold(amount, [BudgetAsk(TALLY, limit, TODAY)]))


async def test_what_a_turn_of_the_loop_asks_is_done_in_its_order(counters: SqliteCounters) -> None:
    asks = [BudgetAsk(TALLY, 100, TODAY)]
    sent = [counters.hold(60, asks), counters.settle([TALLY], 60, 10), counters.hold(90, asks), counters.hold(1, asks)]
    replies = [await one for one in sent]
    assert replies[1] == 1
    leaves = [counters.held(replies[at]) for at in (0, 2, 3)]
    assert [leave.short for leave in leaves if isinstance(leave, BudgetLeave)] == [None, None, 0]
    assert await counters.every() == {TALLY: Sum(settled=10, held=90)}


async def test_a_lock_that_others_have_is_waited_for_while_the_loop_goes_on(
    counters: SqliteCounters, path: Path
) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        asking = asyncio.create_task(hold(counters, 10))
        for _ in range(20):
            await asyncio.sleep(0)
        assert not asking.done()
        other.execute("COMMIT")
        leave = await asking
    assert isinstance(leave, BudgetLeave)
    assert leave.short is None


async def test_a_lock_that_is_never_let_go_is_a_fault_soon(counters: SqliteCounters, path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        async with asyncio.timeout(2):
            with pytest.raises(StoreError, match="locked"):
                await hold(counters, 10)
    with pytest.raises(StoreError, match="away"):
        await hold(counters, 10)
    await counters.connect()
    assert isinstance(await hold(counters, 10), BudgetLeave)


async def test_a_file_that_was_taken_away_is_found_out(counters: SqliteCounters, path: Path) -> None:
    path.unlink()
    with pytest.raises(StoreError):
        await counters.beat([], [])
    await counters.connect()
    with pytest.raises(Forgotten):
        await counters.enter([RateAsk("a", 1, 1)])


async def test_whoever_begins_alone_begins_with_nothing(path: Path) -> None:
    with custody(path):
        one = await joined(path, "one")
        await one.seed([TODAY], [])
        assert isinstance(await hold(one, 10), BudgetLeave)
        with custody(path):  # another gateway on the same books: they count together
            assert await one.every() == {TALLY: Sum(settled=0, held=10)}
        assert await one.every() == {TALLY: Sum(settled=0, held=10)}
        one.close()
    assert not path.exists()
    path.write_bytes(b"left by one that was killed")
    with custody(path):
        one = await joined(path, "one")
        assert await one.every() == {}
        assert await hold(one, 10) is None, "the books were not read for that window"
        one.close()


async def test_nobody_waits_for_others_where_there_were_none(path: Path) -> None:
    with custody(path):
        one = await joined(path, "one")
        await one.seed([TODAY], [])
        assert isinstance(await hold(one, 1), BudgetLeave)
        path.unlink()
        with pytest.raises(StoreError):
            await one.beat([], [])
        await one.connect()
        generation, _ = await one.generation()
        assert generation == ""
        await one.join(generation, [], [])
        await one.seed([TODAY], [])
        wait_s = await hold(one, 1)
        assert isinstance(wait_s, float), "but where all was lost, others may have to tell what they hold"
        assert 0 < wait_s <= 1
        one.close()
