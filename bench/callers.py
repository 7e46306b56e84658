"""Callers of every kind at once, each one request after another, until they are told to stop.

A caller judges its answer only as far as it goes without parsing: the status, and that the answer came whole.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import cast

from bench.mix import KEY_REFUSED, Kind, Mix
from bench.traffic import KEY, PATHS, bodies, headers

ANSWER_LIMIT_S = 30.0
_LONGEST_STAY_S = 0.05
_ANSWER_BYTES = 4000  # about where a left answer would end, so that leaving falls before, within and after it
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER of no time at all: closing sends a reset
_LAST_CHUNK = b"0\r\n\r\n"


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    status: int | None  # None: no head came
    is_whole: bool
    has_left: bool = False


class Tally:
    """How it went, by kind. `wrong` holds what should not have happened, in words."""

    def __init__(self) -> None:
        self.whole: Counter[str] = Counter()
        self.left: Counter[str] = Counter()
        self.statuses: Counter[tuple[str, int]] = Counter()
        self.wrong: Counter[str] = Counter()

    @property
    def asked(self) -> int:
        return self.whole.total() + self.left.total() + self.wrong.total()

    def note(self, kind: Kind, outcome: Outcome) -> None:
        problem = objection(kind, outcome)
        if problem:
            self.wrong[f"{kind.name}: {problem}"] += 1
        elif outcome.has_left:
            self.left[kind.name] += 1
        else:
            self.whole[kind.name] += 1
        if outcome.status is not None:
            self.statuses[kind.name, outcome.status] += 1


def objection(kind: Kind, outcome: Outcome) -> str | None:
    """What is wrong with an outcome of that kind; None where nothing is."""
    if outcome.has_left:
        return None
    if not outcome.is_whole:
        return f"an answer that was not whole (status {outcome.status})"
    if kind.is_refused:
        return None if outcome.status == 401 else f"status {outcome.status} to a wrong key"
    if outcome.status == 200 or (kind.may_fail and outcome.status in (429, 500, 502, 503, 504)):
        return None
    return f"status {outcome.status}"


async def knock(port: int, mix: Mix, tally: Tally, over: asyncio.Event, *, callers: int) -> None:
    """Returns when `over` is set and every caller has its last answer."""
    messages = {kind: _messages(kind) for kind, _ in mix.kinds}

    async def call(number: int) -> None:
        random, line = Random(number), None
        while not over.is_set():
            kind = mix.draws(random)
            if line is None or line.is_closed:
                line = await _connect(port)
            message = random.choice(messages[kind])
            tally.note(kind, await (_leave(line, message, random) if kind.leaves else line.ask(message)))
        if line is not None:
            line.hang_up()

    async with asyncio.TaskGroup() as group:
        for number in range(callers):
            group.create_task(call(number))


def _messages(kind: Kind) -> Sequence[bytes]:
    key = KEY_REFUSED if kind.is_refused else KEY
    fixed = [f"POST {PATHS[kind.door]} HTTP/1.1", "host: 127.0.0.1"]
    fixed += [f"{name}: {value}" for name, value in headers(kind.door, key).items()]
    return [
        "\r\n".join([*fixed, f"content-length: {len(body)}", "", ""]).encode() + body
        for body in bodies(kind.door, kind.model + kind.shape, stream=kind.stream)
    ]


async def _leave(line: Line, message: bytes, random: Random) -> Outcome:
    """Sends some of it or all, reads some of the answer or none, and hangs up: half of the time with a reset."""
    resets = random.random() < 0.5
    at_byte = random.randrange(1, len(message) + _ANSWER_BYTES)
    if at_byte < len(message):
        line.send(message[:at_byte])
        outcome = Outcome(status=None, is_whole=False, has_left=True)
    elif random.random() < 0.5:
        outcome = await line.ask(message, stay_s=random.random() * _LONGEST_STAY_S)
    else:
        outcome = await line.ask(message, at_most_bytes=at_byte - len(message))
    line.hang_up(resets=resets)
    return outcome


async def _connect(port: int) -> Line:
    _, line = await asyncio.get_running_loop().create_connection(Line, "127.0.0.1", port)
    return line


class Line(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self) -> None:
        self.is_closed = False
        self._transport: asyncio.Transport
        self._answer: asyncio.Future[Outcome] | None = None
        self._status: int | None = None
        self._head = b""
        self._tail = b""
        self._left_bytes: int | None = None  # of the content; None: it comes in chunks
        self._patience_bytes: int | None = None

    async def ask(self, message: bytes, *, stay_s: float | None = None, at_most_bytes: int | None = None) -> Outcome:
        """The answer, or what came of it until the caller had enough: after that time, or that many bytes."""
        self._status, self._head, self._tail, self._left_bytes = None, b"", b"", None
        self._patience_bytes = at_most_bytes
        self._answer = asyncio.get_running_loop().create_future()
        self.send(message)
        try:
            async with asyncio.timeout(ANSWER_LIMIT_S if stay_s is None else stay_s):
                return await self._answer
        except TimeoutError:
            self.hang_up()
            return Outcome(status=self._status, is_whole=False, has_left=stay_s is not None)

    def send(self, data: bytes) -> None:
        self._transport.write(data)

    def hang_up(self, *, resets: bool = False) -> None:
        self.is_closed = True
        if self._transport.is_closing():
            return
        if resets:
            self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self._transport.abort()
        else:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_closed = True
        self._tell(Outcome(status=self._status, is_whole=False))

    def data_received(self, data: bytes) -> None:
        if self._patience_bytes is not None:
            self._patience_bytes -= len(data)
        if self._status is None:
            self._head += data
            head, found, data = self._head.partition(b"\r\n\r\n")
            if not found:
                return
            self._read_head(head)
        if self._left_bytes is None:
            self._tail = (self._tail + data)[-len(_LAST_CHUNK) :]
            is_whole = self._tail == _LAST_CHUNK
        else:
            self._left_bytes -= len(data)
            is_whole = self._left_bytes <= 0
        if is_whole:
            self._tell(Outcome(status=self._status, is_whole=True))
        elif self._patience_bytes is not None and self._patience_bytes <= 0:
            self._tell(Outcome(status=self._status, is_whole=False, has_left=True))

    def _read_head(self, head: bytes) -> None:
        lines = head.lower().split(b"\r\n")
        self._status = int(lines[0].split()[1])
        for line in lines[1:]:
            name, _, value = line.partition(b":")
            if name == b"content-length":
                self._left_bytes = int(value)
            elif name == b"connection" and value.strip() == b"close":
                self.is_closed = True

    def _tell(self, outcome: Outcome) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(outcome)
