"""The files of journals: whose they are, and who may take over a dead process's.

The owner keeps its file locked for life. The operating system lets go of the lock when the process ends, however
it ends; a file whose lock can be taken is nobody's. `flock` and not `fcntl` locks: those are lost as soon as any
descriptor of the file is closed.
"""

import asyncio
import contextlib
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from polyroute.errors import StoreError
from polyroute.stores.journal.lines import Contents, mentions, read_lines

_NOTHING = b""
_TURN_TRIES, _TURN_PAUSE_S = 1000, 0.01  # for another process's recovery to end


class DeadJournal:
    """The file of a process that died, claimed: nobody else recovers it until `done` or `leave`."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self.replica = replica_of(path)
        self._descriptor = descriptor

    def read(self) -> Contents:
        return read_journal(self._path)

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


def read_journal(path: Path, about: str | None = None) -> Contents:
    """What is open or freshly settled in it; with `about`, nothing unless it mentions that request."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:  # its owner ended meanwhile
        content = _NOTHING
    contents = read_lines(content if about is None or mentions(content, about) else _NOTHING)
    for entry in contents.settled:
        entry.replica = replica_of(path)
    return contents


def replica_of(path: Path) -> str:
    """The process that wrote the journal at `path`, which may have had several."""
    return path.stem.partition("-")[0]


class Turn:
    """One process at a time: by default to recover a folder's journals; who comes next finds all of it in the books."""

    def __init__(self, folder: Path, name: str = "recovery") -> None:
        """Raises OSError."""
        self._descriptor = os.open(folder / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def take(self) -> bool:
        return _lock(self._descriptor, fcntl.LOCK_EX)

    def give(self) -> None:
        os.close(self._descriptor)


@asynccontextmanager
async def whole_turn(folder: Path) -> AsyncIterator[None]:
    """A turn, waited for. Raises StoreError."""
    try:
        turn = Turn(folder)
    except OSError as fault:
        raise StoreError(f"the folder {folder} cannot be used: {fault}") from fault
    try:
        for _ in range(_TURN_TRIES):
            if turn.take():
                break
            await asyncio.sleep(_TURN_PAUSE_S)
        else:
            raise StoreError(f"another process is recovering {folder} for too long")
        yield
    finally:
        turn.give()


def create(path: Path) -> int:
    """The descriptor of a new file that is this process's own."""
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return descriptor


def sync_folder(folder: Path) -> None:
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
