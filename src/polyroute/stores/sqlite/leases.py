"""Which process owns which open requests, so that nobody recovers what a living process will settle.

Each owner keeps a lock file of its own locked for life. The operating system lets go of the lock when the
process ends, however it ends; a lock that can be taken, or a file that is gone, belongs to nobody.
`flock` and not `fcntl` locks: those are lost as soon as any descriptor of the file is closed.
"""

import contextlib
import fcntl
import os
import secrets
from pathlib import Path

from polyroute.errors import StoreError


class Lease:
    """An owner's name, and the lock that shows it lives."""

    def __init__(self, folder: Path) -> None:
        """Raises StoreError where `folder` cannot hold lock files."""
        self.owner = secrets.token_hex(8)
        self._path = folder / self.owner
        try:
            folder.mkdir(exist_ok=True)
            self._descriptor = os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as fault:
            raise StoreError(f"cannot lock {self._path} ({fault.strerror}); its folder must be writable") from fault

    def release(self) -> None:
        with contextlib.suppress(OSError):  # a full or read-only disk: the unlocked file belongs to nobody anyway
            self._path.unlink(missing_ok=True)
        os.close(self._descriptor)


def leases_folder(path: Path) -> Path:
    """Where the owners of the database at `path` keep their lock files."""
    return path.with_name(path.name + "-owners")


def is_live(folder: Path, owner: str) -> bool:
    try:
        descriptor = os.open(folder / owner, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError:  # not ours to read: its process is better waited for than robbed
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def forget(folder: Path, owner: str) -> None:
    """Remove a dead owner's file."""
    with contextlib.suppress(OSError):
        (folder / owner).unlink(missing_ok=True)
