"""A process that keeps books until it is killed, and tells its parent what the ledger acknowledged.

Started once; forks one bookkeeper per line `path seed durability work` on standard input, says `pid N`, and `gone`
once it is dead. `work` is `keep`, `recover`, or a point of points.py at which to die by itself. A bookkeeper writes
`ready`, then one line per acknowledgement: `opened ID`, `settled ID NANOS`; and `reached …` at its point. Lines are
shorter than a pipe's atomic write, so they are never torn. With POLYROUTE_CRASH_DATABASE the books are in that
PostgreSQL, and `path` is the journals' folder.
"""

import asyncio
import os
import random
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import cast

from tests.crash.points import arm

from polyroute.stores import drain
from polyroute.stores.journal.journal import Journal
from polyroute.stores.ledger import Durability, JournaledLedger
from polyroute.stores.postgres.ledger import PostgresLedger
from polyroute.stores.postgres.store import PostgresStore
from polyroute.stores.sqlite.ledger import open_ledger
from polyroute.testing.stores import a_settlement, an_attempt_opening, an_opening
from polyroute.types.money import to_nanos

_CONCURRENT = 16
_AT = datetime(2026, 3, 1, 13, tzinfo=UTC)
_LIMIT_BYTES = 64 << 10  # small, so that kills also hit checkpoints and shortened journals


def tell(line: str) -> None:
    os.write(1, f"{line}\n".encode())


async def keep_books(path: Path, seed: int, durability: Durability, work: str) -> None:
    draw = random.Random(seed)
    drain._PAUSE_S = draw.choice((0.002, 0.02))  # that kills hit batches of every size
    ledger: JournaledLedger
    if url := os.environ.get("POLYROUTE_CRASH_DATABASE"):
        store = PostgresStore(url, path)
        journal = Journal(store.journals, limit_bytes=_LIMIT_BYTES)
        ledger = PostgresLedger(store.address, store.journals, journal, syncer=None)
    else:
        ledger = open_ledger(
            path, durability=durability, log_limit_bytes=_LIMIT_BYTES, journal_limit_bytes=_LIMIT_BYTES
        )

    tell("ready")
    if work == "recover":
        while True:
            await ledger.recover(_AT)
    if work != "keep":
        arm(work, draw.choice((1, 2, 3, 5)))

    async def serve(worker: int) -> None:
        number = 0
        while True:
            number += 1
            request_id = f"s{seed}-w{worker}-{number}"
            costs = tuple(Decimal(draw.randrange(1, 2_000_000)).scaleb(-9) for _ in range(draw.choice((1, 1, 1, 2, 3))))
            await ledger.open(an_opening(request_id))
            tell(f"opened {request_id}")
            for attempt in range(1, len(costs)):
                await ledger.open_attempt(an_attempt_opening(request_id, attempt))
            await asyncio.sleep(draw.random() * 0.004)
            settlement = a_settlement(request_id, costs=costs)
            await ledger.settle(settlement)
            tell(f"settled {request_id} {to_nanos(settlement.receipt.cost_usd)}")

    await asyncio.gather(*(serve(worker) for worker in range(_CONCURRENT)))


def main() -> None:
    for line in sys.stdin:
        path, seed, durability, work = line.split(maxsplit=3)
        child = os.fork()
        if child == 0:
            asyncio.run(keep_books(Path(path), int(seed), cast("Durability", durability), work.strip()))
        tell(f"pid {child}")
        os.waitpid(child, 0)
        tell("gone")


if __name__ == "__main__":
    main()
