"""Shared rates and budgets as calls to the server: each one script, atomic, one round trip.

Every replica counts under its own name: what it holds, what it has spent. So saying it again changes nothing, whatever
was lost in between; a sum is what all have said. What a replica held is free again when its lease runs out.
"""

import asyncio
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from polyroute.errors import StoreError
from polyroute.stores.shared.resp import Connection, Place, Reply, connect, encode
from polyroute.types.counters import (
    Booked,
    BudgetAsk,
    BudgetLeave,
    Counted,
    Forgotten,
    Heard,
    RateAsk,
    RateLeave,
    Standing,
    Sum,
)

_NAMES = ("enter", "correct", "hold", "settle", "beat", "join", "seed")
_SCRIPTS = Path(__file__).with_name("scripts")
_PREFIX = "{polyroute}:"  # one slot of a cluster holds them all
_ANSWER_S = 0.2  # a reply that takes longer is none
_GRAINS = 1000  # per window
_AT_ONCE = 300  # tallies in one call

LEASE_S = 45.0
GRACE_S = 1.0  # after everything was lost, every living replica has told what it holds by then


class RedisCounters:
    """One connection, made by `connect`; each call raises StoreError where it is lost or slow."""

    def __init__(self, place: Place, replica: str, *, window_s: float = 60.0, grace_s: float = GRACE_S) -> None:
        self.replica = replica
        self.replicas = 1  # alive, when last heard
        self._place = place
        self._window_ms = round(window_s * 1000)
        self._grain_ms = max(self._window_ms // _GRAINS, 1)
        self._grace_ms = round(grace_s * 1000)
        self._connection: Connection | None = None
        self._digests: dict[str, bytes] = {}
        self._generation = ""

    def __str__(self) -> str:
        return str(self._place)

    async def connect(self) -> None:
        self.close()
        connection = await connect(self._place, answer_s=_ANSWER_S)
        try:
            for name in _NAMES:
                script = (_SCRIPTS / f"{name}.lua").read_bytes()
                self._digests[name] = cast("bytes", await connection.call(encode("SCRIPT", "LOAD", script)))
        except StoreError:
            connection.close()
            raise
        self._connection = connection

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def enter(self, asks: Sequence[RateAsk]) -> RateLeave:
        """Count one request. Raises Forgotten."""
        reply = await self._run("enter", self._window_ms, self._grain_ms, *(word for ask in asks for word in ask))
        is_counted = reply[0] == 1
        figures = reply[2:] if is_counted else reply[3:]
        return RateLeave(
            grain=reply[1] if is_counted else None,
            refusing=0 if is_counted else reply[1],
            wait_s=0.0 if is_counted else (reply[2] / 1000 if reply[2] >= 0 else float("inf")),
            totals=figures[0::2],
            resets_s=[max(reset, 0) / 1000 for reset in figures[1::2]],
        )

    def correct(self, differences: Sequence[Counted]) -> None:
        """Sent, and not waited for: an estimate that stays is a loss of a minute at most."""
        sent = self._send("correct", self._generation, *(word for one in differences for word in one))
        sent.add_done_callback(_seen)

    def hold(self, amount: int, asks: Sequence[BudgetAsk]) -> asyncio.Future[Reply]:
        """Set money aside; `held` reads what comes. Sent when this returns, also where nobody waits for it."""
        words = (word for ask in asks for word in ask)
        return self._send("hold", self._generation, self.replica, self._grace_ms, amount, *words)

    def held(self, reply: Reply) -> BudgetLeave | float | None:
        """The leave; or how many seconds to wait first; or None: `seed` a window first. Raises Forgotten."""
        assert isinstance(reply, list)
        kind, *figures = cast("list[int]", reply)
        if kind == -1:
            raise Forgotten
        if kind == -2:
            return figures[0] / 1000
        if kind == -3:
            return None
        short = figures.pop(0) if kind == 0 else None
        return BudgetLeave(short=short, settled=figures[0::2], held=figures[1::2])

    def settle(self, tallies: Sequence[str], held: int, cost: int) -> asyncio.Future[Reply]:
        """What was held is spent, or free. A reply of -1, or none, wants a `join`, which says it all."""
        words = (word for tally in tallies for word in (tally, held, cost))
        return self._send("settle", self._generation, self.replica, *words)

    async def beat(self, tallies: Sequence[str], subjects: Sequence[str]) -> Heard:
        """Live on, and hear how these stand. Raises Forgotten."""
        reply = await self._run("beat", self.replica, round(LEASE_S * 1000), len(tallies), *tallies, *subjects)
        self.replicas = reply[1]
        spent, admitted = reply[3 : 3 + 2 * len(tallies)], reply[3 + 2 * len(tallies) :]
        sums = map(Sum, spent[0::2], spent[1::2])
        return Heard(dict(zip(tallies, sums, strict=True)), dict(zip(subjects, admitted, strict=True)))

    async def every(self) -> dict[str, Sum]:
        """Nothing: it would be a look at every key of the server."""
        return {}

    async def generation(self) -> tuple[str, int]:
        """Of the server's memory, "" where it is empty; and its clock, in milliseconds."""
        reply = await self._call("beat", "-", self.replica, 0, 0)
        return cast("bytes", reply[1]).decode(), cast("int", reply[2])

    def grain(self, at_ms: float) -> int:
        return int(at_ms // self._grain_ms)

    @property
    def known_generation(self) -> str:
        return self._generation

    async def join(self, generation: str, standings: Sequence[Standing], counted: Sequence[Counted]) -> None:
        """Say all of it; `generation` as just asked. Raises Forgotten where it changed meanwhile."""
        fresh = generation or secrets.token_hex(8)
        sent = []
        for start in range(0, max(len(standings), 1), _AT_ONCE):  # all before anything else that is told
            some = standings[start : start + _AT_ONCE]
            admissions = counted if start == 0 else ()
            words = [word for standing in some for word in standing] + [word for one in admissions for word in one]
            lease_ms = round(LEASE_S * 1000)
            told = ("join", fresh, fresh, self.replica, lease_ms, self._window_ms, self._grain_ms, len(some))
            sent.append(self._send(*told, *words))
        replies = await asyncio.gather(*sent)
        if any(cast("list[Reply]", reply)[0] != 1 for reply in replies):
            raise Forgotten
        self._generation = fresh

    async def seed(self, windows: Sequence[str], booked: Sequence[Booked], dead: Sequence[str] = ()) -> None:
        """What the books say of these windows, and who is dead and wholly in them. Raises Forgotten."""
        for start in range(0, max(len(booked), 1), _AT_ONCE):
            some = booked[start : start + _AT_ONCE]
            is_last = start + _AT_ONCE >= len(booked)
            done, gone = (windows, dead) if is_last else ((), ())
            await self._run("seed", len(done), *done, len(gone), *gone, *(word for one in some for word in one))

    async def _run(self, name: str, *words: str | int) -> list[int]:
        reply = await self._call(name, self._generation, *words)
        if reply[0] == -1:
            raise Forgotten
        return cast("list[int]", reply)

    async def _call(self, name: str, *words: str | int) -> list[Reply]:
        try:
            reply = await self._send(name, *words)
        except StoreError:
            self.close()  # also where only this script failed: connecting loads them anew
            raise
        return reply if isinstance(reply, list) else [reply]

    def _send(self, name: str, *words: str | int) -> asyncio.Future[Reply]:
        if self._connection is None:
            nobody: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
            nobody.set_exception(StoreError(f"the shared store {self._place} is away"))
            return nobody
        return self._connection.call(encode("EVALSHA", self._digests[name], 1, _PREFIX, *words))


def _seen(sent: asyncio.Future[Reply]) -> None:
    if not sent.cancelled():
        sent.exception()
