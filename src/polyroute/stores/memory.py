"""The books of one process, in memory: for a gateway without a store, and for tests. Forgotten when it ends.

Keeps the newest `max_receipts` settled requests; everything else is as the port says.
"""

from collections.abc import Callable
from datetime import datetime

from msgspec import Struct

from polyroute.errors import StoreError
from polyroute.stores.recovery import in_flight
from polyroute.types.receipt import Amended, AttemptOpening, Opening, Receipt, Settlement


class _Open(Struct):
    opening: Opening
    later: list[AttemptOpening]


class MemoryLedger:
    def __init__(self, *, max_receipts: int = 10_000) -> None:
        self.max_receipts = max_receipts
        self._open: dict[str, _Open] = {}
        self._settled: dict[str, Receipt] = {}

    async def open(self, opening: Opening) -> None:
        if opening.request_id in self._open:
            raise StoreError(f"request {opening.request_id} was opened before; it cannot be opened again")
        self._open[opening.request_id] = _Open(opening, [])

    async def open_attempt(self, opening: AttemptOpening) -> None:
        request = self._open.get(opening.request_id)
        if request is None:
            raise StoreError(f"request {opening.request_id} is not open; attempt {opening.id} has no place")
        first = request.opening.attempt
        if any(opening.id == attempt.id for attempt in (*request.later, *([first] if first else []))):
            raise StoreError(f"attempt {opening.id} was opened before")
        request.later.append(opening)

    async def settle(self, settlement: Settlement) -> None:
        before = self._settled.get(settlement.request_id)
        if before is not None and before != settlement.receipt:
            raise StoreError(f"request {settlement.request_id} is settled already, and differently; the first stands")
        self._open.pop(settlement.request_id, None)
        self._settled[settlement.request_id] = settlement.receipt
        if len(self._settled) > self.max_receipts:
            del self._settled[next(iter(self._settled))]

    async def receipt(self, request_id: str) -> Receipt | None:
        settled = self._settled.get(request_id)
        if settled is not None:
            return settled
        request = self._open.get(request_id)
        return in_flight(request.opening, request.later) if request else None

    async def amend(self, request_id: str, change: Callable[[Receipt], Receipt | None]) -> Amended | None:
        before = self._settled.get(request_id)
        if before is None:
            raise StoreError(f"request {request_id} is not settled")
        after = change(before)
        if after is None or after == before:
            return None
        self._settled[request_id] = after
        return Amended(before=before, after=after)

    async def check(self) -> None:
        """Nothing can be in the way."""

    def receipts(self, *, since: datetime | None = None) -> list[Receipt]:
        """What is kept of settled requests, in the order they were settled."""
        return [receipt for receipt in self._settled.values() if since is None or receipt.time >= since]
