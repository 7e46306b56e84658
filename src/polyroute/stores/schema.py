"""The steps from one version of a database's schema to another: numbered scripts, each with its way back.

`0002_replica.up.sql` leads from version 1 to 2, `0002_replica.down.sql` back again. Pure but for reading the scripts.
"""

from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from polyroute.errors import StoreError

PACKED = 5  # from this version on receipts may be packed


class Step(Struct, frozen=True, kw_only=True):
    script: str
    version: int  # after it


class Schema:
    """The scripts in one folder."""

    def __init__(self, folder: Path) -> None:
        self._up = sorted(folder.glob("*.up.sql"))
        self._down = sorted(folder.glob("*.down.sql"))

    @property
    def newest(self) -> int:
        return len(self._up)

    def steps(self, version: int, to: int | None = None, *, of: str) -> Iterator[Step]:
        """From `version` to `to`, else to the newest. Raises StoreError where `of` cannot be brought there."""
        aim = self.newest if to is None else to
        if version > self.newest:
            raise StoreError(f"{of} was written by a newer Polyroute; update this one")
        if not 0 <= aim <= self.newest:
            raise StoreError(f"{of} has no version {aim}: versions are 0 (empty) to {self.newest}")
        for number in range(version, aim):
            yield Step(script=self._up[number].read_text(encoding="utf-8"), version=number + 1)
        for number in range(version, aim, -1):
            yield Step(script=self._down[number - 1].read_text(encoding="utf-8"), version=number - 1)
