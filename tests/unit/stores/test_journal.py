import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from polyroute.errors import StoreError
from polyroute.stores.journal import Journal, claim, is_live, journal_paths, read_journal
from polyroute.testing.stores import an_attempt_opening, an_opening
from polyroute.types.access import Caller


def file_in(folder: Path) -> Path:
    (path,) = journal_paths(folder)
    return path


def open_ids(folder: Path) -> list[str]:
    return [request.opening.request_id for request in read_journal(file_in(folder))]


async def test_what_was_opened_is_read_back(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    await journal.open(an_opening("r1"))
    await journal.open(an_opening("r2"))
    await journal.open_attempt(an_attempt_opening("r1", 1))
    first, second = read_journal(file_in(tmp_path))
    assert (first.opening, first.later) == (an_opening("r1"), [an_attempt_opening("r1", 1)])
    assert (second.opening, second.later) == (an_opening("r2"), [])
    journal.close()


async def test_an_owner_lives_until_it_lets_go(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    await journal.open(an_opening("r1"))
    path = file_in(tmp_path)
    assert is_live(path)
    assert claim(path) is None
    journal.close()
    assert not is_live(path)
    dead = claim(path)
    assert dead is not None
    assert claim(path) is None, "claimed once"
    dead.done()
    assert journal_paths(tmp_path) == []


async def test_a_journal_with_nothing_open_leaves_no_file(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    await journal.open(an_opening("r1"))
    journal.close_request("r1")
    journal.close()
    assert journal_paths(tmp_path) == []


async def test_a_long_journal_is_shortened_to_what_is_open_and_stays_its_owners(tmp_path: Path) -> None:
    journal = Journal(tmp_path, limit_bytes=20_000)
    await journal.open(an_opening("old"))
    await journal.open_attempt(an_attempt_opening("old", 1))
    for number in range(500):
        await journal.open(an_opening(f"r{number}"))
        journal.close_request(f"r{number}")
    path = file_in(tmp_path)
    assert path.stat().st_size < 25_000
    assert open_ids(tmp_path)[0] == "old"
    assert read_journal(path)[0].later == [an_attempt_opening("old", 1)]
    assert is_live(path)
    assert claim(path) is None
    journal.close()


@given(cut=st.integers(0, 2000))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_torn_end_costs_only_the_line_that_was_torn(tmp_path: Path, cut: int) -> None:
    async def write() -> None:
        journal = Journal(tmp_path)
        for number in range(3):
            await journal.open(an_opening(f"r{number}"))
        journal.close()

    asyncio.run(write())
    path = file_in(tmp_path)
    content = path.read_bytes()[:cut]
    path.write_bytes(content)
    assert open_ids(tmp_path) == ["r0", "r1", "r2"][: content.count(b"\n")]
    path.unlink()


async def test_a_half_written_line_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path)
    await journal.open(an_opening("r1"))
    write = os.write
    with monkeypatch.context() as full:
        full.setattr(os, "write", lambda descriptor, line: write(descriptor, line[:7]))
        with pytest.raises(StoreError, match="disk is full"):
            await journal.open(an_opening("r2"))
    await journal.open(an_opening("r3"))
    assert open_ids(tmp_path) == ["r1", "r3"]
    journal.close()


async def test_names_that_no_encoding_can_carry_are_refused(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    with pytest.raises(StoreError, match="not Unicode"):
        await journal.open(an_opening("r1", caller=Caller(user="\ud800")))
    assert open_ids(tmp_path) == []
    journal.close()


async def test_one_wait_for_the_disk_serves_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[int] = []
    monkeypatch.setattr(os, "fdatasync", waits.append)
    with ThreadPoolExecutor(1) as thread:
        journal = Journal(tmp_path, syncer=thread)
        await asyncio.gather(*(journal.open(an_opening(f"r{number}")) for number in range(50)))
        journal.close()
    assert 1 <= len(waits) <= 3


async def test_a_disk_that_cannot_keep_it_is_told_to_who_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", fail)
    with ThreadPoolExecutor(1) as thread:
        journal = Journal(tmp_path, syncer=thread)
        with pytest.raises(StoreError, match="Input/output"):
            await journal.open(an_opening("r1"))
        journal.close()
