"""Kill the process at any moment, reopen: nothing acknowledged is lost, nothing is booked twice, the books balance.

`POLYROUTE_KILLS=500 pytest tests/crash` for more than the quick run; `POLYROUTE_CRASH_SEED` replays one.
"""

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from polyroute.stores.journal.files import journal_paths
from polyroute.stores.ledger import Durability
from polyroute.stores.sqlite.books import Books, journals_folder
from polyroute.stores.sqlite.ledger import open_ledger
from polyroute.types.money import to_nanos

POINTS = (
    "half a line",
    "half a batch",
    "committed, not marked",
    "marked",
    "journal written anew",
    "journal replaced",
    "checkpoint",
)

_KILLS = int(os.environ.get("POLYROUTE_KILLS", "30"))
_SEED = int(os.environ.get("POLYROUTE_CRASH_SEED", str(random.SystemRandom().randrange(1 << 30))))
_KILLS_PER_FILE = 6
_AT = datetime(2026, 3, 1, 13, tzinfo=UTC)


class Bookkeepers:
    """Starts bookkeepers, kills them, and returns what they had said by then."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.books_child"],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run_and_kill(self, path: Path, seed: int, durability: Durability, work: str, after_s: float) -> list[str]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{path} {seed} {durability} {work}\n")
        self._process.stdin.flush()
        heard: list[str] = []
        killer: threading.Timer | None = None
        pid, is_ready = 0, False
        for line in self._process.stdout:
            word, *rest = line.split()
            if word == "pid":
                pid = int(rest[0])
            elif word == "gone":
                break
            elif word == "ready":
                is_ready = True
            else:
                heard.append(line.rstrip())
            if killer is None and pid and is_ready:
                killer = threading.Timer(after_s, _kill, (pid,))
                killer.start()
        if killer is not None:
            killer.cancel()
            killer.join()
        return heard

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # it has died by itself
        os.kill(pid, signal.SIGKILL)


@pytest.fixture
def bookkeepers() -> Iterator[Bookkeepers]:
    started = Bookkeepers()
    yield started
    started.close()


@pytest.mark.parametrize(
    ("durability", "kills"), [("process", _KILLS), ("power", max(_KILLS // 6, 1))], ids=["process", "power"]
)
async def test_kill_9_loses_and_doubles_nothing(
    durability: Durability, kills: int, tmp_path: Path, bookkeepers: Bookkeepers
) -> None:
    worked = await _kill_again_and_again(bookkeepers, tmp_path, durability, ["keep"] * kills)
    assert worked >= kills, "the bookkeepers did work"


@pytest.mark.parametrize("point", POINTS)
async def test_nor_does_a_kill_between_two_steps(point: str, tmp_path: Path, bookkeepers: Bookkeepers) -> None:
    await _kill_again_and_again(bookkeepers, tmp_path, "process", [point] * max(_KILLS // 10, 2))


async def _kill_again_and_again(
    bookkeepers: Bookkeepers, folder: Path, durability: Durability, works: list[str]
) -> int:
    """Returns the number of acknowledgements heard."""
    print(f"POLYROUTE_CRASH_SEED={_SEED}")  # pytest shows it where the test fails
    draw = random.Random(_SEED)
    heard = reached = 0
    opened: set[str] = set()
    settled: dict[str, int] = {}
    for number, work in enumerate(works):
        path = folder / f"books{number // _KILLS_PER_FILE}.db"
        if number % _KILLS_PER_FILE == 0:  # each check reads the whole file, so files are kept short
            opened, settled = set(), {}
        after_s = draw.uniform(0, 0.12) if work == "keep" else 5.0  # long before, it dies by itself
        for line in bookkeepers.run_and_kill(path, _SEED + number, durability, work, after_s):
            heard += 1
            word, request_id, *nanos = line.split()
            if word == "opened":
                opened.add(request_id)
            elif word == "settled":
                settled[request_id] = int(nanos[0])
            else:
                reached += 1
        assert work == "keep" or reached == number + 1, "it died where it was to die"
        _check_what_a_dead_process_left(path, settled)
        if draw.random() < 0.5:
            bookkeepers.run_and_kill(path, _SEED + number, durability, "recover", draw.uniform(0, 0.03))
        ledger = open_ledger(path)
        await ledger.recover(_AT)
        await ledger.aclose()
        _check_what_is_recovered(path, opened, settled)
    return heard


def _check_what_a_dead_process_left(path: Path, settled: dict[str, int]) -> None:
    with Books(path) as books:
        assert {finding.kind for finding in books.verify()} <= {"left_open"}
        entries = {entry.request.id: entry for entry in books.entries()}
    for request_id, cost_nanos in settled.items():
        assert entries[request_id].request.state == "settled", f"{request_id} is read from the journal"
        assert entries[request_id].request.cost_nanos == cost_nanos


def _check_what_is_recovered(path: Path, opened: set[str], settled: dict[str, int]) -> None:
    with Books(path) as books:
        assert journal_paths(journals_folder(path)) == []
        entries = {entry.request.id: entry for entry in books.entries()}
        assert books.verify() == []
        assert books.open_requests() == []
    assert opened <= entries.keys(), "every acknowledged opening has its row"
    for request_id, cost_nanos in settled.items():
        assert entries[request_id].request.state == "settled", f"{request_id} was acknowledged as settled"
        assert entries[request_id].request.cost_nanos == cost_nanos
    in_doubt = {name for name in entries if entries[name].request.state == "recovered"}
    assert not in_doubt & settled.keys()
    for name in in_doubt:
        receipt = entries[name].receipt
        assert receipt is not None
        assert {attempt.status for attempt in entries[name].attempts} == {"unknown"}
        assert to_nanos(receipt.cost_usd) == len(receipt.attempts) * 2_000_000, "booked at its reservation"
