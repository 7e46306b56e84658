"""This process's journal: openings and settlements, each one appended line.

An append is one write to the operating system, which outlives a killed process; with a syncer the disk is waited
for as well. A settlement stays here until it is in the books; `booked` says so. The file grows until it is long
enough to be replaced by one that holds only what still matters. So a request is in doubt where its opening is in
a dead process's file and its settlement is neither there nor in the books. Where the books are away for long, what
is settled is put aside in sealed files, so that memory does not grow with the outage.
"""

import asyncio
import contextlib
import os
import secrets
from collections.abc import Sequence
from concurrent.futures import Executor
from itertools import islice
from pathlib import Path

from polyroute.errors import StoreError
from polyroute.stores.journal.files import create, sync_folder
from polyroute.stores.journal.lines import (
    MOVED_LINE,
    OpenRequest,
    Settled,
    attempt_line,
    booked_line,
    opening_line,
    settled,
    settled_line,
)
from polyroute.stores.journal.sealed import Sealed
from polyroute.types.receipt import AttemptOpening, Opening, Receipt, Settlement

_GROWTH = 4  # replaced once it is this many times as long as after the last time
_LIMIT_BYTES = 4 << 20  # and longer than this


class Journal:
    """Used from one event loop at a time. What cannot be written is a StoreError, and nothing of it stays."""

    def __init__(self, folder: Path, *, syncer: Executor | None = None, limit_bytes: int = _LIMIT_BYTES) -> None:
        """`syncer`: a thread that waits for the disk at each line; None: nobody does. Raises StoreError."""
        self.replica = secrets.token_hex(8)
        self.sealed: list[Sealed] = []  # the oldest first
        self._path = folder / f"{self.replica}.jsonl"
        self._seals = 0
        self._syncer = syncer
        self._limit_bytes = self._longest = limit_bytes
        self._size = 0
        self._open: dict[str, OpenRequest] = {}
        self._settled: dict[str, Settled] = {}  # in the order of their lines
        self._written = self._synced = 0
        self._sync: asyncio.Future[None] | None = None
        self._is_torn = False  # half a line is at its end
        self._is_doubtful = False  # the disk failed: nobody knows which lines it has
        try:
            folder.mkdir(exist_ok=True)
            self._descriptor = self._fresh_file(self._path, b"")
            if syncer is not None:
                sync_folder(folder)
        except OSError as fault:
            raise self._failed(fault) from fault

    @property
    def pending(self) -> int:
        """Settlements that are not known to be in the books."""
        return len(self._settled)

    def find(self, request_id: str) -> OpenRequest | None:
        return self._open.get(request_id)

    def settled_receipt(self, request_id: str) -> Receipt | None:
        """Of a settlement that is not known to be in the books."""
        entry = self._settled.get(request_id)
        return None if entry is None else entry.settlement.receipt

    def oldest_settled(self, count: int) -> list[Settled]:
        return list(islice(self._settled.values(), count))

    async def open(self, opening: Opening) -> None:
        if opening.request_id in self._open or opening.request_id in self._settled:
            raise StoreError(f"request {opening.request_id} was opened before; it cannot be opened again")
        self._append(opening_line(opening))
        self._open[opening.request_id] = OpenRequest(opening)
        if self._syncer is not None:
            await self.until_synced()

    async def open_attempt(self, opening: AttemptOpening) -> None:
        request = self._open.get(opening.request_id)
        if request is None:
            raise StoreError(f"request {opening.request_id} is not open; attempt {opening.id} has no place")
        if any(opening.id == attempt.id for attempt in (request.opening.attempt, *request.later) if attempt):
            raise StoreError(f"attempt {opening.id} was opened before")
        self._append(attempt_line(opening))
        request.later += (opening,)
        if self._syncer is not None:
            await self.until_synced()

    def settle(self, settlement: Settlement) -> Settled:
        """Outlives the process when this returns; the machine's power once `until_synced` has."""
        request = self._open.get(settlement.request_id)
        entry = settled(settlement, request.opening.reserved_usd if request else None, self.replica)
        self._append(settled_line(entry))
        entry.end = self._size
        self._settled[settlement.request_id] = entry
        if request is not None:
            del self._open[settlement.request_id]
        return entry

    def booked(self, entries: Sequence[Settled]) -> None:
        """The oldest settlements, these, are in the books. Those that were put aside meanwhile are booked again."""
        is_here = entries[-1].settlement.request_id in self._settled
        for entry in entries:
            self._settled.pop(entry.settlement.request_id, None)
        if not is_here:
            return
        if self._size > self._longest:
            self._shorten()
        else:
            with contextlib.suppress(StoreError):  # a mark only saves readers work
                self._append(booked_line(entries[-1].end))

    @property
    def sealed_count(self) -> int:
        return sum(sealed.count for sealed in self.sealed)

    @property
    def sealed_bytes(self) -> int:
        return sum(sealed.size for sealed in self.sealed)

    def seal(self) -> None:
        """Put everything settled aside, and go on with what is open in a fresh file."""
        lines: list[bytes] = []
        for request in self._open.values():
            lines.append(opening_line(request.opening))
            lines += map(attempt_line, request.later)
        content = b"".join(lines)
        path = self._path.with_name(f"{self.replica}-{self._seals + 1}.jsonl")
        try:
            if self._is_doubtful:
                self._replace_file()
            elif self._is_torn:
                self._mend()
            descriptor = self._fresh_file(path, content)
            with contextlib.suppress(OSError):  # without it readers look for the open ones in the other file too
                os.write(self._descriptor, MOVED_LINE)
            if self._syncer is not None:
                os.fdatasync(self._descriptor)
                sync_folder(path.parent)
        except OSError as fault:
            raise self._failed(fault) from fault
        self._seals += 1
        self.sealed.append(Sealed(self._path, self._descriptor, count=len(self._settled), size=self._size))
        self._path, self._descriptor, self._size = path, descriptor, len(content)
        self._settled = {}
        self._synced = self._written

    def drop_oldest_sealed(self) -> None:
        """It is in the books."""
        self.sealed.pop(0).drop()

    async def until_synced(self) -> None:
        """Until the disk has every line written so far. One wait serves all; at once where nobody has to wait."""
        mine = self._written
        while self._syncer is not None and self._synced < mine:
            sync = self._sync or self._begin_sync(self._syncer)
            await asyncio.wait([sync])  # unlike awaiting it, leaves it alone where this waiter is cancelled
            fault = sync.exception()
            if fault is not None and self._synced < mine:
                raise self._failed(fault) from fault

    def close(self) -> None:
        """Let go of the file. What still matters in it belongs to nobody from then on."""
        if not self._open and not self._settled:
            with contextlib.suppress(OSError):  # a read-only disk: an unlocked file is nobody's anyway
                self._path.unlink(missing_ok=True)
        os.close(self._descriptor)
        for sealed in self.sealed:
            sealed.leave()

    def _append(self, line: bytes) -> None:
        try:
            if self._is_doubtful:
                self._replace_file()
            elif self._is_torn:
                self._mend()
            written = os.write(self._descriptor, line)
        except OSError as fault:
            raise self._failed(fault) from fault
        if written < len(line):  # the disk is full: take back the half, so that the next line starts anew
            self._is_torn = True
            with contextlib.suppress(OSError):
                self._mend()
            raise StoreError(f"the journal {self._path} failed: the disk is full; free some space")
        self._size += written
        self._written += 1

    def _mend(self) -> None:
        os.ftruncate(self._descriptor, self._size)
        self._is_torn = False

    def _begin_sync(self, syncer: Executor) -> asyncio.Future[None]:
        reach = self._written
        self._sync = asyncio.get_running_loop().run_in_executor(syncer, os.fdatasync, self._descriptor)
        self._sync.add_done_callback(lambda ended: self._end_sync(ended, reach))
        return self._sync

    def _end_sync(self, ended: asyncio.Future[None], reach: int) -> None:
        self._sync = None
        if ended.exception() is None:
            self._synced = max(self._synced, reach)
        elif self._synced < reach:
            # After a failed fsync the kernel may call lost pages clean, and the next fsync a success:
            # https://lwn.net/Articles/752063/. So everything is written anew, to another file.
            self._is_doubtful = True

    def _shorten(self) -> None:
        try:
            self._replace_file()
        except OSError:
            self._longest = self._size * 2  # the long file still serves; try again when it has doubled

    def _replace_file(self) -> None:
        """Put one with only what matters in its place. Whoever reads meanwhile reads one or the other."""
        lines: list[bytes] = []
        for request in self._open.values():
            lines.append(opening_line(request.opening))
            lines += map(attempt_line, request.later)
        ends: list[int] = []
        size = sum(map(len, lines))
        for entry in self._settled.values():
            lines.append(settled_line(entry))
            size += len(lines[-1])
            ends.append(size)
        descriptor = self._fresh_file(self._path, b"".join(lines))
        if self._sync is None:
            os.close(self._descriptor)
        else:  # a thread waits for the disk with the old one
            old = self._descriptor
            self._sync.add_done_callback(lambda _: os.close(old))
        self._descriptor, self._size = descriptor, size
        self._longest = max(self._limit_bytes, _GROWTH * size)
        for entry, end in zip(self._settled.values(), ends, strict=True):
            entry.end = end
        self._is_torn = False
        if self._syncer is not None:
            self._is_doubtful = True  # until the folder has the name
            sync_folder(self._path.parent)
        self._is_doubtful = False
        self._synced = self._written

    def _fresh_file(self, path: Path, content: bytes) -> int:
        """Takes its name only once it is whole and locked: before, others would take it for a dead process's."""
        fresh = path.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        descriptor = create(fresh)
        try:
            if os.write(descriptor, content) < len(content):
                raise OSError("the disk is full")
            if self._syncer is not None:
                os.fsync(descriptor)
            fresh.replace(path)
        except OSError:
            os.close(descriptor)
            fresh.unlink(missing_ok=True)
            raise
        return descriptor

    def _failed(self, fault: BaseException) -> StoreError:
        return StoreError(f"the journal {self._path} failed: {fault}; its folder must be writable and have room")
