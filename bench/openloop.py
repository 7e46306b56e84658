"""Requests at a given rate, whatever becomes of the earlier ones, and how each ended.

A request's time runs from the moment it was due. Callers keep their connections; one that is refused is not repeated.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import cast

MOST_CONNECTIONS = 6000
_STEP_S = 0.002
_PATIENCE_S = 10.0  # after the last one was sent


@dataclass(slots=True)
class Outcomes:
    """By status, when each was due and how long it took, in seconds; status 0: no whole answer."""

    began_s: float = 0.0
    times: dict[int, list[tuple[float, float]]] = field(default_factory=dict)
    asked: int = 0
    without_retry_after: int = 0  # of those that were refused
    late_s: list[float] = field(default_factory=list)  # how much after it was due each was sent: the load's own doing

    def note(self, status: int, due_s: float, taken_s: float) -> None:
        self.times.setdefault(status, []).append((due_s - self.began_s, taken_s))

    def counts(self) -> Counter[int]:
        return Counter({status: len(times) for status, times in self.times.items()})

    def taken(self, *statuses: int, since_s: float = 0.0) -> list[float]:
        """Seconds, of those that were due since then."""
        return [taken_s for status in statuses for due_s, taken_s in self.times.get(status, []) if due_s >= since_s]


class Line(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._due_s = 0.0
        self._is_asking = False
        self._status = 0
        self._left = 0
        self._head = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def ask(self, message: bytes, due_s: float) -> None:
        self._due_s, self._is_asking, self._head = due_s, True, b""
        self._pool.outcomes.late_s.append(time.perf_counter() - due_s)
        self._transport.write(message)

    def data_received(self, data: bytes) -> None:
        if not self._head or self._left < 0:
            self._head += data
            end = self._head.find(b"\r\n\r\n")
            self._left = -1
            if end < 0:
                return
            at = self._head.find(b"content-length: ")
            length = int(self._head[at + 16 : self._head.index(b"\r\n", at)])
            self._left = end + 4 + length - len(self._head)
        else:
            self._left -= len(data)
        if self._left == 0:
            self._told()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._is_asking:
            self._is_asking = False
            self._pool.outcomes.note(0, self._due_s, time.perf_counter() - self._due_s)
        self._pool.lost(self)

    def close(self) -> None:
        self._transport.abort()

    def _told(self) -> None:
        status, outcomes = int(self._head[9:12]), self._pool.outcomes
        self._is_asking = False
        outcomes.note(status, self._due_s, time.perf_counter() - self._due_s)
        if status in (429, 503) and b"retry-after: " not in self._head:
            outcomes.without_retry_after += 1
        if b"connection: close" not in self._head[:600]:
            self._pool.idle.append(self)


class Pool:
    """Connections to one port."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.idle: deque[Line] = deque()
        self.open: set[Line] = set()
        self.opening = 0
        self.outcomes = Outcomes()

    def lost(self, line: Line) -> None:
        self.open.discard(line)
        if line in self.idle:
            self.idle.remove(line)

    async def connect(self, count: int) -> None:
        """So many, ready to be used."""
        while len(self.open) < count:
            _, line = await asyncio.get_running_loop().create_connection(lambda: Line(self), "127.0.0.1", self._port)
            self.open.add(line)
            self.idle.append(line)

    async def offer(self, messages: list[bytes], per_second: float, seconds: float) -> Outcomes:
        """That many a second for so long; then waits for the answers."""
        outcomes = self.outcomes = Outcomes()
        began_s, sent, tasks = time.perf_counter(), 0, set[asyncio.Task[None]]()
        outcomes.began_s = began_s
        while (now_s := time.perf_counter() - began_s) < seconds:
            while sent < now_s * per_second:
                due_s, message = began_s + sent / per_second, messages[sent % len(messages)]
                sent += 1
                if self.idle:
                    self.idle.popleft().ask(message, due_s)
                elif len(self.open) + self.opening < MOST_CONNECTIONS:
                    task = asyncio.create_task(self._ask_anew(message, due_s))
                    tasks.add(task)
                    task.add_done_callback(tasks.discard)
                else:
                    outcomes.note(0, due_s, 0.0)
            await asyncio.sleep(_STEP_S)
        outcomes.asked = sent
        ends_s = time.perf_counter() + _PATIENCE_S
        while outcomes.counts().total() < sent and time.perf_counter() < ends_s:  # noqa: ASYNC110 - a tally, no event
            await asyncio.sleep(0.01)
        return outcomes

    def close(self) -> None:
        for line in list(self.open):
            line.close()

    async def _ask_anew(self, message: bytes, due_s: float) -> None:
        self.opening += 1
        try:
            _, line = await asyncio.get_running_loop().create_connection(lambda: Line(self), "127.0.0.1", self._port)
        except OSError:
            self.outcomes.note(0, due_s, time.perf_counter() - due_s)
            return
        finally:
            self.opening -= 1
        self.open.add(line)
        line.ask(message, due_s)
