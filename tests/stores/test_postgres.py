"""Every promise of the ledger and of the books, kept by PostgreSQL as by SQLite."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from pathlib import Path

import psycopg
import pytest
from msgspec.structs import replace
from tests.rig.servers import Postgres

from polyroute.errors import StoreError
from polyroute.ports import Ledger
from polyroute.stores.export import focus_lines, json_line
from polyroute.stores.hits import hits_of
from polyroute.stores.ledger import Durability, JournaledLedger
from polyroute.stores.postgres.store import PostgresStore
from polyroute.stores.sqlite.store import SqliteStore
from polyroute.stores.store import Store
from polyroute.testing.stores import a_settlement, an_attempt_opening, an_opening, check_ledger
from polyroute.types.access import Caller

AT = datetime(2026, 3, 1, 13, tzinfo=UTC)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@asynccontextmanager
async def ledger_in(store: Store, durability: Durability = "process") -> AsyncIterator[JournaledLedger]:
    ledger = store.open_ledger(durability)
    try:
        yield ledger
    finally:
        await ledger.aclose()


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "sqlite":
        return SqliteStore(tmp_path / "books.db")
    return PostgresStore(request.getfixturevalue("database"), tmp_path)


@pytest.mark.parametrize("durability", ["process", "power"])
async def test_the_postgres_ledger_conforms(
    durability: Durability, postgres_server: Postgres, database: str, tmp_path: Path
) -> None:
    numbers = count()

    @asynccontextmanager
    async def make() -> AsyncIterator[Ledger]:
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        name = database.partition("?")[0].rpartition("/")[2]
        if postgres_server.run("SELECT to_regclass('requests')", name):
            postgres_server.run("TRUNCATE requests, attempts, receipts", name)
        async with ledger_in(PostgresStore(database, folder), durability) as ledger:
            yield ledger

    await check_ledger(make)


async def test_books_read_the_same_everywhere(store: Store) -> None:
    async with ledger_in(store) as ledger:
        await ledger.recover(AT)
        ann = Caller(user="ann", team="platform", key_id="ci")
        for number, costs in enumerate([(Decimal("0.001"), None, Decimal("0.002")), (Decimal("0.004"),)], 1):
            settlement = a_settlement(f"r{number}", costs=costs, caller=ann, time=NOON.replace(minute=number))
            await ledger.settle(settlement)
        await ledger.drain()
        await ledger.settle(a_settlement("r3", time=NOON.replace(minute=3)))  # in the journal still
        await ledger.open(an_opening("r4"))
        with store.open_books() as books:
            assert [receipt.request_id for receipt in books.recent()] == ["r3", "r2", "r1"]
            assert [receipt.request_id for receipt in books.recent(1, before=NOON.replace(minute=3))] == ["r2"]
            assert [receipt.request_id for receipt in books.open_requests()] == ["r4"]
            assert books.receipt("r1") == a_settlement("r1", costs=(Decimal("0.001"), None, Decimal("0.002")),
                                                       caller=ann, time=NOON.replace(minute=1)).receipt  # fmt: skip
            assert {(spent.user, spent.cost_usd) for spent in books.spent_since(NOON)} == {
                ("ann", Decimal("0.007")), ("anonymous", Decimal("0.000750001")),
            }  # fmt: skip
            assert {replica for replica, _ in books.spent_by_replica(NOON)} == {ledger.replica}
            (model,), (route,) = books.by_model(), books.by_route()
            assert (model.calls, model.unpriced, model.input_tokens) == (5, 1, 500)
            assert (route.calls, route.unpriced, route.output_tokens) == (3, 1, 250)
            entries = list(books.entries())
            assert [entry.request.id for entry in entries] == ["r1", "r2", "r3"]
            assert [len(entry.attempts) for entry in entries] == [3, 1, 1]
            assert len(list(books.entries(NOON.replace(minute=2), NOON.replace(minute=3)))) == 1
            assert b'"cost_usd":"0.003"' in json_line(entries[0])
            assert sum(piece.count("\n") for piece in focus_lines(entries)) == 5
            assert books.verify() == []


async def test_what_caches_did_is_added_up_by_tenant_route_and_outcome(store: Store) -> None:
    """Of requests in the database, and of those that are in a journal still."""
    async with ledger_in(store) as ledger:
        for number, cache in enumerate(("miss", "exact", "exact", "coalesced")):
            opening, settlement = an_opening(f"req_{number}"), a_settlement(f"req_{number}")
            await ledger.open(opening)
            await ledger.settle(replace(settlement, receipt=replace(settlement.receipt, cache=cache)))
            if number == 2:
                await ledger.drain()
        with store.open_books() as books:
            (route,) = hits_of(books.caches())
            assert books.caches(datetime(2100, 1, 1, tzinfo=UTC)) == []
    assert (route.requests, route.hit_ratio) == (4, 0.75)
    assert {name: tier.hits for name, tier in route.tiers.items()} == {"exact": 2, "coalesced": 1}


async def test_what_a_dead_process_left_is_recovered_once(store: Store) -> None:
    dead = store.open_ledger("process")
    await dead.open(an_opening("r1"))
    await dead.open_attempt(an_attempt_opening("r1", 1))
    await dead.settle(a_settlement("r2"))
    dead._journal.close()  # as the operating system does for a killed process
    async with ledger_in(store) as ledger:
        recovery = await ledger.recover(AT)
        assert (recovery.requests, recovery.cost_usd) == (1, Decimal("0.004"))
        assert (await ledger.recover(AT)).requests == 0
        receipt = await ledger.receipt("r1")
        assert receipt is not None
        assert receipt.state == "recovered"
        with store.open_books() as books:
            assert {replica for replica, _ in books.spent_by_replica(NOON)} == {dead.replica}
            assert books.verify() == []


async def test_what_the_books_contradict_or_cannot_hold_leaves_the_rest_alone(
    database: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = PostgresStore(database, tmp_path)
    async with ledger_in(store) as one, ledger_in(store) as other:
        await one.settle(a_settlement("r1"))
        await one.drain()
        odd = a_settlement("r2")
        odd = replace(odd, receipt=replace(odd.receipt, client_request_id="a\x00b"))
        for settlement in (a_settlement("r1", costs=(Decimal(1),)), odd, a_settlement("r3")):
            await other.settle(settlement)
        with caplog.at_level(logging.ERROR):
            await other.drain()
        assert "r1 is settled already, and differently" in caplog.text
        assert await other.receipt("r1") == a_settlement("r1").receipt
        assert await other.receipt("r2") == odd.receipt
        with store.open_books() as books:
            assert [entry.request.id for entry in books.entries()] == ["r1", "r2", "r3"]
            assert books.verify() == []


async def test_findings_are_told_of_books_that_somebody_changed(database: str, tmp_path: Path) -> None:
    store = PostgresStore(database, tmp_path)
    async with ledger_in(store) as ledger:
        for number in range(3):
            await ledger.settle(a_settlement(f"r{number}"))
    with closing(psycopg.connect(database, autocommit=True)) as connection:
        connection.execute("UPDATE requests SET cost_nanos = 7 WHERE id = 'r0'")
        connection.execute("DELETE FROM receipts WHERE request_id = 'r1'")
        connection.execute("DELETE FROM requests WHERE id = 'r2'")
    with store.open_books() as books:
        kinds = {(finding.request_id, finding.kind) for finding in books.verify()}
    assert {("r0", "sum_differs"), ("r1", "receipt_missing"), ("r2", "stray_row")} <= kinds


def test_the_schema_leads_both_ways(store: Store) -> None:
    assert store.version() == 0
    store.migrate()
    assert store.version() == store.newest
    for version in (*range(store.newest - 1, -1, -1), *range(1, store.newest + 1)):
        store.migrate(version)
        assert store.version() == version
    with pytest.raises(StoreError, match="no version 99"):
        store.migrate(99)


async def test_books_without_tables_say_what_to_do(database: str, tmp_path: Path) -> None:
    store = PostgresStore(database, tmp_path)
    with store.open_books() as books, pytest.raises(StoreError, match="polyroute migrate"):
        books.recent()


@pytest.mark.parametrize("url", ["postgresql://nobody:hunter2@127.0.0.1:1/none", "postgresql:///?nonsense=1"])
def test_a_database_that_cannot_be_reached_is_told_without_the_password(url: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError) as told:
        PostgresStore(url, tmp_path).version()
    assert "hunter2" not in told.value.message
