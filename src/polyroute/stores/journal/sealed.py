"""A file of settlements that a journal has put aside, because the database does not take them for now.

It stays locked by its owner, so that nobody else takes it for a dead process's, and out of its memory.
"""

import contextlib
import os
from pathlib import Path

from polyroute.stores.journal.files import read_journal
from polyroute.stores.journal.lines import Settled


class Sealed:
    def __init__(self, path: Path, descriptor: int, *, count: int, size: int) -> None:
        self.path = path
        self.count = count  # settlements
        self.size = size  # bytes
        self._descriptor = descriptor

    def read(self) -> list[Settled]:
        return read_journal(self.path).settled

    def drop(self) -> None:
        """All of it is in the books."""
        with contextlib.suppress(OSError):  # a read-only disk: booking it again changes nothing
            self.path.unlink(missing_ok=True)
        os.close(self._descriptor)

    def leave(self) -> None:
        """Belongs to nobody from now on: the next start books it."""
        os.close(self._descriptor)
