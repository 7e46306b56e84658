"""A gateway of several workers, as the command starts it: a process of its own with processes below it."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
from tests.journeys.rig import ENV, KEY, PATIENCE_S, Told, ask, read_answer, request

CHAT = "/v1/chat/completions"
_START_S = 30.0


class Gateway:
    def __init__(self, folder: Path, process: asyncio.subprocess.Process) -> None:
        self.folder = folder
        self.process = process
        self.port = 0

    @property
    def log(self) -> str:
        return (self.folder / "said").read_text()

    @property
    def workers(self) -> list[int]:
        """Their processes, in the order of their starts."""
        return children(self.process.pid)

    async def opened(self) -> None:
        assert self.process.stdout is not None
        async with asyncio.timeout(_START_S):
            line = await self.process.stdout.readline()
        assert line, self.log
        self.port = int(json.loads(line)["address"].rpartition(":")[2])

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def ended(self) -> int | None:
        async with asyncio.timeout(_START_S):
            await self.process.communicate()
        return self.process.returncode

    async def until_worker_is_replaced(self, pid: int, count: int) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while pid in (found := self.workers) or len(found) < count:
                await asyncio.sleep(0.01)

    async def call(
        self, method: str, path: str, body: bytes = b"", *, key: str = KEY, headers: Mapping[str, str] | None = None
    ) -> Told:
        """On a connection of its own: any worker may answer."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(request(method, path, body, key=key, headers=headers))
            return await read_answer(reader, method)
        finally:
            writer.transport.abort()

    async def put(self, path: str, body: object, *, key: str) -> Told:
        return await self.call("POST", path, orjson.dumps(body), key=key)

    async def chat(self, text: str = "hello", *, key: str = KEY, headers: Mapping[str, str] | None = None) -> Told:
        return await self.call("POST", CHAT, orjson.dumps(ask(text)), key=key, headers=headers)

    async def try_chat(self, text: str = "hello") -> Told | None:
        """None: the worker died before its answer was whole."""
        try:
            told = await self.chat(text)
        except (OSError, asyncio.IncompleteReadError, TimeoutError):
            return None
        return told if told.is_whole else None


def children(pid: int) -> list[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except FileNotFoundError:
        return []
    return [int(child) for child in text.split() if is_alive(int(child))]


def is_alive(pid: int) -> bool:
    """It runs, and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def start(
    folder: Path, document: str, *, workers: int = 3, port: int = 0, env: Mapping[str, str] = ENV
) -> Gateway:
    """Not waited for."""
    file = folder / "polyroute.yaml"
    file.write_text(document)
    with (folder / "said").open("ab") as said:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "polyroute", "serve", "-c", file, "--port", str(port), "--workers",
            str(workers), "--json",
            stdout=asyncio.subprocess.PIPE, stderr=said, env={**os.environ, **env},
        )  # fmt: skip
    return Gateway(folder, process)


@asynccontextmanager
async def running(
    folder: Path, document: str, *, workers: int = 3, env: Mapping[str, str] = ENV
) -> AsyncIterator[Gateway]:
    gateway = await start(folder, document, workers=workers, env=env)
    try:
        await gateway.opened()
        yield gateway
    finally:
        if gateway.process.returncode is None:
            gateway.process.kill()
        await gateway.process.communicate()
