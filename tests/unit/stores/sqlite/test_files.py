import re
from contextlib import closing
from pathlib import Path

from polyroute.stores.packing import pack
from polyroute.stores.sqlite.files import SCHEMA, migrate, open_books, split_statements
from polyroute.stores.sqlite.queries import load_queries


def test_opening_again_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "books.db"
    open_books(path, "process").close()
    with closing(open_books(path, "power")) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA.newest,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)


def test_every_query_is_one_statement_that_the_schema_understands(tmp_path: Path) -> None:
    queries = load_queries()
    with closing(open_books(tmp_path / "books.db", "process")) as connection:
        for name in queries.__struct_fields__:
            statement = getattr(queries, name)
            assert len(split_statements(statement)) == 1, name
            numbers = [int(number) for number in re.findall(r"\?(\d+)", statement)]
            connection.execute(f"EXPLAIN {statement}", (None,) * max(numbers, default=statement.count("?")))


def test_every_step_of_the_schema_leads_back(tmp_path: Path) -> None:
    path = tmp_path / "books.db"
    with closing(open_books(path, "process")) as connection:

        def shape() -> list[object]:
            return connection.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY type, name").fetchall()

        shapes = {SCHEMA.newest: shape()}
        for version in range(SCHEMA.newest - 1, -1, -1):
            migrate(connection, path, version)
            shapes[version] = shape()
        assert shapes[0] == [], "version 0 is empty"
        for version in range(1, SCHEMA.newest + 1):
            migrate(connection, path, version)
            assert shape() == shapes[version]


def test_on_the_way_back_receipts_are_unpacked_and_ids_are_whole(tmp_path: Path) -> None:
    path = tmp_path / "books.db"
    with closing(open_books(path, "process")) as connection:
        connection.executemany("INSERT INTO receipts VALUES (?, ?)", [("r1", pack(b'{"a": 1}')), ("r2", b'{"b": 2}')])
        connection.executemany(
            "INSERT INTO attempts (request_id, id, number, deployment, provider, model, upstream_model, status,"
            " started_ms, duration_ms) VALUES (?, ?, 0, 'd', 'p', 'm', 'u', 'succeeded', 0, 0)",
            [("r1", ".0"), ("r2", "r2.0"), ("r2", "other")],
        )
        migrate(connection, path, 4)
        assert connection.execute("SELECT * FROM receipts").fetchall() == [("r1", b'{"a": 1}'), ("r2", b'{"b": 2}')]
        assert connection.execute("SELECT id FROM attempts ORDER BY 1").fetchall() == [("other",), ("r1.0",), ("r2.0",)]
