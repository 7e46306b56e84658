"""Kill the process at any moment: the books in PostgreSQL lose nothing that was acknowledged, and double nothing.

`POLYROUTE_KILLS=500` for more than the quick run; `POLYROUTE_CRASH_SEED` replays one.
"""

import os
import random
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.crash.test_books import Bookkeepers

from polyroute.stores.journal.files import journal_paths
from polyroute.stores.postgres.store import PostgresStore

KILLS = int(os.environ.get("POLYROUTE_KILLS", "8"))
SEED = int(os.environ.get("POLYROUTE_CRASH_SEED", str(random.SystemRandom().randrange(1 << 30))))
AT = datetime(2026, 3, 1, 13, tzinfo=UTC)


async def test_kill_9_loses_and_doubles_nothing(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    print(f"POLYROUTE_CRASH_SEED={SEED}")
    monkeypatch.setenv("POLYROUTE_CRASH_DATABASE", database)
    draw = random.Random(SEED)
    store = PostgresStore(database, tmp_path)
    opened: set[str] = set()
    settled: dict[str, int] = {}
    bookkeepers = Bookkeepers()
    try:
        for number in range(KILLS):
            for line in bookkeepers.run_and_kill(tmp_path, SEED + number, "process", "keep", draw.uniform(0.05, 0.3)):
                word, request_id, *nanos = line.split()
                if word == "opened":
                    opened.add(request_id)
                else:
                    settled[request_id] = int(nanos[0])
            ledger = store.open_ledger("process")
            await ledger.recover(AT)
            await ledger.aclose()
    finally:
        bookkeepers.close()
    assert journal_paths(store.journals) == []
    with store.open_books() as books:
        entries = {entry.request.id: entry for entry in books.entries()}
        assert books.verify() == []
    print(f"{KILLS} kills: {len(opened)} opened, {len(settled)} settled, {len(entries)} in the books")
    assert opened <= entries.keys()
    assert all(entries[name].request.cost_nanos == nanos for name, nanos in settled.items())
    assert all(entries[name].request.state == "settled" for name in settled)
    assert len(settled) > KILLS
