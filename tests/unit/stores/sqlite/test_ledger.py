import asyncio
import gc
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from polyroute.errors import StoreError
from polyroute.stores import ledger as ledger_module
from polyroute.stores.journal.files import journal_paths, read_journal
from polyroute.stores.journal.lines import opening_line
from polyroute.stores.ledger import Durability
from polyroute.stores.sqlite.books import Books, journals_folder
from polyroute.stores.sqlite.ledger import Recovery, SqliteLedger, open_ledger
from polyroute.testing.stores import a_settlement, an_attempt_opening, an_opening
from polyroute.types.access import Caller

AT = datetime(2026, 3, 1, 13, tzinfo=UTC)


@asynccontextmanager
async def ledger_at(path: Path, durability: Durability = "process") -> AsyncIterator[SqliteLedger]:
    ledger = open_ledger(path, durability=durability)
    try:
        yield ledger
    finally:
        await ledger.aclose()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "books.db"


async def test_what_was_settled_is_there_after_reopening(path: Path) -> None:
    async with ledger_at(path) as ledger:
        await ledger.open(an_opening("r1"))
        await ledger.settle(a_settlement("r1"))
    async with ledger_at(path) as ledger:
        assert await ledger.receipt("r1") == a_settlement("r1").receipt


async def test_an_opening_is_on_disk_before_open_returns(path: Path) -> None:
    async with ledger_at(path) as ledger:
        await ledger.open(an_opening("r1"))
        with Books(path) as books:
            assert [receipt.request_id for receipt in books.open_requests()] == ["r1"]


async def test_a_settlement_outlives_the_process_before_settle_returns(path: Path) -> None:
    async with ledger_at(path) as ledger:
        await ledger.open(an_opening("r1"))
        await ledger.settle(a_settlement("r1"))
        assert ledger.pending == 1
        (journal,) = journal_paths(journals_folder(path))
        (entry,) = read_journal(journal).settled
        assert (entry.settlement, entry.reserved_usd) == (a_settlement("r1"), an_opening("r1").reserved_usd)


async def test_settlements_reach_the_file_in_batches(path: Path) -> None:
    async with ledger_at(path) as ledger:
        await ledger.settle(a_settlement("r0"))
        await ledger.drain()
        log = path.with_name(path.name + "-wal")
        before = log.stat().st_size
        for number in range(1, 101):
            await ledger.settle(a_settlement(f"r{number}"))
        await ledger.drain()
        assert ledger.pending == 0
        pages = (log.stat().st_size - before) / 2072
        assert pages < 250, "a hundred commits would write at least five pages each"


async def test_what_a_dead_process_settled_is_booked_exactly(path: Path) -> None:
    async with ledger_at(path) as dead:
        await dead.open(an_opening("r1"))
        await dead.open(an_opening("r2"))
        await dead.settle(a_settlement("r1"))
        (journal,) = journal_paths(journals_folder(path))
        kept = journal.read_bytes()
    left = journal.with_name("dead.jsonl")
    for content in (kept, kept):  # the second time, as if it died before the journal said that all is booked
        left.write_bytes(content)
        with Books(path) as books:
            assert {finding.request_id for finding in books.verify()} <= {"r2"}, "only what is open is in doubt"
        async with ledger_at(path) as ledger:
            await ledger.recover(AT)
            assert await ledger.receipt("r1") == a_settlement("r1").receipt
            receipt = await ledger.receipt("r2")
        assert receipt is not None
        assert receipt.state == "recovered"
        with Books(path) as books:
            assert books.verify() == []
            assert [entry.request.reserved_nanos for entry in books.entries()] == [2_000_000, 2_000_000]
        assert journal_paths(journals_folder(path)) == []


async def test_what_a_dead_process_left_open_is_booked_at_its_reservation(path: Path) -> None:
    async with ledger_at(path) as dead:
        await dead.open(an_opening("r1"))
        await dead.open_attempt(an_attempt_opening("r1", 1, worst_usd=Decimal("0.0000000001")))
        await dead.open_attempt(an_attempt_opening("r1", 2, worst_usd=None))
    async with ledger_at(path) as ledger:
        recovery = await ledger.recover(AT)
        assert (recovery.requests, recovery.cost_usd, len(recovery.dead)) == (1, Decimal("0.002000001"), 1)
        assert await ledger.recover(AT) == Recovery()
        receipt = await ledger.receipt("r1")
    assert receipt is not None
    assert receipt.state == "recovered"
    assert [attempt.status for attempt in receipt.attempts] == ["unknown"] * 3
    assert [attempt.cost_usd for attempt in receipt.attempts] == [Decimal("0.002"), Decimal("0.000000001"), None]
    assert not receipt.cost_complete
    with Books(path) as books:
        assert books.verify() == []


async def test_the_requests_of_a_living_process_are_left_to_it(path: Path) -> None:
    async with ledger_at(path) as living, ledger_at(path) as other:
        await living.open(an_opening("r1"))
        assert await other.recover(AT) == Recovery()
        with Books(path) as books:
            assert books.verify() == []
        await living.settle(a_settlement("r1"))
        assert await other.receipt("r1") == a_settlement("r1").receipt


async def test_what_is_left_open_is_a_finding_until_it_is_recovered(path: Path) -> None:
    async with ledger_at(path) as dead:
        await dead.open(an_opening("r1"))
    with Books(path) as books:
        assert [finding.kind for finding in books.verify()] == ["left_open"]


async def test_another_processs_lock_is_waited_for_behind_the_requests(path: Path) -> None:
    async with ledger_at(path) as ledger:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            await ledger.settle(a_settlement("r1"))
            draining = asyncio.ensure_future(ledger.drain())
            for _ in range(50):
                await asyncio.sleep(0)
            assert not draining.done()
            assert await ledger.receipt("r1") == a_settlement("r1").receipt
            other.execute("COMMIT")
        await draining
        assert ledger.pending == 0


async def test_two_ledgers_on_one_file_take_turns(path: Path) -> None:
    async with ledger_at(path) as one, ledger_at(path) as other:
        for turn in range(20):
            await asyncio.gather(
                *(
                    ledger.settle(a_settlement(f"{name}-{turn}-{number}"))
                    for name, ledger in (("one", one), ("other", other))
                    for number in range(5)
                )
            )
    with Books(path) as books:
        assert len(list(books.entries())) == 200
        assert books.verify() == []


async def test_what_a_full_disk_refuses_waits_in_the_journal(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with ledger_at(path) as ledger:
        await ledger.settle(a_settlement("r0"))
        await ledger.drain()
        connection = ledger._connection
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")  # SQLite's own disk-full
        for number in range(1, 200):
            await ledger.settle(a_settlement(f"r{number}"))
        with pytest.raises(StoreError, match="disk is full"):
            await ledger.drain()
        assert ledger.pending == 199
        assert await ledger.receipt("r7") == a_settlement("r7").receipt
        with closing(sqlite3.connect(path)) as file:
            assert file.execute("SELECT count(*) FROM receipts").fetchone() == (1,), "nothing half written"
        with Books(path) as books:
            assert len(books.recent(1000)) == 200
            assert books.verify() == []
        connection.execute("PRAGMA max_page_count = 1000000")
        await ledger.drain()
        assert ledger.pending == 0
    assert "works again" in caplog.text


async def test_what_was_pending_at_a_close_is_booked_by_the_next_start(path: Path) -> None:
    async with ledger_at(path) as ledger:
        ledger._connection.execute("PRAGMA query_only = ON")
        await ledger.settle(a_settlement("r1"))
    async with ledger_at(path) as ledger:
        assert await ledger.receipt("r1") == a_settlement("r1").receipt
        recovery = await ledger.recover(AT)
        assert (recovery.requests, len(recovery.dead)) == (0, 1)
        assert await ledger.receipt("r1") == a_settlement("r1").receipt
    assert journal_paths(journals_folder(path)) == []


async def test_a_ledger_that_fails_too_long_opens_nothing_new_then_settles_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, most in (("_FULL", 1), ("_MOST_WAITING", 2), ("_MOST_SETTLED", 3)):
        monkeypatch.setattr(ledger_module, name, most)
    async with ledger_at(path) as ledger:
        for name in ("r1", "r2", "r3"):
            await ledger.open(an_opening(name))
        ledger._connection.execute("PRAGMA query_only = ON")
        await ledger.settle(a_settlement("r1"))
        with pytest.raises(StoreError):
            await ledger.drain()
        await ledger.settle(a_settlement("r2"))
        with pytest.raises(StoreError, match="2 settlements wait"):
            await ledger.open(an_opening("r5"))
        with pytest.raises(StoreError, match="2 settlements wait"):
            await ledger.check()
        assert await ledger.receipt("r1") is not None
        await ledger.settle(a_settlement("r3"))
        with pytest.raises(StoreError, match="3 settlements wait"):
            await ledger.settle(a_settlement("r4"))
        ledger._connection.execute("PRAGMA query_only = OFF")
        await ledger.drain()
        await ledger.settle(a_settlement("r4"))


async def test_who_settles_faster_than_the_database_books_waits_for_it(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_module, "_FULL", 10)
    async with ledger_at(path) as ledger:
        for number in range(100):  # never suspends but to wait
            await ledger.open(an_opening(f"r{number}"))
            await ledger.settle(a_settlement(f"r{number}"))
            assert ledger.pending <= 10
    with Books(path) as books:
        assert len(list(books.entries())) == 100


async def test_a_settlement_that_the_books_contradict_leaves_the_rest_of_its_batch_alone(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with ledger_at(path) as one, ledger_at(path) as other:
        await one.open(an_opening("r1"))
        await other.open(an_opening("r1"))
        await one.settle(a_settlement("r1"))
        await other.settle(a_settlement("r1", costs=(Decimal(1),)))
        await other.settle(a_settlement("r2"))
        await one.drain()
        await other.drain()
        assert other.pending == 0
        assert await other.receipt("r1") == a_settlement("r1").receipt
        assert await other.receipt("r2") == a_settlement("r2").receipt
    assert "r1 is settled already, and differently" in caplog.text
    with Books(path) as books:
        assert books.verify() == []


async def test_settling_again_differently_is_refused_also_once_it_is_in_the_file(path: Path) -> None:
    async with ledger_at(path) as ledger:
        await ledger.open(an_opening("r1"))
        await ledger.settle(a_settlement("r1"))
        await ledger.drain()
        await ledger.settle(a_settlement("r1"))
        assert ledger.pending == 0
        with pytest.raises(StoreError, match="differently"):
            await ledger.settle(a_settlement("r1", costs=(Decimal(1),)))


async def test_names_that_no_encoding_can_carry_fail_alone(path: Path) -> None:
    async with ledger_at(path) as ledger:
        bad = an_opening("r1", caller=Caller(user="\ud800"))
        outcomes = await asyncio.gather(ledger.open(bad), ledger.open(an_opening("r2")), return_exceptions=True)
        assert isinstance(outcomes[0], StoreError)
        assert outcomes[1] is None


async def test_sums_too_large_for_the_file_fail_alone(path: Path) -> None:
    async with ledger_at(path) as ledger:
        outcomes = await asyncio.gather(
            ledger.settle(a_settlement("r1", costs=(Decimal(10) ** 11,))),
            ledger.settle(a_settlement("r2")),
            return_exceptions=True,
        )
        assert isinstance(outcomes[0], StoreError)
        assert outcomes[1] is None
    with Books(path) as books:
        assert books.verify() == []


async def test_closing_commits_what_is_queued(path: Path) -> None:
    ledger = open_ledger(path)
    settling = asyncio.ensure_future(ledger.settle(a_settlement("r1")))
    await asyncio.sleep(0)
    await ledger.aclose()
    await settling
    with pytest.raises(StoreError, match="closed"):
        await ledger.open(an_opening("r2"))
    with Books(path) as books:
        assert books.receipt("r1") is not None


def test_a_ledger_outlives_the_loop_it_was_used_in(path: Path) -> None:
    async def settle_one(name: str) -> None:
        await ledger.settle(a_settlement(name))

    async def leave_early() -> None:
        settling = asyncio.ensure_future(settle_one("r0"))
        await asyncio.sleep(0)
        settling.cancel()

    ledger = open_ledger(path)
    asyncio.run(leave_early())
    asyncio.run(settle_one("r1"))
    asyncio.run(settle_one("r2"))
    asyncio.run(ledger.aclose())
    with Books(path) as books:
        assert books.receipt("r1") is not None
        assert books.receipt("r2") is not None


async def test_the_log_is_kept_short_by_checkpoints(path: Path) -> None:
    ledger = open_ledger(path, log_limit_bytes=64 << 10)
    for number in range(600):
        await ledger.settle(a_settlement(f"r{number:04}"))
    await ledger.drain()
    assert path.stat().st_size > 64 << 10, "pages have moved to the database"
    await ledger.aclose()
    with Books(path) as books:
        assert books.verify() == []


@pytest.mark.parametrize(
    ("make", "says"),
    [
        pytest.param(lambda path: path.write_bytes(b"not a database at all" * 99), "not a SQLite", id="another file"),
        pytest.param(lambda path: path.mkdir(), "cannot be opened", id="a folder"),
    ],
)
def test_what_is_no_ledger_is_an_error_with_the_way_out(path: Path, make: object, says: str) -> None:
    assert callable(make)
    make(path)
    with pytest.raises(StoreError, match=says):
        open_ledger(path)


def test_a_missing_folder_is_an_error_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="folder exists"):
        open_ledger(tmp_path / "nowhere" / "books.db")


def test_books_of_a_newer_version_are_left_alone(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="newer Polyroute"):
        open_ledger(path)


async def test_recovery_costs_few_commits_and_nothing_for_the_garbage_collector(path: Path) -> None:
    """What 100,000 open requests take is a figure (docs/reference/reliability.md); what it is made of is the law."""
    async with ledger_at(path):
        journals = journals_folder(path)
    (journals / "dead.jsonl").write_bytes(b"".join(opening_line(an_opening(f"r{n}")) for n in range(5000)))
    read = read_journal(journals / "dead.jsonl")
    assert not any(gc.is_tracked(value) for request in read.requests for value in (request, request.opening))
    async with ledger_at(path) as ledger:
        statements: list[str] = []
        ledger._connection.set_trace_callback(statements.append)
        assert (await ledger.recover(AT)).requests == 5000
        ledger._connection.set_trace_callback(None)
    kinds = Counter(statement.split(maxsplit=1)[0] for statement in statements)
    assert kinds["COMMIT"] == 3, "2,000 requests each"
    assert kinds["INSERT"] < 3 * 5000 / 20, "some twenty rows in each"
