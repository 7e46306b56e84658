"""Short words between the workers of one gateway: what one saw, and what one changed. Nothing is waited for.

Each worker has a box, made before any of them began: words to one that has just died are heard by its successor. A box
that is full takes nothing more; whoever says something is told so.
"""

import asyncio
import os
import socket
from collections.abc import Callable, Mapping, Sequence

MOST_BYTES = 200_000  # in one message
_AT_ONCE = 64  # heard before others get their turn

ALARM = b"a"  # for whoever tells alerts
CHANGED = b"c"  # the document, or what is managed: look again

Heard = Callable[[bytes], object]


class Box:
    """Made before its reader, and kept for the next one."""

    def __init__(self) -> None:
        # A pair knows its other end, so the kernel does not count messages but bytes: net/unix/af_unix.c.
        self.inside, self.outside = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        for end in (self.inside, self.outside):
            end.setblocking(False)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * MOST_BYTES)

    def put(self, message: bytes) -> bool:
        """False: it is full, or the message too long."""
        try:
            self.outside.send(message)
        except OSError:
            return False
        return True

    def take(self) -> bytes | None:
        try:
            return self.inside.recv(MOST_BYTES)
        except BlockingIOError:
            return None

    def close(self) -> None:
        self.inside.close()
        self.outside.close()


class Bus:
    """One worker's ears and mouth."""

    def __init__(self, boxes: Sequence[Box], own: int) -> None:
        self._boxes = boxes
        self._own = own

    def tell(self, number: int, kind: bytes, message: bytes = b"") -> bool:
        """To one of them. False: it was not taken."""
        return self._boxes[number].put(kind + message)

    def tell_others(self, kind: bytes) -> None:
        for number in range(len(self._boxes)):
            if number != self._own:
                self.tell(number, kind)

    def listen(self, hears: Mapping[bytes, Heard]) -> None:
        """From now on; what waited before is heard too."""
        box = self._boxes[self._own]

        def hear() -> None:
            for _ in range(_AT_ONCE):
                message = box.take()
                if message is None:
                    return
                heard = hears.get(message[:1])
                if heard is not None:
                    heard(message[1:])

        asyncio.get_running_loop().add_reader(box.inside.fileno(), hear)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._boxes[self._own].inside.fileno())


def end_with(life: int, end: Callable[[], object]) -> None:
    """`end` once the other side of the pipe `life` is gone, which says nothing while it lives."""
    loop = asyncio.get_running_loop()

    def look() -> None:
        if not os.read(life, 1):
            loop.remove_reader(life)
            end()

    loop.add_reader(life, look)
