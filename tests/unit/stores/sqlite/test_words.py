from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from sqlite3 import Connection

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from polyroute.stores.rows import request_values
from polyroute.stores.sqlite.books import Books
from polyroute.stores.sqlite.files import migrate, open_books
from polyroute.stores.sqlite.ledger import open_ledger
from polyroute.stores.sqlite.words import OF_ATTEMPT, OF_REQUEST, shortened, spelling
from polyroute.testing.stores import a_settlement
from polyroute.types.access import Caller

LONG = Caller(user="anna.berg", team="customer support", key_id="key_019fd0b280f4bf9937bd4a1fe11267e")


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    with closing(open_books(tmp_path / "books.db", "process")) as opened:
        yield opened


def spelled(connection: Connection, row: tuple[object, ...]) -> tuple[object, ...]:
    words = spelling(connection)
    return tuple(words.get(value, value) for value in row)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.lists(st.tuples(st.text() | st.none(), st.text() | st.integers(), st.text()), max_size=20))
def test_what_was_shortened_is_spelled_out_again(connection: Connection, rows: list[tuple[object, ...]]) -> None:
    """Also names that look like a mark, and names that were there before."""
    rows = [row for row in rows if all(str(value) < "\ud800" for value in row)]
    short = shortened(connection, rows, (0, 1))
    assert [spelled(connection, row) for row in short] == rows
    assert [row[2] for row in short] == [row[2] for row in rows], "of the named columns only"


def test_a_word_is_kept_once_and_a_short_one_stands_for_itself(connection: Connection) -> None:
    short = shortened(connection, [("platform", "ci"), ("platform", "platform")], (0, 1))
    assert short == [("\x1a1", "ci"), ("\x1a1", "\x1a1")]
    assert shortened(connection, [("platform", None)], (0, 1)) == [("\x1a1", None)]


def test_the_columns_are_those_of_names() -> None:
    settlement = a_settlement("r1", caller=LONG)
    values = request_values(settlement, None, "0123456789abcdef")
    receipt = settlement.receipt
    names = (receipt.baseline, receipt.model, receipt.provider, "0123456789abcdef")
    assert tuple(values[at] for at in OF_REQUEST) == (
        "default", LONG.team, LONG.user, LONG.key_id, receipt.route, receipt.policy, *names
    )  # fmt: skip
    assert OF_ATTEMPT == (3, 4, 5, 6, 7, 9)


async def test_rows_of_before_and_shortened_ones_are_read_alike_and_on_the_way_back_all_are_whole(
    tmp_path: Path,
) -> None:
    path = tmp_path / "books.db"
    settlements = [a_settlement("r1", caller=LONG), a_settlement("r2", caller=replace(LONG, user="\x1a1"))]
    ledger = open_ledger(path)
    for settlement in settlements:
        await ledger.settle(settlement)
    await ledger.aclose()
    with Books(path) as books:
        before = list(books.entries()), books.usage(), books.verify()
    assert [entry.request.user for entry in before[0]] == ["anna.berg", "\x1a1"]
    assert before[2] == []
    with closing(open_books(path, "process")) as connection:
        migrate(connection, path, 5)
        rows = connection.execute("SELECT user, team FROM requests ORDER BY id").fetchall()
        assert rows == [("anna.berg", LONG.team), ("\x1a1", LONG.team)]
        assert connection.execute("SELECT DISTINCT deployment FROM attempts").fetchall() == [("general-model@openai",)]
        connection.execute("DELETE FROM requests WHERE id = 'r2'")  # no name of before looks like a mark
        migrate(connection, path)
    with Books(path) as books:
        assert next(iter(books.entries())) == before[0][0]
