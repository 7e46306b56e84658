import sqlite3
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from polyroute.errors import Conflict, StoreError
from polyroute.stores.records.chain import BEGINNING, check
from polyroute.stores.records.sqlite import SqliteRecords
from polyroute.types.records import Act, Change, Put, Remove

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def records(tmp_path: Path) -> Iterator[SqliteRecords]:
    with SqliteRecords(tmp_path / "books.db") as opened:
        yield opened


def act(action: str = "teams:create", name: str = "a") -> Act:
    return Act(at=AT, actor="root", role="admin", action=action, kind="team", id=name)


def put(name: str = "a", *, version: int = 0, body: bytes = b"{}", tenant: str = "default") -> Put:
    return Put(kind="team", id=name, tenant=tenant, body=body, version=version)


def test_what_was_put_is_found_and_grows_its_version(records: SqliteRecords) -> None:
    records.change([put(body=b'{"n":1}')], act())
    records.change([put(body=b'{"n":2}', version=1)], act("teams:change"))
    found = records.find("team", "a")
    assert found is not None
    assert (found.body, found.version, found.updated_at, found.tenant) == (b'{"n":2}', 2, AT, "default")
    assert records.find("key", "a") is None


def test_records_are_listed_by_kind_and_tenant(records: SqliteRecords) -> None:
    records.change([put("b", tenant="x"), put("a", tenant="y"), put("c", tenant="x")], act())
    assert [r.id for r in records.every("team")] == ["a", "b", "c"]
    assert [r.id for r in records.every("team", "x")] == ["b", "c"]
    assert records.every("key") == []


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(put(), id="made twice"),
        pytest.param(put(version=2), id="seen too late"),
        pytest.param(Remove(kind="team", id="a", version=7), id="removed after a change"),
        pytest.param(put("new", version=1), id="changed, but never made"),
    ],
)
def test_a_stale_version_changes_nothing_at_all(records: SqliteRecords, change: Change) -> None:
    records.change([put()], act())
    with pytest.raises(Conflict):
        records.change([put("other"), change], act())
    assert records.find("team", "other") is None
    assert records.generation() == 1


def test_what_was_removed_is_gone_and_its_trace_is_not(records: SqliteRecords) -> None:
    records.change([put()], act())
    records.change([Remove(kind="team", id="a", version=1)], act("teams:remove"))
    assert records.find("team", "a") is None
    assert [entry.act.action for entry in records.entries()] == ["teams:create", "teams:remove"]


def test_two_who_have_the_file_open_see_each_others_changes(records: SqliteRecords, tmp_path: Path) -> None:
    with SqliteRecords(tmp_path / "books.db") as other:
        other.change([put()], act())
        assert records.generation() == 1
        records.change([put("b")], act())
        assert [entry.seq for entry in other.entries(after=1)] == [2]


def test_an_untouched_log_is_whole_and_names_its_head(records: SqliteRecords) -> None:
    assert check(records).head == BEGINNING.hex()
    for number in range(1, 6):
        records.change([put(str(number))], act(name=str(number)))
    audit = check(records)
    assert audit.whole
    assert audit.entries == 5
    assert audit.head == records.entries()[-1].hash.hex()
    assert check(records, noted=records.entries()[2].hash.hex()).whole


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        (
            "UPDATE audit_log SET body = CAST(replace(CAST(body AS TEXT), 'root', 'me') AS BLOB) WHERE seq = 2",
            "entry 2 was changed",
        ),
        ("UPDATE audit_log SET hash = zeroblob(32) WHERE seq = 3", "entry 3 was changed"),
        ("DELETE FROM audit_log WHERE seq = 2", "entry 2 is missing"),
    ],
)
def test_a_log_that_was_tampered_with_says_where(
    records: SqliteRecords, tmp_path: Path, damage: str, fault: str
) -> None:
    for number in range(1, 5):
        records.change([put(str(number))], act(name=str(number)))
    with sqlite3.connect(tmp_path / "books.db") as connection:
        with pytest.raises(sqlite3.IntegrityError, match="only grows"):
            connection.execute(damage)
        connection.execute("DROP TRIGGER audit_log_keeps")
        connection.execute("DROP TRIGGER audit_log_stays")
        connection.execute(damage)
    connection.close()
    assert fault in (check(records).fault or "")


def test_an_end_that_was_cut_off_shows_against_the_noted_head(records: SqliteRecords, tmp_path: Path) -> None:
    for number in range(1, 4):
        records.change([put(str(number))], act(name=str(number)))
    head = check(records).head
    with sqlite3.connect(tmp_path / "books.db") as connection:
        connection.execute("DROP TRIGGER audit_log_stays")
        connection.execute("DELETE FROM audit_log WHERE seq = 3")
    connection.close()
    assert check(records).whole
    assert "cut off" in (check(records, noted=head).fault or "")


def test_closing_waits_for_who_is_still_writing_and_says_so_to_who_comes_later(tmp_path: Path) -> None:
    records = SqliteRecords(tmp_path / "books.db")
    done: list[str] = []

    def write() -> None:
        for number in range(1000):
            try:
                records.change([put(str(number))], act())
            except StoreError as fault:
                done.append(fault.message)
                return

    writer = threading.Thread(target=write)
    writer.start()
    while not records.generation():
        pass
    records.close()
    writer.join()
    assert len(done) == 1
