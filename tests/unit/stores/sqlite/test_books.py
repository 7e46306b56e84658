import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from polyroute.errors import StoreError
from polyroute.stores.export import focus_lines, json_line
from polyroute.stores.sqlite.books import Books
from polyroute.stores.sqlite.ledger import open_ledger
from polyroute.testing.stores import a_settlement, an_opening
from polyroute.types.access import Caller
from polyroute.types.receipt import Spent

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ANN = Caller(user="ann", team="platform", key_id="ci")


@pytest.fixture(params=[0, 2, 3], ids=["all in a journal", "some in a journal", "all in the file"])
async def path(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Path]:
    """Three settled requests of two callers an hour apart, and one in flight."""
    ledger = open_ledger(tmp_path / "books.db")
    settlements = (
        a_settlement("r1", caller=ANN, costs=(Decimal("0.001"), Decimal("0.002"))),
        a_settlement("r2", caller=ANN, costs=(None,), time=NOON + timedelta(hours=1)),
        a_settlement("r3", costs=(Decimal("0.004"),), time=NOON + timedelta(hours=2)),
    )
    for settlement in settlements[: request.param]:
        await ledger.settle(settlement)
    await ledger.drain()
    for settlement in settlements[request.param :]:
        await ledger.settle(settlement)
    await ledger.open(an_opening("r4"))
    assert ledger.pending == 3 - request.param
    yield tmp_path / "books.db"
    await ledger.aclose()


in_the_file = pytest.mark.parametrize("path", [3], indirect=True, ids=["all in the file"])


def test_a_receipt_is_found_wherever_it_is(path: Path) -> None:
    with Books(path) as books:
        for name, state in (("r1", "settled"), ("r3", "settled"), ("r4", "open")):
            receipt = books.receipt(name)
            assert receipt is not None
            assert (receipt.request_id, receipt.state) == (name, state)
        assert books.receipt("r") is None
        assert [receipt.request_id for receipt in books.open_requests()] == ["r4"]
        assert books.verify() == []


def test_recent_requests_come_newest_first_page_by_page(path: Path) -> None:
    with Books(path) as books:
        newest = books.recent(2)
        assert [receipt.request_id for receipt in newest] == ["r3", "r2"]
        assert [receipt.request_id for receipt in books.recent(2, before=newest[-1].time)] == ["r1"]


def test_spending_is_summed_since_a_moment_inclusive(path: Path) -> None:
    with Books(path) as books:
        mine = Spent(
            tenant="default",
            team="platform",
            user="ann",
            key_id="ci",
            model="general-model",
            deployment="general-model@openai",
            provider="openai",
            cost_usd=Decimal("0.003"),
        )
        assert mine in books.spent_since(NOON)
        assert [line.cost_usd for line in books.spent_since(NOON + timedelta(microseconds=1))] == [Decimal("0.004")]


def test_figures_per_model_count_attempts(path: Path) -> None:
    with Books(path) as books:
        (line,) = books.by_model()
    assert (line.name, line.calls, line.errors, line.unpriced) == ("general-model", 4, 1, 1)
    assert (line.input_tokens, line.output_tokens) == (400, 200)
    assert (line.cost_usd, line.saved_usd) == (Decimal("0.007"), Decimal("0.007"))
    assert (line.p50_ms, line.p95_ms) == (12.5, 12.5)


def test_figures_per_route_count_requests(path: Path) -> None:
    with Books(path) as books:
        (line,) = books.by_route()
        assert books.by_route(NOON + timedelta(days=1)) == []
    assert (line.name, line.calls, line.errors, line.unpriced) == ("support", 3, 0, 1)
    assert line.cost_usd == Decimal("0.007")


def test_an_exported_line_holds_the_request_and_its_attempts(path: Path) -> None:
    with Books(path) as books:
        lines = [msgspec.json.decode(json_line(entry)) for entry in books.entries()]
    assert [line["request_id"] for line in lines] == ["r1", "r2", "r3"]
    first = lines[0]
    assert (first["cost_usd"], first["state"], first["user"]) == ("0.003", "settled", "ann")
    assert [attempt["cost_usd"] for attempt in first["attempts"]] == ["0.001", "0.002"]
    assert first["attempts"][0]["estimated"] is False
    assert first["time"] == "2026-03-01T12:00:00Z"


def test_a_cost_table_has_a_line_per_priced_attempt_and_no_formulas(path: Path) -> None:
    with Books(path) as books:
        entries = list(books.entries())
    entries[0] = replace(entries[0], request=replace(entries[0].request, user="=cmd()"))
    heading, *lines = "".join(focus_lines(entries)).splitlines()
    assert heading.startswith("BilledCost,")
    assert [line.split(",")[0] for line in lines] == ["0.001", "0.002", "0.004"]
    assert "'=cmd()" in lines[0]


@in_the_file
@pytest.mark.parametrize(
    ("damage", "kinds"),
    [
        ("UPDATE requests SET cost_nanos = cost_nanos + 1 WHERE id = 'r1'", {"sum_differs", "receipt_differs"}),
        ("UPDATE attempts SET cost_nanos = cost_nanos + 1 WHERE id = 'r1-a0'", {"sum_differs", "receipt_differs"}),
        ("DELETE FROM attempts WHERE id = 'r1-a0'", {"sum_differs", "receipt_differs"}),
        ("DELETE FROM requests WHERE id = 'r3'", {"stray_row"}),
        ("DELETE FROM receipts WHERE request_id = 'r3'", {"receipt_missing"}),
        ("UPDATE receipts SET body = x'7b' WHERE request_id = 'r3'", {"receipt_missing"}),
        ("UPDATE requests SET state = 'failed' WHERE id = 'r3'", {"receipt_differs"}),
        ("UPDATE requests SET cost_complete = 1 WHERE id = 'r2'", {"price_missing"}),
        ("UPDATE attempts SET input_tokens = -1 WHERE id = 'r3-a0'", {"negative"}),
        ("UPDATE attempts SET id = 'r3-a0' WHERE id = 'r2-a0'", {"receipt_differs", "attempt_shared"}),
    ],
)
def test_verify_finds_what_does_not_balance(path: Path, damage: str, kinds: set[str]) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(damage)
    with Books(path) as books:
        assert {finding.kind for finding in books.verify()} == kinds


@in_the_file
def test_a_damaged_file_is_a_finding_and_not_a_crash(tmp_path: Path, path: Path) -> None:
    copy = tmp_path / "copy.db"
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    content = bytearray(copy.read_bytes())
    content[4096:6144] = b"\xff" * 2048
    copy.write_bytes(content)
    with Books(copy) as books:
        assert {finding.kind for finding in books.verify()} == {"damaged_file"}


def test_reading_writes_nothing(path: Path) -> None:
    with Books(path) as books, pytest.raises(sqlite3.OperationalError):
        books._connection.execute("DELETE FROM requests")


def test_books_that_do_not_exist_are_an_error_and_are_not_made(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no ledger"):
        Books(tmp_path / "none.db")
    assert not (tmp_path / "none.db").exists()
