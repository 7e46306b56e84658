"""Answers kept in this process: the least recently read go first, and none is told past its time.

Bounded by entries and bytes. A full cache makes room at the cost of the tenant that writes, where that holds more than
its even share, else of the one that holds the most: nobody can empty it for others, nor learn what they ask. Age is
monotonic: a clock that is set neither ends an answer's time nor lengthens it. Synchronous underneath, on one loop.
"""

from collections import OrderedDict

from msgspec import Struct, msgpack

from polyroute.ports import Monotonic
from polyroute.types.caching import CachedAnswer, CacheStanding, Found, Place, Purge

MOST_ENTRIES = 100_000
MOST_BYTES = 256_000_000
_OVERHEAD = 700  # bytes of an entry beside its answer: the key, the links, the objects


class _Kept(Struct):
    place: Place
    answer: CachedAnswer
    size: int
    since_s: float
    until_s: float


class _Shelf:
    """One tenant's entries, the least recently read first."""

    __slots__ = ("entries", "size")

    def __init__(self) -> None:
        self.entries: OrderedDict[str, _Kept] = OrderedDict()
        self.size = 0


class AnswersInMemory:
    """Fulfils the port `AnswerCache`."""

    def __init__(self, monotonic: Monotonic, *, most_entries: int = MOST_ENTRIES, most_bytes: int = MOST_BYTES) -> None:
        self._monotonic = monotonic
        self._most_entries = most_entries
        self._most_bytes = most_bytes
        self._shelves: dict[str, _Shelf] = {}
        self._entries = 0
        self._size = 0
        self._evicted = 0

    async def get(self, place: Place) -> Found | None:
        shelf = self._shelves.get(place.tenant)
        kept = None if shelf is None else shelf.entries.get(place.key)
        if shelf is None or kept is None:
            return None
        found = self._found(kept)
        if found is None:
            self._drop(shelf, place.key)
        else:
            shelf.entries.move_to_end(place.key)
        return found

    async def put(self, place: Place, answer: CachedAnswer, ttl_s: float) -> None:
        size = len(msgpack.encode(answer)) + _OVERHEAD
        if size > self._most_bytes:
            return
        shelf = self._shelves.setdefault(place.tenant, _Shelf())
        if place.key in shelf.entries:
            self._drop(shelf, place.key)
        while self._entries >= self._most_entries or self._size + size > self._most_bytes:
            self._make_room(shelf)
        shelf = self._shelves.setdefault(place.tenant, shelf)  # it may have been emptied to make room
        now_s = self._monotonic()
        shelf.entries[place.key] = _Kept(place=place, answer=answer, size=size, since_s=now_s, until_s=now_s + ttl_s)
        shelf.size += size
        self._entries += 1
        self._size += size

    async def purge(self, what: Purge) -> int:
        going = [
            (shelf, name)
            for tenant, shelf in self._shelves.items()
            if what.tenant in (None, tenant)
            for name, kept in shelf.entries.items()
            if what.takes(kept.place)
        ]
        for shelf, name in going:
            self._drop(shelf, name)
        return len(going)

    async def inspect(self, key: str) -> tuple[Place, Found] | None:
        for shelf in self._shelves.values():
            for kept in shelf.entries.values():
                if kept.place.key == key and (found := self._found(kept)) is not None:
                    return kept.place, found
        return None

    async def standing(self) -> CacheStanding:
        return CacheStanding(kind="memory", entries=self._entries, bytes=self._size, evicted=self._evicted)

    def _found(self, kept: _Kept) -> Found | None:
        now_s = self._monotonic()
        left_s = kept.until_s - now_s
        return Found(answer=kept.answer, age_s=now_s - kept.since_s, left_s=left_s) if left_s > 0 else None

    def _make_room(self, writer: _Shelf) -> None:
        share = self._most_bytes // max(len(self._shelves), 1)
        shelf = writer
        if not writer.entries or writer.size <= share:
            shelf = max(self._shelves.values(), key=lambda held: held.size)
        self._drop(shelf, next(iter(shelf.entries)))
        self._evicted += 1

    def _drop(self, shelf: _Shelf, name: str) -> None:
        kept = shelf.entries.pop(name)
        shelf.size -= kept.size
        self._entries -= 1
        self._size -= kept.size
        if not shelf.entries:
            self._shelves.pop(kept.place.tenant, None)
