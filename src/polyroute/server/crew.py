"""What the workers of one gateway have together, made before the first of them: an address, boxes for words, slates.

Each listens on a socket of its own and the kernel deals connections out (SO_REUSEPORT): with one shared socket one
worker takes nearly all that are kept alive.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from mmap import mmap
from typing import Self

from msgspec import Struct

from polyroute.server.bus import Box, Bus
from polyroute.server.serve import address_of, listen
from polyroute.server.supervisor import Line
from polyroute.telemetry.slate import SLATE_BYTES, Slates

LEADER = 0  # of them
_ANONYMOUS = -1


class Crew(Struct, frozen=True, kw_only=True):
    host: str
    port: int  # free where it was asked for as 0
    boxes: tuple[Box, ...]
    slates: tuple[mmap, ...]

    @classmethod
    @contextmanager
    def gathered(cls, count: int, host: str, port: int) -> Iterator[Self]:
        """For as long as the block lasts. Raises OSError where the address is taken."""
        listen(host, port).close()  # by others: beside us they could not
        with listen(host, port, shares=True) as reserved:  # it never listens, so that nothing is dealt to it
            boxes = tuple(Box() for _ in range(count))
            try:
                yield cls(
                    host=host,
                    port=reserved.getsockname()[1],
                    boxes=boxes,
                    slates=tuple(mmap(_ANONYMOUS, SLATE_BYTES) for _ in range(count)),
                )
            finally:
                for box in boxes:
                    box.close()

    @property
    def address(self) -> str:
        return address_of(self.host, self.port)

    @property
    def count(self) -> int:
        return len(self.boxes)


class Post(Struct, frozen=True, kw_only=True):
    """One worker's place among them."""

    crew: Crew
    number: int
    line: Line

    @property
    def leads(self) -> bool:
        """It does what is done once: tells alerts, looks after the store."""
        return self.number == LEADER

    @property
    def bus(self) -> Bus:
        return Bus(self.crew.boxes, self.number)

    @property
    def slates(self) -> Slates:
        return Slates(self.crew.slates, self.number)

    def listen(self) -> socket.socket:
        return listen(self.crew.host, self.crew.port, shares=True)
