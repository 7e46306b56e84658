"""A process that keeps books until it is killed, and tells its parent what the ledger acknowledged.

Started once; forks one bookkeeper per line `path seed durability` on standard input, says `pid N`, and `gone` once
it is dead. A bookkeeper writes one line per acknowledgement: `opened ID`, `settled ID NANOS`. Lines are shorter than
a pipe's atomic write, so they are never torn.
"""

import asyncio
import os
import random
import sys
from decimal import Decimal
from pathlib import Path
from typing import cast

from polyroute.stores.sqlite.files import Durability
from polyroute.stores.sqlite.ledger import open_ledger
from polyroute.testing.stores import a_settlement, an_attempt_opening, an_opening
from polyroute.types.money import to_nanos

_CONCURRENT = 16
_LIMIT_BYTES = 64 << 10  # small, so that kills also hit checkpoints and shortened journals


def tell(line: str) -> None:
    os.write(1, f"{line}\n".encode())


async def keep_books(path: Path, seed: int, durability: Durability) -> None:
    draw = random.Random(seed)
    ledger = open_ledger(path, durability=durability, log_limit_bytes=_LIMIT_BYTES, journal_limit_bytes=_LIMIT_BYTES)

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
        path, seed, durability = line.split()
        child = os.fork()
        if child == 0:
            asyncio.run(keep_books(Path(path), int(seed), cast("Durability", durability)))
        tell(f"pid {child}")
        os.waitpid(child, 0)
        tell("gone")


if __name__ == "__main__":
    main()
