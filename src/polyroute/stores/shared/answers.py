"""Answers that replicas share, in Redis or Valkey. Away, slow or full, it knows nothing: a miss, never an error.

The server ends an entry's time itself (PX), so no clock of ours decides on it. A key holds the tenant's and the route's
names as hashes, beside the request's own: what is one tenant's can be found, and made to go, and nothing else with it.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from hashlib import sha256
from typing import cast

import msgspec
from msgspec import Struct, msgpack

from polyroute.errors import StoreError
from polyroute.stores.shared import resp
from polyroute.stores.shared.resp import Connection, encode
from polyroute.types.caching import CachedAnswer, CacheStanding, Found, Place, Purge

_PREFIX = "polyroute:answers:1"  # the number changes with what an entry is
_ANSWER_S = 0.2
_REST_S = 1.0  # after it was away
_MOST_BYTES = 4_000_000  # of one entry: what is longer keeps other calls waiting
_AT_ONCE = 500  # keys in one look


class _Entry(Struct, frozen=True, kw_only=True):
    place: Place
    ttl_s: float
    answer: CachedAnswer


class SharedAnswers:
    """Fulfils the port `AnswerCache`. Connects when it is first needed, and again a second after it was lost."""

    def __init__(self, place: resp.Place) -> None:
        self._place = place
        self._connection: Connection | None = None
        self._connecting = asyncio.Lock()
        self._rests_until_s = 0.0

    async def get(self, place: Place) -> Found | None:
        name = _name(place)
        try:
            connection = await self._connected()
            body, left_ms = await asyncio.gather(
                connection.call(encode("GET", name)), connection.call(encode("PTTL", name))
            )
        except StoreError:
            return None
        if not isinstance(body, bytes):
            return None
        return _read(body, cast("int", left_ms), place)

    async def put(self, place: Place, answer: CachedAnswer, ttl_s: float) -> None:
        body = msgpack.encode(_Entry(place=place, ttl_s=ttl_s, answer=answer))
        if len(body) > _MOST_BYTES:
            return
        with suppress(StoreError):
            connection = await self._connected()
            await connection.call(encode("SET", _name(place), body, "PX", max(int(ttl_s * 1000), 1)))

    async def purge(self, what: Purge) -> int | None:
        gone = 0
        try:
            connection = await self._connected()
            async for names in self._names(connection, what):
                gone += cast("int", await connection.call(encode("UNLINK", *names)))
        except StoreError:
            return None
        return gone

    async def inspect(self, key: str) -> tuple[Place, Found] | None:
        with suppress(StoreError):
            connection = await self._connected()
            async for names in self._names(connection, Purge(key=key)):
                body, left_ms = await asyncio.gather(
                    connection.call(encode("GET", names[0])), connection.call(encode("PTTL", names[0]))
                )
                if isinstance(body, bytes):
                    place = msgpack.decode(body, type=_Entry).place
                    found = _read(body, cast("int", left_ms), place)
                    return None if found is None else (place, found)
        return None

    async def standing(self) -> CacheStanding:
        try:
            connection, count = await self._connected(), 0
            async for names in self._names(connection, Purge()):
                count += len(names)
        except StoreError:
            return CacheStanding(kind=str(self._place))
        return CacheStanding(kind=str(self._place), entries=count)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def _names(self, connection: Connection, what: Purge) -> AsyncGenerator[list[bytes], None]:
        """Of entries that fit, some at a time."""
        wanted = ("*" if part is None else part for part in (_hashed(what.tenant), _hashed(what.route), what.key))
        pattern, cursor = ":".join((_PREFIX, *wanted)), b"0"
        while True:
            reply = await connection.call(encode("SCAN", cursor, "MATCH", pattern, "COUNT", _AT_ONCE))
            cursor, names = cast("tuple[bytes, list[bytes]]", reply)
            if names:
                yield names
            if cursor == b"0":
                return

    async def _connected(self) -> Connection:
        """Raises StoreError."""
        if self._connection is not None and not self._connection.lost.done():
            return self._connection
        now_s = asyncio.get_running_loop().time()
        if now_s < self._rests_until_s:
            raise StoreError(f"the shared store {self._place} is away")
        async with self._connecting:
            if self._connection is not None and not self._connection.lost.done():
                return self._connection
            self._rests_until_s = now_s + _REST_S  # unless it is reached
            self._connection = await resp.connect(self._place, answer_s=_ANSWER_S)
            self._rests_until_s = 0.0
            return self._connection


def _name(place: Place) -> str:
    return f"{_PREFIX}:{_hashed(place.tenant)}:{_hashed(place.route)}:{place.key}"


def _hashed(name: str | None) -> str | None:
    return None if name is None else sha256(name.encode()).hexdigest()


def _read(body: bytes, left_ms: int, place: Place) -> Found | None:
    """None for what is past its time, cannot be read, or is not what was asked for."""
    try:
        entry = msgpack.decode(body, type=_Entry)
    except msgspec.MsgspecError:
        return None
    if left_ms <= 0 or entry.place != place:
        return None
    left_s = left_ms / 1000
    return Found(answer=entry.answer, age_s=max(entry.ttl_s - left_s, 0.0), left_s=left_s)
