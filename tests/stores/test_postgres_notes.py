"""What is kept for a while, in PostgreSQL: many at once, and looked up together."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from polyroute.stores.postgres.store import PostgresStore
from polyroute.stores.records.postgres import open_records

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_many_notes_are_kept_at_once_and_the_first_of_a_name_stays(database: str, tmp_path: Path) -> None:
    with open_records(PostgresStore(database, tmp_path)) as notes:
        until = NOON + timedelta(hours=1)
        notes.keep_all("owner/blue", {"a": b"1", "b": b"2"}, now=NOON, until=until)
        notes.keep_all("owner/blue", {"b": b"3", "c": b"4"}, now=NOON, until=until)
        notes.keep_all("owner/red", {"a": b"5"}, now=NOON, until=until)
        assert notes.look("owner/blue", ["a", "b", "c", "d"], now=NOON) == {"a": b"1", "b": b"2", "c": b"4"}
        assert notes.look("owner/blue", ["a"], now=until) == {}
        assert list(notes.held("owner/blue", now=NOON)) == ["a", "b", "c"]
        assert notes.held("owner/red", now=NOON) == {"a": b"5"}
        assert notes.held("owner/blue", now=until) == {}
        notes.keep_all("owner/red", {}, now=until, until=until)
        assert notes.look("owner/red", ["a"], now=NOON) == {}  # what is over is cleared away
