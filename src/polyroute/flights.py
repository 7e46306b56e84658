"""One call under way, told to everybody who asked the very same: from its start on, live, and paid for together.

What was told is kept once, for all, and bounded: beyond that an answer cannot be joined any more, and is told no faster
than to the one whose call it is; who falls behind the rest is cut off. Nobody's leaving ends the call while another
waits for it. One tenant's: `Place` says so.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

from polyroute.errors import PolyrouteError, ProviderError, StreamInterrupted
from polyroute.stages.assembly.shares import Shares, shared
from polyroute.types.caching import CachedAnswer
from polyroute.types.receipt import Attempt, Receipt
from polyroute.types.response import (
    Chunk,
    Ended,
    RefusalDelta,
    Reply,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    WireBytes,
)

MOST_BYTES = 8_000_000  # of one answer's chunks, held for those who read them later
_OF_CHUNK = 200  # beside its text


class Flight:
    """`reply` and `receipt` are set by the path: the whole answer before anything was put back, and what is known."""

    def __init__(self, leader: str, *, most_bytes: int = MOST_BYTES) -> None:
        self.leader = leader  # the request whose call it is
        self.is_open = True  # may be joined
        self.has_begun = False  # it is a stream, and its first content is there
        self.is_private = False
        self.is_over = False
        self.error: PolyrouteError | None = None
        self.reply: Reply | None = None
        self.receipt: Receipt | None = None
        self.answer: CachedAnswer | None = None  # whole, once it is over and good
        self.shares: Shares | None = None
        self.waiting: set[str] = set()  # for the whole answer, or for its first content
        self.told: set[str] = set()  # as it arrives
        self.paying: frozenset[str] = frozenset()
        self.task: asyncio.Task[Any] | None = None
        self.has_leader = True
        self._most_bytes = most_bytes
        self._chunks: list[Chunk] = []
        self._gone = 0  # chunks from the front that are held no longer
        self._size = 0
        self._read_by_leader = 0
        self._news = asyncio.Event()

    # ── those who join ────────────────────────────────────────────────────────────────────────────────

    def join(self, request_id: str) -> None:
        self.waiting.add(request_id)

    def listen(self, request_id: str) -> None:
        """From now on it is told what arrives, and pays its share of that, however it ends."""
        self.waiting.discard(request_id)
        self.told.add(request_id)

    async def leave(self, request_id: str) -> None:
        self.waiting.discard(request_id)
        self.told.discard(request_id)
        await self._end_for_nobody()

    async def leader_leaves(self) -> None:
        self.has_leader = False
        self._tell()
        await self._end_for_nobody()

    async def begun_or_over(self) -> None:
        while not (self.has_begun or self.is_over):
            await self._news.wait()

    async def over(self) -> None:
        while not self.is_over:
            await self._news.wait()

    # ── the call ──────────────────────────────────────────────────────────────────────────────────────

    def begin(self, receipt: Receipt) -> None:
        self.receipt = receipt
        self.is_private = receipt.clamped_to is not None  # cut to one caller's money: no other's answer
        self.is_open = self.is_open and not self.is_private
        self.has_begun = True
        self._tell()

    def share(self, attempts: Sequence[Attempt], *, for_all: bool) -> Shares:
        """Who waits for an answer that does not come, or is not for others, pays nothing."""
        self.is_open = False
        self.paying = frozenset(self.told | self.waiting if for_all else self.told)
        self.shares = shared(attempts, len(self.paying))
        return self.shares

    async def add(self, chunk: Chunk) -> None:
        self._chunks.append(chunk)
        self._size += _size(chunk)
        self._tell()
        while self._size > self._most_bytes and len(self._chunks) > 1:
            self.is_open = False
            if self.has_leader and self._read_by_leader <= self._gone:
                await self._news.wait()  # the one whose call it is sets the pace
                continue
            self._size -= _size(self._chunks.pop(0))
            self._gone += 1

    def end(self, error: BaseException | None = None, answer: CachedAnswer | None = None) -> None:
        self.is_open, self.is_over, self.answer = False, True, answer
        self.error = error if isinstance(error, PolyrouteError) else None
        self._tell()

    async def chunks(self, *, leads: bool = False) -> AsyncGenerator[Chunk, None]:
        """From the first on, `Ended` with them. Raises what the call ended in."""
        at = 0
        while True:
            while at < self._gone + len(self._chunks):
                if at < self._gone:
                    raise StreamInterrupted("the answer was read too slowly, beside others who read it too")
                chunk = self._chunks[at - self._gone]
                at += 1
                if leads:
                    self._read_by_leader = at
                    if self._size > self._most_bytes:
                        self._tell()
                yield chunk
                if isinstance(chunk, Ended):
                    return
            if self.is_over:
                raise self.error or StreamInterrupted("the call that was shared was given up")
            await self._news.wait()

    def _tell(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()

    async def _end_for_nobody(self) -> None:
        if self.has_leader or self.waiting or self.told or self.task is None or self.task.done():
            return
        self.is_open = False
        if not (self._chunks and isinstance(self._chunks[-1], Ended)):
            self.task.cancel()
        await asyncio.wait({self.task})


class Heard:
    """What one who joined is told: everything before `Ended`, which comes once its own books are settled."""

    def __init__(self, flight: Flight, request_id: str) -> None:
        self.ended: Ended | None = None
        self._flight = flight
        self._request_id = request_id

    async def chunks(self) -> AsyncGenerator[Chunk, None]:
        try:
            async with aclosing(self._flight.chunks()) as chunks:
                async for chunk in chunks:
                    if isinstance(chunk, Ended):
                        self.ended = chunk
                        return
                    yield chunk
        except ProviderError:
            raise
        except PolyrouteError as exc:
            raise StreamInterrupted(exc.message) from exc

    async def aclose(self) -> None:
        await self._flight.leave(self._request_id)


def _size(chunk: Chunk) -> int:
    match chunk:
        case WireBytes():
            return _OF_CHUNK + len(chunk.data)
        case TextDelta() | ThinkingDelta() | RefusalDelta():
            return _OF_CHUNK + len(chunk.text)
        case ToolCallDelta():
            return _OF_CHUNK + len(chunk.arguments)
        case _:
            return _OF_CHUNK
