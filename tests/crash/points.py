"""Named moments at which a bookkeeper kills itself, put around the ledger's own steps from outside."""

import os
import signal
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import ParamSpec, TypeVar

from polyroute.stores.journal import journal
from polyroute.stores.journal.lines import Settled
from polyroute.stores.sqlite import booking, ledger

_P = ParamSpec("_P")
_R = TypeVar("_R")


def die() -> None:
    os.write(1, b"reached the point\n")
    os.kill(os.getpid(), signal.SIGKILL)


def arm(point: str, nth: int) -> None:
    """Die when the moment comes for the `nth` time."""
    left = nth

    def is_now() -> bool:
        nonlocal left
        left -= 1
        return left == 0

    def before(step: Callable[_P, _R]) -> Callable[_P, _R]:
        def stepped(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            if is_now():
                die()
            return step(*args, **kwargs)

        return stepped

    def after(step: Callable[_P, _R]) -> Callable[_P, _R]:
        def stepped(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            done = step(*args, **kwargs)
            if is_now():
                die()
            return done

        return stepped

    write, attempts = os.write, booking._attempts

    def half_a_line(descriptor: int, line: bytes) -> int:
        if is_now():
            write(descriptor, line[: len(line) // 2])
            die()
        return write(descriptor, line)

    def half_a_batch(entries: Sequence[Settled]) -> Iterator[tuple[object, ...]]:
        rows = list(attempts(entries))
        yield from rows[: len(rows) // 2]
        if is_now():
            die()
        yield from rows[len(rows) // 2 :]

    def half_a_checkpoint(connection: sqlite3.Connection, path: Path, *, limit_bytes: int) -> None:
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        if is_now():
            die()

    class Writes:  # what the journal's module knows as `os`, without touching everyone's
        def __getattr__(self, name: str) -> object:
            return half_a_line if name == "write" else getattr(os, name)

    match point:
        case "half a line":
            journal.os = Writes()  # type: ignore[attr-defined, assignment]  # a stand-in for the module
        case "half a batch":
            booking._attempts = half_a_batch
        case "committed, not marked":
            ledger.book = after(ledger.book)  # type: ignore[attr-defined]
        case "marked":
            journal.Journal.booked = after(journal.Journal.booked)  # type: ignore[method-assign]
        case "journal written anew":
            Path.replace = before(Path.replace)  # type: ignore[method-assign]
        case "journal replaced":
            Path.replace = after(Path.replace)  # type: ignore[method-assign]
        case "checkpoint":
            ledger.shorten_log = half_a_checkpoint  # type: ignore[attr-defined]
        case _:
            raise ValueError(point)
