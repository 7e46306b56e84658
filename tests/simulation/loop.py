"""An event loop whose time is made up: nothing waits, nothing is random but what its seed says, and lives can end.

Everything that a simulated process does runs in a context of its own, whose `LIFE` names it. What belongs to a life
that was killed is never run again: that is what SIGKILL does to a process, at whichever await it stands. A thread's job
is one piece of work that happens some time later.
"""

import asyncio
import contextvars
import heapq
import random
import selectors
from collections.abc import Callable
from typing import Any

_LONGEST_JOB_S = 0.02


class Killed(BaseException):
    """The process is dead: nothing that follows is done."""


class Life:
    """One process, from its start to its end."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_dead = False
        self.writes_left: int | None = None  # until it dies in the middle of one


LIFE: contextvars.ContextVar[Life | None] = contextvars.ContextVar("life", default=None)


class SimLoop(asyncio.SelectorEventLoop):
    """`on_step` is called after each piece of work. `graveyard` holds what the dead were about to do."""

    def __init__(self, draw: random.Random, on_step: Callable[[], None]) -> None:
        super().__init__(_Nothing())
        self._draw = draw
        self._on_step = on_step
        self._now_s = 1000.0
        self.steps = 0
        self.graveyard: list[asyncio.Handle] = []
        self.failures: list[BaseException] = []
        self.set_exception_handler(self._fail)

    def time(self) -> float:
        return self._now_s

    def run_in_executor(  # type: ignore[override]  # any executor is the same
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> Any:
        future = self.create_future()

        def work() -> None:
            try:
                done = func(*args)
            except BaseException as fault:  # noqa: BLE001 - whoever waits is told
                if not future.done():
                    future.set_exception(fault)
            else:
                if not future.done():
                    future.set_result(done)

        self.call_later(self._draw.random() * _LONGEST_JOB_S, work)
        return future

    def _run_once(self) -> None:
        scheduled, ready = self._scheduled, self._ready  # type: ignore[attr-defined]  # asyncio's own, as it keeps them
        if not ready and scheduled:
            self._now_s = max(self._now_s, scheduled[0]._when)
        while scheduled and scheduled[0]._when <= self._now_s:
            timer = heapq.heappop(scheduled)
            timer._scheduled = False
            ready.append(timer)
        if not ready:
            raise RuntimeError("everybody waits for somebody else")
        handle = ready.popleft()
        if handle._cancelled:
            return
        life = handle._context.get(LIFE)
        if life is not None and life.is_dead:
            self.graveyard.append(handle)
            return
        handle._run()
        self.steps += 1
        self._on_step()

    def run_one(self) -> None:
        """One piece of work, with this loop as the running one."""
        asyncio._set_running_loop(self)
        try:
            self._run_once()
        finally:
            asyncio._set_running_loop(None)

    def _fail(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        fault = context.get("exception")
        if fault is not None and not isinstance(fault, Killed):
            self.failures.append(fault)

    def _write_to_self(self) -> None:
        """Nobody sleeps."""


class _Nothing(selectors.DefaultSelector):
    """No sockets but the loop's own, which stays silent."""

    def select(self, timeout: float | None = None) -> list[Any]:
        return []
