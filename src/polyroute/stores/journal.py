"""Openings on disk: a file per process, one line appended before an upstream is called.

An append is one write to the operating system, which outlives a killed process; `synced` waits for the disk as
well. What was settled since stays in the file until it has grown, then the file is replaced by one that holds only
what is still open. So a request is in doubt where its opening is in a dead process's file and no settlement is in
the books.

The owner keeps its file locked for life. The operating system lets go of the lock when the process ends, however
it ends; a file whose lock can be taken is nobody's. `flock` and not `fcntl` locks: those are lost as soon as any
descriptor of the file is closed.
"""

import asyncio
import contextlib
import fcntl
import os
import secrets
from concurrent.futures import Executor
from pathlib import Path

import msgspec

from polyroute.errors import StoreError
from polyroute.types.receipt import AttemptOpening, Opening

_REQUEST, _ATTEMPT = b"R", b"A"  # a line's first letter; JSON and a line feed follow
_GROWTH = 4  # replaced once it is this many times as long as after the last time
_LIMIT_BYTES = 1 << 20  # and longer than this

_encode = msgspec.json.Encoder().encode
_decode_opening = msgspec.json.Decoder(Opening).decode
_decode_attempt = msgspec.json.Decoder(AttemptOpening).decode


class OpenRequest(msgspec.Struct):
    """A request in flight."""

    opening: Opening
    later: list[AttemptOpening]  # attempts after the first


class Journal:
    """This process's file and what is open in it. Used from one event loop at a time."""

    def __init__(self, folder: Path, *, syncer: Executor | None = None, limit_bytes: int = _LIMIT_BYTES) -> None:
        """`syncer`: a thread that waits for the disk at each opening; None: nobody does. Raises StoreError."""
        self._path = folder / f"{secrets.token_hex(8)}.jsonl"
        self._syncer = syncer
        self._limit_bytes = self._longest = limit_bytes
        self._size = 0
        self._open: dict[str, OpenRequest] = {}
        self._written = self._synced = 0
        self._sync: asyncio.Future[None] | None = None
        try:
            folder.mkdir(exist_ok=True)
            self._descriptor = _create(self._path)
            if syncer is not None:
                _sync_folder(folder)
        except OSError as fault:
            raise self._failed(fault) from fault

    def find(self, request_id: str) -> OpenRequest | None:
        return self._open.get(request_id)

    async def open(self, opening: Opening) -> None:
        if opening.request_id in self._open:
            raise StoreError(f"request {opening.request_id} was opened before; it cannot be opened again")
        self._append(_REQUEST + _line(opening))
        self._open[opening.request_id] = OpenRequest(opening, [])
        if self._syncer is not None:
            await self._until_synced(self._syncer)

    async def open_attempt(self, opening: AttemptOpening) -> None:
        request = self._open.get(opening.request_id)
        if request is None:
            raise StoreError(f"request {opening.request_id} is not open; attempt {opening.id} has no place")
        if any(opening.id == attempt.id for attempt in (request.opening.attempt, *request.later) if attempt):
            raise StoreError(f"attempt {opening.id} was opened before")
        self._append(_ATTEMPT + _line(opening))
        request.later.append(opening)
        if self._syncer is not None:
            await self._until_synced(self._syncer)

    def close_request(self, request_id: str) -> None:
        """Its settlement is in the books."""
        self._open.pop(request_id, None)
        if self._size > self._longest and self._sync is None:
            self._shorten()

    def close(self) -> None:
        """Let go of the file. What is still open in it belongs to nobody from then on."""
        if not self._open:
            with contextlib.suppress(OSError):  # a read-only disk: an unlocked file is nobody's anyway
                self._path.unlink(missing_ok=True)
        os.close(self._descriptor)

    def _append(self, line: bytes) -> None:
        try:
            written = os.write(self._descriptor, line)
        except OSError as fault:
            raise self._failed(fault) from fault
        if written < len(line):  # the disk is full: take back the half, so that the next line starts anew
            os.ftruncate(self._descriptor, self._size)
            raise StoreError(f"the journal {self._path} failed: the disk is full; free some space")
        self._size += written
        self._written += 1

    async def _until_synced(self, syncer: Executor) -> None:
        """One wait for the disk serves every line written before it began."""
        mine = self._written
        while self._synced < mine:
            sync = self._sync or self._begin_sync(syncer)
            await asyncio.wait([sync])  # unlike awaiting it, leaves it alone where this waiter is cancelled
            fault = sync.exception()
            if fault is not None:
                raise self._failed(fault) from fault

    def _begin_sync(self, syncer: Executor) -> asyncio.Future[None]:
        reach = self._written
        self._sync = asyncio.get_running_loop().run_in_executor(syncer, os.fdatasync, self._descriptor)
        self._sync.add_done_callback(lambda ended: self._end_sync(ended, reach))
        return self._sync

    def _end_sync(self, ended: asyncio.Future[None], reach: int) -> None:
        self._sync = None
        if ended.exception() is None:
            self._synced = max(self._synced, reach)

    def _shorten(self) -> None:
        """Replace the file by one with only what is open. Whoever reads meanwhile reads one or the other."""
        lines = b"".join(
            line
            for request in self._open.values()
            for line in (
                _REQUEST + _line(request.opening),
                *(_ATTEMPT + _line(attempt) for attempt in request.later),
            )
        )
        self._longest = max(self._limit_bytes, _GROWTH * len(lines))
        fresh = self._path.with_suffix(".new")
        try:
            descriptor = _create(fresh)
            try:
                if os.write(descriptor, lines) < len(lines):
                    raise OSError("the disk is full")
                if self._syncer is not None:
                    os.fsync(descriptor)
                fresh.replace(self._path)
                if self._syncer is not None:
                    _sync_folder(self._path.parent)
            except OSError:
                os.close(descriptor)
                fresh.unlink(missing_ok=True)
                raise
        except OSError:
            self._longest = self._size * 2  # the long file still serves; try again when it has doubled
            return
        os.close(self._descriptor)
        self._descriptor = descriptor
        self._size = len(lines)

    def _failed(self, fault: BaseException) -> StoreError:
        return StoreError(f"the journal {self._path} failed: {fault}; its folder must be writable and have room")


class DeadJournal:
    """The file of a process that died, claimed: nobody else recovers it until `done` or `leave`."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor
        self.requests = read_journal(path)

    def done(self) -> None:
        """Everything in it is in the books."""
        with contextlib.suppress(OSError):
            self._path.with_suffix(".new").unlink(missing_ok=True)  # it died while it shortened the file
            self._path.unlink(missing_ok=True)
        os.close(self._descriptor)

    def leave(self) -> None:
        os.close(self._descriptor)


def journal_paths(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.jsonl"))


def claim(path: Path) -> DeadJournal | None:
    """The journal at `path` where its owner is dead; None where it lives, or another has claimed it."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:  # gone meanwhile, or another user's: better left than robbed
        return None
    if _lock(descriptor, fcntl.LOCK_EX) and _is_at(descriptor, path):
        return DeadJournal(path, descriptor)
    os.close(descriptor)
    return None


def is_live(path: Path) -> bool:
    """Whether the owner of the journal at `path` may still settle what is in it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError:  # not ours to read
        return True
    try:
        return not _lock(descriptor, fcntl.LOCK_SH) or not _is_at(descriptor, path)
    finally:
        os.close(descriptor)


def read_journal(path: Path) -> list[OpenRequest]:
    """Everything opened in it, in order. A last line without its end was never acknowledged."""
    try:
        lines = path.read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        return []
    requests: dict[str, OpenRequest] = {}
    for line in lines:
        with contextlib.suppress(msgspec.MsgspecError):  # a power cut without `synced` may leave holes
            if line[:1] == _REQUEST:
                opening = _decode_opening(line[1:])
                requests[opening.request_id] = OpenRequest(opening, [])
            elif line[:1] == _ATTEMPT:
                attempt = _decode_attempt(line[1:])
                if attempt.request_id in requests:
                    requests[attempt.request_id].later.append(attempt)
    return list(requests.values())


def _create(path: Path) -> int:
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return descriptor


def _sync_folder(folder: Path) -> None:
    """A name survives a power cut once its folder is on disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether `descriptor` is still the file at `path`, which its living owner may have replaced."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _line(opening: Opening | AttemptOpening) -> bytes:
    try:
        return _encode(opening) + b"\n"
    except UnicodeEncodeError as fault:  # a lone surrogate: not text that any encoding can carry
        raise StoreError(f"a name in the request is not Unicode text ({fault.reason}); it cannot be booked") from fault
