"""A machine's disk in memory: what the journals' code knows as `os`, `fcntl` and `Path`.

Outlives its processes. A killed one loses its locks and descriptors, and may leave half a line; a power cut also takes
what nobody waited for. A full disk takes half a line and then nothing.
"""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.simulation.loop import LIFE, Killed, Life

from polyroute.stores.journal import files, journal, sealed


class Inode:
    def __init__(self) -> None:
        self.data = bytearray()
        self.synced = b""


class _Open:
    def __init__(self, inode: Inode, life: Life | None) -> None:
        self.inode, self.life = inode, life
        self.lock = 0


class SimPath:
    """As much of a `Path` as the journals use."""

    def __init__(self, disk: "Disk", name: str) -> None:
        self._disk, self.name = disk, name

    def __truediv__(self, name: str) -> "SimPath":
        return SimPath(self._disk, name)

    def __str__(self) -> str:
        return self.name

    def __lt__(self, other: "SimPath") -> bool:
        return self.name < other.name

    @property
    def stem(self) -> str:
        return self.name.rpartition(".")[0]

    @property
    def parent(self) -> "SimPath":
        return SimPath(self._disk, "")

    def with_suffix(self, suffix: str) -> "SimPath":
        return SimPath(self._disk, self.stem + suffix)

    def with_name(self, name: str) -> "SimPath":
        return SimPath(self._disk, name)

    def mkdir(self, *, exist_ok: bool) -> None:
        """There is one folder."""

    def glob(self, pattern: str) -> Iterator["SimPath"]:
        return iter([SimPath(self._disk, name) for name in self._disk.names if name.endswith(pattern[1:])])

    def read_bytes(self) -> bytes:
        return bytes(self.stat().data)

    def stat(self) -> Inode:
        try:
            return self._disk.names[self.name]
        except KeyError:
            raise FileNotFoundError(self.name) from None

    def unlink(self, *, missing_ok: bool = False) -> None:
        self._disk.touched()
        if self._disk.names.pop(self.name, None) is None and not missing_ok:
            raise FileNotFoundError(self.name)

    def replace(self, other: "SimPath") -> None:
        self._disk.touched()
        self._disk.names[other.name] = self._disk.names.pop(self.name)


class Disk:
    path = os.path

    def __init__(self) -> None:
        self.names: dict[str, Inode] = {"": Inode()}  # the folder itself
        self.is_full = False
        self._open: dict[int, _Open] = {}
        self._next = 1000
        self.journals = 0
        self.on_kill: Any = None

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)  # O_CREAT and its like

    def touched(self) -> Life | None:
        """Somebody uses it: never one who is dead."""
        life = LIFE.get()
        if life is not None and life.is_dead:
            raise Killed
        return life

    def open(self, path: SimPath, flags: int, mode: int = 0o600) -> int:
        life = self.touched()
        found = self.names.get(path.name)
        if found is None and not flags & os.O_CREAT:
            raise FileNotFoundError(path.name)
        if found is None:
            found = self.names[path.name] = Inode()
        elif flags & os.O_EXCL and flags & os.O_CREAT:
            raise FileExistsError(path.name)
        self._next += 1
        self._open[self._next] = _Open(found, life)
        return self._next

    def close(self, descriptor: int) -> None:
        self.touched()
        self._open.pop(descriptor, None)

    def write(self, descriptor: int, data: bytes) -> int:
        life = self.touched()
        inode = self._find(descriptor)
        if life is not None and life.writes_left is not None:
            life.writes_left -= 1
            if life.writes_left < 0:
                inode.data += data[: len(data) // 2]
                self.on_kill(life)
                raise Killed
        if self.is_full and data:
            if len(data) < 2:
                raise OSError(errno.ENOSPC, "No space left on device")
            inode.data += data[: len(data) // 2]
            return len(data) // 2
        inode.data += data
        return len(data)

    def ftruncate(self, descriptor: int, size: int) -> None:
        self.touched()
        del self._find(descriptor).data[size:]

    def fsync(self, descriptor: int) -> None:
        self.touched()
        inode = self._find(descriptor)
        inode.synced = bytes(inode.data)

    fdatasync = fsync

    def fstat(self, descriptor: int) -> Inode:
        return self._find(descriptor)

    def _find(self, descriptor: int) -> Inode:
        try:
            return self._open[descriptor].inode
        except KeyError:
            raise OSError(errno.EBADF, "Bad file descriptor") from None

    def flock(self, descriptor: int, kind: int) -> None:
        mine = self._open[descriptor]
        wanted = kind & ~fcntl.LOCK_NB
        for other in self._open.values():
            if other is not mine and other.inode is mine.inode and fcntl.LOCK_EX in (other.lock, wanted) and other.lock:
                raise BlockingIOError
        mine.lock = wanted

    def lost(self, life: Life) -> None:
        """The system closes what a dead process had open."""
        for descriptor in [number for number, opened in self._open.items() if opened.life is life]:
            del self._open[descriptor]

    def power_cut(self) -> None:
        """Only what was waited for is there."""
        for inode in self.names.values():
            inode.data = bytearray(inode.synced)

    def holds(self, mark: bytes) -> bool:
        return any(mark in inode.data for inode in self.names.values())


class _Os:
    """In the modules' place of `os`, of whichever disk is in use."""

    class path:  # noqa: N801 - as it is called there
        @staticmethod
        def samestat(one: Inode, other: Inode) -> bool:
            return one is other

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    def __getattr__(self, name: str) -> Any:
        return getattr(self._disk, name)


class _Locks:
    LOCK_EX, LOCK_SH, LOCK_NB = fcntl.LOCK_EX, fcntl.LOCK_SH, fcntl.LOCK_NB

    def __init__(self, disk: Disk) -> None:
        self.flock = disk.flock


class _Names:
    """One after the other: a history can be told again."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    def token_hex(self, size: int) -> str:
        self._disk.journals += 1
        return f"{self._disk.journals:016x}"


@contextmanager
def in_use(disk: Disk) -> Iterator[SimPath]:
    """The journals' code works on `disk`; its folder."""
    modules: tuple[Any, ...] = (files, journal, sealed)
    stand_ins = {"os": _Os(disk), "fcntl": _Locks(disk), "secrets": _Names(disk)}
    before = [(module, name, vars(module)[name]) for module in modules for name in stand_ins if name in vars(module)]
    for module, name, _ in before:
        setattr(module, name, stand_ins[name])
    try:
        yield SimPath(disk, "")
    finally:
        for module, name, value in before:
            setattr(module, name, value)
