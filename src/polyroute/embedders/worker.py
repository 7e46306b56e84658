"""Asks a process of its own for what takes long, so that the event loop never waits: JSON there, JSON and bytes back.

The process starts when it is first asked. One that died, or took too long, is told as WorkerFailed and made anew for
the next question. Long work is asked in pieces, so that a short question between them does not wait for all of it.
The child's side is `answering.py`; which program it is, whoever makes a Worker says.
"""

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping
from contextlib import suppress

import orjson
from msgspec import Struct

from polyroute.errors import WorkerFailed

_WAIT_S = 60.0
_START_S = 300.0  # the first answer: a model may have to be built
_ONE_THREAD = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}  # also: the same sums always
_PASSED_ON = ("HOME", "LANG", "LD_LIBRARY_PATH", "PATH", "POLYROUTE_CACHE", "TMPDIR", "XDG_CACHE_HOME")  # no secret
_MOST_LINE = 64_000_000


class Reply(Struct, frozen=True, kw_only=True):
    told: Mapping[str, object]
    data: bytes = b""


class Worker:
    """One child, one question at a time, in the order they came. Close it in the end."""

    def __init__(self, program: str, *, wait_s: float = _WAIT_S) -> None:
        """`program`: a module that runs `answering.answer`."""
        self._program = program
        self._wait_s = wait_s
        self._child: Process | None = None
        self._turn = asyncio.Lock()
        self._begun: asyncio.Task[Reply] | None = None  # whose turn it is, or was last
        self._beside: list[Worker] = []
        self._under_way: set[asyncio.Task[Reply]] = set()

    async def ask(self, what: str, options: Mapping[str, object]) -> Reply:
        """Who is cancelled leaves the line; what the child has begun it finishes. Raises WorkerFailed."""
        line = orjson.dumps({"ask": what, **options}, default=str) + b"\n"
        task = asyncio.ensure_future(self._answer(what, line))
        self._under_way.add(task)
        task.add_done_callback(self._done)
        try:
            reply = await asyncio.shield(task)
        except asyncio.CancelledError:
            if task is not self._begun:
                task.cancel()
            raise
        if (fault := reply.told.get("fault")) is not None:
            raise WorkerFailed(f"`{what}` failed: {fault}")
        return reply

    async def _answer(self, what: str, line: bytes) -> Reply:
        async with self._turn:
            self._begun = asyncio.current_task()
            child, wait_s = self._child, self._wait_s
            if child is None or child.returncode is not None:
                child = self._child = await self._start()
                wait_s = max(wait_s, _START_S)
            try:
                return await asyncio.wait_for(_exchange(child, line), wait_s)
            except TimeoutError:
                await _end(child)
                raise WorkerFailed(f"`{what}` was not done within {wait_s:g} s; its process was ended") from None
            except (ConnectionError, asyncio.IncompleteReadError, ValueError):
                await _end(child)
                raise WorkerFailed(
                    f"the process that does `{what}` ended (exit {child.returncode}); the next question starts another"
                ) from None

    def _done(self, task: asyncio.Task[Reply]) -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()  # heard, also where nobody waits for it any more

    def beside(self, wait_s: float) -> "Worker":
        """Another child of the same program, for something long; it ends with this one at the latest."""
        other = Worker(self._program, wait_s=wait_s)
        self._beside.append(other)
        return other

    async def aclose(self) -> None:
        for other in self._beside:
            await other.aclose()
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
        if self._child is not None:
            await _end(self._child)
            self._child = None

    @property
    def pid(self) -> int | None:
        """None before it is first asked."""
        return None if self._child is None else self._child.pid

    async def _start(self) -> Process:
        command = (sys.executable, "-I", "-m", self._program)
        environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ} | _ONE_THREAD
        return await asyncio.create_subprocess_exec(
            *command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, limit=_MOST_LINE, env=environment
        )


async def _exchange(child: Process, line: bytes) -> Reply:
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(line)
    await child.stdin.drain()
    told = orjson.loads(await child.stdout.readline())
    return Reply(told=told, data=await child.stdout.readexactly(told.pop("bytes")))


async def _end(child: Process) -> None:
    with suppress(ProcessLookupError):
        child.kill()
    await child.wait()
