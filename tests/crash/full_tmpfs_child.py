"""Keeps books on a small disk of its own, a tmpfs in a private mount namespace, which is filled and freed again.

Prints `ok SECONDS`, the longest time from freed space to an acknowledged write; or `not here`, where the system lets no
process have such a disk.
"""

import asyncio
import ctypes
import os
import sys
import time
from pathlib import Path

from polyroute.errors import StoreError
from polyroute.stores.sqlite.books import Books
from polyroute.stores.sqlite.ledger import open_ledger
from polyroute.testing.stores import a_settlement, an_opening

_NEW_NAMESPACE, _RECURSIVE, _PRIVATE = 0x20000, 0x4000, 0x40000  # CLONE_NEWNS, MS_REC, MS_PRIVATE: sched.h, mount.h
_ROUNDS = 5


def have_a_disk(folder: Path, size: str) -> bool:
    system = ctypes.CDLL(None)
    return bool(
        system.unshare(_NEW_NAMESPACE) == 0
        and system.mount(b"none", b"/", None, _RECURSIVE | _PRIVATE, None) == 0
        and system.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", 0, f"size={size}".encode()) == 0
    )


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as ballast:
        piece = bytes(4096)
        try:
            while ballast.write(piece) == len(piece):
                pass
        except OSError:
            return


async def main(folder: Path) -> None:
    path, ballast = folder / "books.db", folder / "ballast"
    ledger = open_ledger(path, log_limit_bytes=64 << 10)
    acknowledged: set[str] = set()
    longest_s = 0.0
    for number in range(_ROUNDS):
        for request in range(200):
            request_id = f"r{number}-{request}"
            await ledger.open(an_opening(request_id))
            await ledger.settle(a_settlement(request_id))
            acknowledged.add(request_id)
        fill(ballast)
        refused = 0
        while refused < 20:
            request_id = f"full{number}-{refused}-{len(acknowledged)}"
            try:
                await ledger.open(an_opening(request_id))
                await ledger.settle(a_settlement(request_id))
                acknowledged.add(request_id)
            except StoreError:
                refused += 1
        ballast.unlink()
        freed_s = time.monotonic()
        await ledger.open(an_opening(f"after{number}"))
        await ledger.settle(a_settlement(f"after{number}"))
        acknowledged.add(f"after{number}")
        longest_s = max(longest_s, time.monotonic() - freed_s)
    await ledger.drain()
    await ledger.aclose()
    with Books(path) as books:
        settled = {entry.request.id for entry in books.entries()}
        assert acknowledged <= settled, "what was acknowledged is there"
        assert {finding.kind for finding in books.verify()} <= {"left_open"}
    sys.stdout.write(f"ok {longest_s:.4f}\n")


if __name__ == "__main__":
    if have_a_disk(Path(sys.argv[1]), "8m"):
        asyncio.run(main(Path(sys.argv[1])))
    else:
        sys.stdout.write("not here\n")
