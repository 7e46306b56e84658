"""What is past its retention goes, in either database, and nothing else changes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from polyroute.stores.books import Books
from polyroute.stores.expiry import Going
from polyroute.stores.ledger import JournaledLedger
from polyroute.stores.postgres.store import PostgresStore
from polyroute.stores.sqlite.store import SqliteStore
from polyroute.stores.store import Store
from polyroute.stores.verify import check_entry
from polyroute.testing.stores import a_settlement
from polyroute.wiring.stores import open_records

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
COUNT = 700
MIDDLE = NOON + timedelta(minutes=COUNT // 2)


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "sqlite":
        return SqliteStore(tmp_path / "books.db")
    return PostgresStore(request.getfixturevalue("database"), tmp_path)


@asynccontextmanager
async def filled(store: Store) -> AsyncIterator[JournaledLedger]:
    """A request each minute from noon on."""
    ledger = store.open_ledger("process")
    try:
        for number in range(COUNT):
            settlement = a_settlement(f"r{number:04}", time=NOON + timedelta(minutes=number))
            await ledger.settle(settlement)
        await ledger.drain()
        yield ledger
    finally:
        await ledger.aclose()


def sums(books: Books) -> object:
    return books.usage(), books.by_model(), books.by_route(), books.spent_since(NOON), sorted(map(str, books.billed()))


async def test_receipts_go_and_no_sum_changes(store: Store) -> None:
    async with filled(store) as ledger:
        with store.open_books() as books:
            before = sums(books)
            assert books.past(Going(kind="receipts", before=MIDDLE)) == COUNT // 2
        told: list[int] = []
        assert await ledger.expire(Going(kind="receipts", before=MIDDLE), tell=told.append) == COUNT // 2
        assert len(told) > 1, "by batches"
        assert await ledger.receipt("r0000") is None
        assert await ledger.receipt(f"r{COUNT // 2:04}") is not None
        with store.open_books() as books:
            assert sums(books) == before
            assert books.verify() == [], "what is past its time is not missing"
            assert len(list(books.entries())) == COUNT
            assert books.past(Going(kind="receipts", before=MIDDLE)) == 0


async def test_ledger_rows_go_where_somebody_said_so(store: Store) -> None:
    async with filled(store) as ledger:
        assert await ledger.expire(Going(kind="ledger", before=MIDDLE)) == COUNT // 2
        with store.open_books() as books:
            assert min(entry.request.opened_us for entry in books.entries()) == int(MIDDLE.timestamp()) * 1_000_000
            assert sum(line.calls for line in books.usage()) == COUNT // 2
            assert books.verify() == []


async def test_the_mark_never_goes_back_and_what_lies_after_it_is_missing_where_it_is_lost(store: Store) -> None:
    async with filled(store) as ledger:
        await ledger.expire(Going(kind="receipts", before=NOON + timedelta(minutes=10)))
        await ledger.expire(Going(kind="receipts", before=NOON + timedelta(minutes=5)), anew=True)
        with store.open_books() as books:
            assert books.verify() == []
            entry = next(entry for entry in books.entries() if entry.request.id == "r0010")
        lost = replace(entry, receipt=None)
        (finding,) = check_entry(lost, receipts_from_us=entry.request.opened_us)
        assert finding.kind == "receipt_missing"


async def test_one_process_at_a_time_deletes(store: Store) -> None:
    async with filled(store) as ledger:
        other = store.open_ledger("process")
        entered = asyncio.Event()
        try:
            going = Going(kind="receipts", before=MIDDLE)
            first = asyncio.create_task(ledger.expire(going, tell=lambda _: entered.set()))
            await entered.wait()
            assert await other.expire(going) is None
            assert await first == COUNT // 2
            assert await other.expire(going) == 0, "its turn now, and nothing is left"
        finally:
            await other.aclose()


async def test_bookings_have_their_turn_between_batches(store: Store) -> None:
    async with filled(store) as ledger:
        going = asyncio.create_task(ledger.expire(Going(kind="receipts", before=MIDDLE)))
        late = a_settlement("late", time=MIDDLE + timedelta(days=1))
        await ledger.settle(late)
        await ledger.drain()
        assert not going.done()
        await going
        assert await ledger.receipt("late") == late.receipt


async def test_what_was_booked_behind_the_mark_goes_where_one_looks_anew(store: Store) -> None:
    async with filled(store) as ledger:
        going = Going(kind="receipts", before=MIDDLE)
        await ledger.expire(going)
        await ledger.settle(replace(a_settlement("old"), settled_at=MIDDLE))
        await ledger.drain()
        assert await ledger.expire(going) == 0
        assert await ledger.expire(going, anew=True) == 1


async def test_notes_go_at_the_end_that_each_has(store: Store) -> None:
    async with filled(store) as ledger:
        records = open_records(store)
        try:
            bodies = {str(number): b"body" for number in range(250)}
            records.keep_all("short", bodies, now=NOON, until=NOON + timedelta(hours=1))
            records.keep_all("long", {"x": b"body"}, now=NOON, until=NOON + timedelta(hours=9))
            assert await ledger.expire(Going(kind="notes", before=NOON + timedelta(hours=2))) == 250
            assert await ledger.expire(Going(kind="notes", before=NOON + timedelta(hours=2))) == 0
            assert records.look("long", ["x"], now=NOON) == {"x": b"body"}
        finally:
            records.close()


async def test_a_file_gives_its_room_back(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "books.db")
    async with filled(store) as ledger:
        records = open_records(store)
        try:
            records.keep_all("s", {str(n): bytes(40_000) for n in range(100)}, now=NOON, until=NOON)
            pages = _pages(store)
            await ledger.expire(Going(kind="notes", before=NOON))
            assert _pages(store) < pages / 2
        finally:
            records.close()


def _pages(store: SqliteStore) -> int:
    with store.open_books() as books:
        (pages,) = books._connection.execute("PRAGMA page_count").fetchone()  # type: ignore[attr-defined] # SQLite's own
    return int(pages)
