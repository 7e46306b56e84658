"""Runs a program on the examples of its question, in a process that can do nothing else. `confined.py` is that process.

It has a user and network namespace of its own, an empty root, no capability, a seccomp filter that lets no file,
process or socket be opened, and limits on time and memory. Where any of these cannot be had, nothing is run: `problem`
says so, and the gateway does not start.

What was expected never reaches the process: it says what came out, and the comparison is made here.
"""

import ast
import asyncio
import subprocess
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from contextlib import suppress
from tempfile import TemporaryDirectory

import orjson
from msgspec import Struct, field

_CHILD = (sys.executable, "-I", "-m", "polyroute.stages.validation.confined")
_AT_ONCE = 2
_MOST_REPLY = 400_000
_MOST_PROGRAM = 200_000
_CLOSE = 1e-6  # of floats, relative
_PROBE = orjson.dumps({"asked": ">>> 1 + 1\n2\n", "program": "x = 1\n"})


class Outcome(Struct, frozen=True, kw_only=True):
    examples: int = 0
    passed: int = 0
    fault: str | None = None


class Sandbox(Struct, frozen=True, kw_only=True):
    wall_s: float = 5.0  # beside two seconds of CPU
    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))

    async def run(self, asked: str, program: str) -> Outcome:
        async with self.turns:
            return await self._run(asked, program)

    async def _run(self, asked: str, program: str) -> Outcome:
        if len(asked) + len(program) > _MOST_PROGRAM:
            return Outcome(fault=f"more than {_MOST_PROGRAM} characters are not run")
        line = orjson.dumps({"asked": asked, "program": program}, default=str)
        with TemporaryDirectory(prefix="polyroute-") as root:
            child = await asyncio.create_subprocess_exec(*_CHILD, root, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env={})
            try:
                said = await asyncio.wait_for(_talk(child, line), self.wall_s)
            except BaseException as exc:
                with suppress(ProcessLookupError):
                    child.kill()
                await child.wait()
                if isinstance(exc, TimeoutError):
                    return Outcome(fault=f"was not done within {self.wall_s:g} s")
                raise
        return outcome(said)

    def problem(self) -> str | None:
        """Why nothing can be run here; None where it can. Blocks for a moment: asked at the start only."""
        if sys.platform != "linux":
            return "examples are run on Linux only"
        with TemporaryDirectory(prefix="polyroute-") as root:
            try:
                ran = subprocess.run(  # noqa: S603 - our own module, by our own interpreter
                    (*_CHILD, root), input=_PROBE, capture_output=True, timeout=20, check=False, env={}
                )
            except (OSError, subprocess.TimeoutExpired) as exc:
                return f"no confined process could be started: {exc}"
        if ran.returncode != 0 or outcome(ran.stdout) != Outcome(examples=1, passed=1):
            told = ran.stderr.decode(errors="replace").strip().splitlines()
            return f"no process can be confined here: {told[-1] if told else 'it gave no answer'}"
        return None


async def _talk(child: Process, line: bytes) -> bytes:
    assert child.stdin is not None
    assert child.stdout is not None
    with suppress(ConnectionError):
        child.stdin.write(line)
        await child.stdin.drain()
        child.stdin.close()
    said = bytearray()
    while len(said) < _MOST_REPLY and (more := await child.stdout.read(65_536)):
        said += more
    if len(said) >= _MOST_REPLY:
        raise TimeoutError  # it would never come to an end
    await child.wait()
    return bytes(said)


def outcome(said: bytes) -> Outcome:
    """What the process said: a line with the examples before it ran anything, then a line with what came out."""
    lines = said.split(b"\n")
    try:
        wants = [str(want) for want in orjson.loads(lines[0])["wants"]]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return Outcome(fault="the confined process did not start")
    try:
        told = orjson.loads(lines[1])
        gots, fault = [str(got) for got in told["gots"]], told.get("fault")
    except (orjson.JSONDecodeError, KeyError, TypeError, IndexError, AttributeError):
        return Outcome(examples=len(wants), fault="ended before its examples did: out of time or memory")
    passed = sum(same(want, got) for want, got in zip(wants, gots, strict=False))
    return Outcome(examples=len(wants), passed=passed, fault=None if fault is None else str(fault)[:200])


def same(want: str, got: str) -> bool:
    """As text, but for blanks; or as Python values, floats within a relative 1e-6. Of an error only its kind counts."""
    if want.startswith("Traceback") or got.startswith("Traceback"):
        return want.startswith("Traceback") and _error(want) == _error(got)
    want, got = " ".join(want.split()), " ".join(got.split())
    if want == got or (want == "None" and not got):
        return True
    try:
        return _alike(ast.literal_eval(want), ast.literal_eval(got))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return False


def _error(told: str) -> str:
    """The error's class: in a question's traceback it stands on the last line, in ours on the first."""
    lines = [line for line in told.splitlines() if line and not line[0].isspace()]
    line = lines[-1] if lines[0].startswith("Traceback (") else lines[0]
    return (
        line.rpartition("Traceback (most recent call last): ")[2]
        .partition(":")[0]
        .rpartition(" ")[2]
        .rpartition(".")[2]
    )


def _alike(want: object, got: object) -> bool:
    if isinstance(want, list | tuple) and type(want) is type(got) and isinstance(got, list | tuple):
        return len(want) == len(got) and all(map(_alike, want, got))
    if isinstance(want, float) or isinstance(got, float):
        if not (isinstance(want, int | float) and isinstance(got, int | float)):
            return False
        return abs(want - got) <= _CLOSE * max(1.0, abs(want), abs(got))
    return want == got
