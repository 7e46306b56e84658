"""A document's file given another text: whole or not at all, whenever the process or the machine stops.

The text before lies beside it as `NAME.before`. Raises OSError where this process may not write there.
"""

import os
import tempfile
from pathlib import Path

BEFORE = ".before"


def may_replace(file: Path) -> bool:
    return os.access(file, os.W_OK) and os.access(file.parent, os.W_OK)


def replace_text(file: Path, text: str) -> None:
    mode = file.stat().st_mode & 0o7777
    _put(file.with_name(file.name + BEFORE), file.read_bytes(), mode)
    _put(file, text.encode(), mode)


def _put(file: Path, data: bytes, mode: int) -> None:
    descriptor, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    try:
        with os.fdopen(descriptor, "wb") as made:
            made.write(data)
            made.flush()
            os.fchmod(made.fileno(), mode)
            os.fsync(made.fileno())
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
