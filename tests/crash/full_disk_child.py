"""Keeps books on a disk that fills up and is freed: the limit on file size stands for the disk.

Prints `ok` where every write was acknowledged or refused as a StoreError, and writing worked again afterwards.
"""

import asyncio
import resource
import sys
from pathlib import Path

from polyroute.errors import StoreError
from polyroute.stores.sqlite.books import Books
from polyroute.stores.sqlite.ledger import open_ledger
from polyroute.testing.stores import a_settlement, an_opening


async def main(path: Path) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ledger = open_ledger(path, log_limit_bytes=64 << 10)
    acknowledged: set[str] = set()
    refused = 0
    for round_number in range(5):
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000 * (round_number + 1), hard))
        refused_now = 0
        number = 0
        while refused_now < 50:
            number += 1
            request_id = f"r{round_number}-{number}"
            try:
                await ledger.open(an_opening(request_id))
                await ledger.settle(a_settlement(request_id))
                acknowledged.add(request_id)
            except StoreError:
                refused_now += 1
        refused += refused_now
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        await ledger.settle(a_settlement(f"after-{round_number}"))
        acknowledged.add(f"after-{round_number}")
    await ledger.aclose()
    with Books(path) as books:
        settled = {entry.request.id for entry in books.entries()}
        assert acknowledged <= settled, "what was acknowledged is there"
        assert {finding.kind for finding in books.verify()} <= {"left_open"}
    assert refused == 250
    sys.stdout.write("ok\n")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
