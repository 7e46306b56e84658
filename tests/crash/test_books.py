"""Kill the process at any moment, reopen: nothing acknowledged is lost, nothing is booked twice, the books balance.

`POLYROUTE_KILLS=500 pytest tests/crash` for more than the quick run; `POLYROUTE_CRASH_SEED` replays one.
"""

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

from polyroute.stores.sqlite.books import Books
from polyroute.stores.sqlite.files import Durability
from polyroute.stores.sqlite.ledger import open_ledger
from polyroute.types.money import to_nanos

_KILLS = int(os.environ.get("POLYROUTE_KILLS", "30"))
_SEED = int(os.environ.get("POLYROUTE_CRASH_SEED", str(random.SystemRandom().randrange(1 << 30))))
_KILLS_PER_FILE = 6
_AT = datetime(2026, 3, 1, 13, tzinfo=UTC)


class Bookkeepers:
    """Starts bookkeepers, kills them, and returns what they had said by then."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("books_child.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run_and_kill(self, path: Path, seed: int, durability: Durability, after_s: float) -> list[str]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{path} {seed} {durability}\n")
        self._process.stdin.flush()
        heard: list[str] = []
        killer: threading.Timer | None = None
        pid = 0
        for line in self._process.stdout:
            word, *rest = line.split()
            if word == "pid":
                pid = int(rest[0])
            elif word == "gone":
                break
            else:
                heard.append(line.rstrip())
            if killer is None and pid and heard:
                killer = threading.Timer(after_s, os.kill, (pid, signal.SIGKILL))
                killer.start()
        if killer is not None:
            killer.join()
        return heard

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


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
    print(f"POLYROUTE_CRASH_SEED={_SEED}")  # pytest shows it where the test fails
    draw = random.Random(_SEED)
    worked = 0
    for first in range(0, kills, _KILLS_PER_FILE):  # each check reads the whole file, so files are kept short
        seeds = range(_SEED + first, _SEED + min(first + _KILLS_PER_FILE, kills))
        path = tmp_path / f"books{first}.db"
        worked += await _kill_again_and_again(bookkeepers, path, durability, seeds, draw)
    assert worked >= kills, "the bookkeepers did work"


async def _kill_again_and_again(
    bookkeepers: Bookkeepers, path: Path, durability: Durability, seeds: range, draw: random.Random
) -> int:
    """Returns the number of acknowledgements heard."""
    opened: set[str] = set()
    settled: dict[str, int] = {}
    for seed in seeds:
        heard = bookkeepers.run_and_kill(path, seed, durability, after_s=draw.uniform(0, 0.12))
        for line in heard:
            word, request_id, *nanos = line.split()
            if word == "opened":
                opened.add(request_id)
            else:
                settled[request_id] = int(nanos[0])

        ledger = open_ledger(path)
        await ledger.recover(_AT)
        await ledger.aclose()

        with Books(path) as books:
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
    return len(opened) + len(settled)
