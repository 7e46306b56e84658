"""Figures in memory that the workers of one gateway share: each writes its own slate, and whoever is asked reads all.

A slate is made before its worker and outlives it, so a successor counts on where the one before stopped. It has one
writer, who says last how far it is filled: a reader sees a whole entry or none. An entry is its name and labels, and
its numbers, all in words of eight bytes.
"""

import math
from array import array
from collections.abc import Iterator, Mapping, Sequence
from mmap import mmap
from typing import Protocol

from msgspec import json

Labels = tuple[str, ...]

SLATE_BYTES = 16 << 20  # pages that nobody writes take no memory
_WORD = 8
_COUNT_BITS = 16


class Cells(Protocol):
    """Numbers that are changed in their place."""

    def __getitem__(self, at: int, /) -> float: ...

    def __setitem__(self, at: int, number: float, /) -> None: ...

    def __iter__(self) -> Iterator[float]: ...

    def __len__(self) -> int: ...


class Slate:
    """One worker's. Entries are found once; their cells are then read and written like a list's."""

    def __init__(self, memory: mmap) -> None:
        self._bytes = memoryview(memory)
        self._words = self._bytes.cast("Q")
        self._numbers = self._bytes.cast("d")
        self._at = 1  # read until here
        self._found: dict[str, dict[Labels, Cells]] = {}

    def of(self, name: str) -> Mapping[Labels, Cells]:
        """Every entry of that name."""
        self._read_on()
        return self._found.get(name, {})

    def cells(self, name: str, labels: Labels, count: int) -> Cells:
        """The entry's, made where there is none. For its one writer. Where there is no room they are seen by nobody."""
        found = self.of(name).get(labels)
        if found is not None and len(found) == count:
            return found
        key = json.encode((name, *labels))
        first = self._at + 1 + -(-len(key) // _WORD)
        if first + count > len(self._words):
            return array("d", [0.0] * count)
        self._bytes[(self._at + 1) * _WORD : (self._at + 1) * _WORD + len(key)] = key
        self._words[self._at] = len(key) << _COUNT_BITS | count
        self._words[0] = first + count
        return self.of(name)[labels]

    def _read_on(self) -> None:
        end = self._words[0]
        while self._at < end:
            size, count = divmod(self._words[self._at], 1 << _COUNT_BITS)
            start = (self._at + 1) * _WORD
            name, *labels = json.decode(bytes(self._bytes[start : start + size]), type=list[str])
            first = self._at + 1 + -(-size // _WORD)
            self._found.setdefault(name, {})[tuple(labels)] = self._numbers[first : first + count]
            self._at = first + count


class Slates:
    """One worker's own, and those of all."""

    def __init__(self, memories: Sequence[mmap], own: int) -> None:
        self._every = [Slate(memory) for memory in memories]
        self.own = self._every[own]

    def of(self, name: str) -> Iterator[tuple[Labels, Cells]]:
        """What each worker has under that name; nothing of what it has wiped."""
        for slate in self._every:
            for labels, cells in slate.of(name).items():
                if not math.isnan(cells[0]):
                    yield labels, cells
