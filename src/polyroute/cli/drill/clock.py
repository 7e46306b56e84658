"""An event loop whose time passes only by waiting: hours of traffic take seconds, and every pause is kept.

Once it `skips`, whoever sleeps is woken as soon as nobody has anything else to do. What real threads and sockets do is
waited for as ever.
"""

import asyncio
import selectors
import time


class Skipping(selectors.DefaultSelector):
    def __init__(self) -> None:
        super().__init__()
        self.skips = False
        self.skipped_s = 0.0
        self.stands_at_s = 0.0  # monotonic, while it skips

    def now_s(self) -> float:
        return (self.stands_at_s if self.skips else time.monotonic()) + self.skipped_s

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if not self.skips or timeout is None or timeout <= 0:
            return list(super().select(timeout))
        ready = super().select(0)
        if not ready:
            self.skipped_s += timeout
        return list(ready)


class RehearsalLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._skipping = Skipping()
        super().__init__(self._skipping)

    def time(self) -> float:
        return self._skipping.now_s()

    def skip(self) -> None:
        """From now on."""
        self._skipping.stands_at_s, self._skipping.skips = time.monotonic(), True
