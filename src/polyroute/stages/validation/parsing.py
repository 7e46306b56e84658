"""Asks a process of its own to parse: what a text can do there ends there.

A parser may take long, or all memory, over a text made for it. So it runs in a child with a bound on time and memory:
the event loop never waits for it, and one that is over its time is killed and made anew. Children start when they are
first needed. The child's side is `parsers.py`.
"""

import asyncio
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from contextlib import suppress

import orjson
from msgspec import Struct

_CHILDREN = 2
_WAIT_S = 2.0
MOST_CHARS = 400_000
_MOST_REPLY = 1_000_000
_CHILD = (sys.executable, "-I", "-m", "polyroute.stages.validation.parsers")


class Parsed(Struct, frozen=True, kw_only=True):
    """`reason` says why the text is none; None where it is well formed."""

    reason: str | None = None


class Parsers:
    """A few children, each parsing one text at a time. Close it in the end."""

    def __init__(self, children: int = _CHILDREN, wait_s: float = _WAIT_S) -> None:
        self._wait_s = wait_s
        self._free: list[Process] = []
        self._turns = asyncio.Semaphore(children)

    async def parse(self, kind: str, text: str, options: object = None) -> Parsed:
        """`kind` is `python`, a grammar's name, or `sql`."""
        if len(text) > MOST_CHARS:
            return Parsed(reason=f"{len(text)} characters are more than are parsed ({MOST_CHARS})")
        line = orjson.dumps({"kind": kind, "text": _plain(text), "options": options}) + b"\n"
        async with self._turns:
            for _ in range(2):  # a child that had died in the meantime is made anew, once
                child = self._free.pop() if self._free else await self._start()
                try:
                    reply = await asyncio.wait_for(_exchange(child, line), self._wait_s)
                except TimeoutError:
                    await _end(child)
                    return Parsed(reason=f"could not be parsed within {self._wait_s:g} s")
                except (ConnectionError, ValueError):
                    reply = b""
                except BaseException:
                    await _end(child)
                    raise
                if reply:
                    self._free.append(child)
                    return Parsed(reason=orjson.loads(reply)["reason"])
                await _end(child)
        return Parsed(reason="could not be parsed within the memory that a parser has")

    async def aclose(self) -> None:
        while self._free:
            await _end(self._free.pop())

    async def _start(self) -> Process:
        return await asyncio.create_subprocess_exec(*_CHILD, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, limit=_MOST_REPLY)


async def _exchange(child: Process, line: bytes) -> bytes:
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(line)
    await child.stdin.drain()
    return await child.stdout.readline()


async def _end(child: Process) -> None:
    with suppress(ProcessLookupError):
        child.kill()
    await child.wait()


def _plain(text: str) -> str:
    """Half of a surrogate pair is no character, and does not leave the process."""
    return text.encode("utf-8", "replace").decode()
