import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyroute.errors import StoreError
from polyroute.stores.journal.files import claim, is_live, journal_paths, read_journal
from polyroute.stores.journal.journal import Journal
from polyroute.stores.journal.lines import read_lines
from polyroute.testing.stores import a_settlement, an_attempt_opening, an_opening
from polyroute.types.access import Caller


def file_in(folder: Path) -> Path:
    (path,) = journal_paths(folder)
    return path


def open_ids(folder: Path) -> list[str]:
    return [request.opening.request_id for request in read_journal(file_in(folder)).requests]


async def test_what_was_opened_is_read_back(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    await journal.open(an_opening("r1"))
    await journal.open(an_opening("r2"))
    await journal.open_attempt(an_attempt_opening("r1", 1))
    first, second = read_journal(file_in(tmp_path)).requests
    assert (first.opening, first.later) == (an_opening("r1"), (an_attempt_opening("r1", 1),))
    assert (second.opening, second.later) == (an_opening("r2"), ())
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
    journal.settle(a_settlement("r1"))
    journal.booked(journal.oldest_settled(9))
    journal.close()
    assert journal_paths(tmp_path) == []


async def test_a_long_journal_is_shortened_to_what_is_open_and_stays_its_owners(tmp_path: Path) -> None:
    journal = Journal(tmp_path, limit_bytes=20_000)
    await journal.open(an_opening("old"))
    await journal.open_attempt(an_attempt_opening("old", 1))
    for number in range(500):
        await journal.open(an_opening(f"r{number}"))
        journal.settle(a_settlement(f"r{number}"))
        journal.booked(journal.oldest_settled(9))
    path = file_in(tmp_path)
    assert path.stat().st_size < 25_000
    assert open_ids(tmp_path)[0] == "old"
    assert read_journal(path).requests[0].later == (an_attempt_opening("old", 1),)
    assert is_live(path)
    assert claim(path) is None
    journal.close()


async def test_a_settlement_is_read_back_until_it_is_booked(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    await journal.open(an_opening("r1"))
    for name in ("r1", "r2", "r3"):
        journal.settle(a_settlement(name))
    first, second, third = read_journal(file_in(tmp_path)).settled
    assert (first.settlement, first.reserved_usd) == (a_settlement("r1"), an_opening("r1").reserved_usd)
    assert (second.settlement, second.reserved_usd) == (a_settlement("r2"), None)
    assert [first, second, third] == journal.oldest_settled(9)
    journal.booked(journal.oldest_settled(2))
    assert read_journal(file_in(tmp_path)).settled == journal.oldest_settled(9) == [third]
    assert read_journal(file_in(tmp_path)).requests == []
    journal.close()


async def test_a_shortened_journal_keeps_what_is_not_booked(tmp_path: Path) -> None:
    journal = Journal(tmp_path, limit_bytes=10_000)
    journal.settle(a_settlement("r0"))
    for number in range(1, 50):
        journal.settle(a_settlement(f"r{number}"))
        journal.booked(journal.oldest_settled(1))
        (left,) = read_journal(file_in(tmp_path)).settled
        assert left.settlement == a_settlement(f"r{number}")
    assert file_in(tmp_path).stat().st_size < 12_000
    journal.close()


def lines_of_a_life(folder: Path) -> bytes:
    async def write() -> None:
        journal = Journal(folder)
        for number in range(3):
            await journal.open(an_opening(f"r{number}"))
        journal.settle(a_settlement("r0"))
        journal.booked(journal.oldest_settled(9))
        journal.settle(a_settlement("r1"))
        journal.close()

    asyncio.run(write())
    content = file_in(folder).read_bytes()
    file_in(folder).unlink()
    return content


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return lines_of_a_life(tmp_path_factory.mktemp("journal"))


@given(cut=st.integers(0, 5000))
def test_a_torn_end_costs_only_the_line_that_was_torn(whole: bytes, cut: int) -> None:
    found = read_lines(whole[:cut])
    lines = whole[:cut].count(b"\n")  # R0 R1 R2 S0 B S1
    assert [request.opening.request_id for request in found.requests] == [
        name for name, first, last in (("r0", 1, 4), ("r1", 2, 6), ("r2", 3, 7)) if first <= lines < last
    ]
    assert [entry.settlement.request_id for entry in found.settled] == [
        name for name, first, last in (("r0", 4, 5), ("r1", 6, 7)) if first <= lines < last
    ]


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
    journal.settle(a_settlement("r3"))
    assert [entry.end for entry in journal.oldest_settled(9)] == [file_in(tmp_path).stat().st_size]
    journal.close()


async def test_a_half_line_that_cannot_be_taken_back_at_once_is_taken_back_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: int) -> None:
        raise OSError(5, "Input/output error")

    journal = Journal(tmp_path)
    await journal.open(an_opening("r1"))
    write = os.write
    with monkeypatch.context() as failing:
        failing.setattr(os, "ftruncate", fail)
        failing.setattr(os, "write", lambda descriptor, line: write(descriptor, line[:7]))
        for _ in range(2):
            with pytest.raises(StoreError):
                journal.settle(a_settlement("r1"))
    journal.settle(a_settlement("r1"))
    assert [entry.settlement for entry in read_journal(file_in(tmp_path)).settled] == [a_settlement("r1")]
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
        suspect = file_in(tmp_path).stat().st_ino
        monkeypatch.undo()
        await journal.open(an_opening("r2"))
        assert file_in(tmp_path).stat().st_ino != suspect, "a failed fsync is not tried again on the same file"
        assert open_ids(tmp_path) == ["r1", "r2"]
        journal.close()


async def test_what_is_put_aside_leaves_memory_and_keeps_its_place_on_disk(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    for number in range(3):
        await journal.open(an_opening(f"r{number}"))
    journal.settle(a_settlement("r0"))
    journal.seal()
    assert (journal.pending, journal.sealed_count) == (0, 1)
    journal.settle(a_settlement("r1"))
    contents = [read_journal(path) for path in journal_paths(tmp_path)]
    settled = sorted(entry.settlement.request_id for one in contents for entry in one.settled)
    open_ids = [request.opening.request_id for one in contents for request in one.requests]
    assert (settled, open_ids) == (["r0", "r1"], ["r2"]), "what is open has moved to the fresh file"
    assert {entry.replica for one in contents for entry in one.settled} == {journal.replica}
    assert all(is_live(path) for path in journal_paths(tmp_path)), "nobody else takes either for a dead process's"
    assert [entry.settlement.request_id for entry in journal.sealed[0].read()] == ["r0"]
    journal.drop_oldest_sealed()
    assert len(journal_paths(tmp_path)) == 1
    journal.seal()
    journal.close()
    (aside, _) = journal_paths(tmp_path)
    claimed = claim(aside)
    assert claimed is not None, "after the end it is anybody's"
    claimed.leave()


async def test_a_batch_that_was_put_aside_meanwhile_is_not_marked_as_booked(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.settle(a_settlement("r0"))
    batch = journal.oldest_settled(10)
    journal.seal()
    journal.settle(a_settlement("r1"))
    journal.booked(batch)
    assert journal.pending == 1
    contents = [read_journal(path) for path in journal_paths(tmp_path)]
    assert sorted(entry.settlement.request_id for one in contents for entry in one.settled) == ["r0", "r1"]
