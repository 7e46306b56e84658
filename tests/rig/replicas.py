"""Gateways as processes of their own, on one document and one machine: started, killed and started again."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from tests.journeys.rig import Told, read_answer, request

_START_S = 30.0


class Replica:
    def __init__(self, document: Path, env: Mapping[str, str]) -> None:
        self._document, self._env = document, env
        self._process: asyncio.subprocess.Process | None = None
        self.port = 0

    async def start(self) -> None:
        log = self._document.with_suffix(".log")
        with log.open("ab") as said:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "polyroute", "serve", "-c", self._document, "--port", "0", "--json",
                stdout=asyncio.subprocess.PIPE, stderr=said, env={**os.environ, **self._env},
            )  # fmt: skip
        assert self._process.stdout is not None
        async with asyncio.timeout(_START_S):
            line = await self._process.stdout.readline()
        assert line, log.read_text()
        self.port = int(json.loads(line)["address"].rpartition(":")[2])

    async def kill(self) -> None:
        await self._end(signal.SIGKILL)

    async def stop(self) -> None:
        await self._end(signal.SIGTERM)

    async def _end(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)
            await self._process.communicate()

    async def post(self, path: str, body: bytes, *, key: str) -> Told | None:
        """None: the gateway was not there, or died meanwhile."""
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return None
        try:
            writer.write(request("POST", path, body, key=key))
            told = await read_answer(reader)
        except (OSError, asyncio.IncompleteReadError, TimeoutError):
            return None
        finally:
            writer.transport.abort()
        return told if told.is_whole else None


@asynccontextmanager
async def replicas(count: int, document: str, folder: Path, env: Mapping[str, str]) -> AsyncIterator[list[Replica]]:
    file = folder / "polyroute.yaml"
    file.write_text(document)
    made = [Replica(file, env) for _ in range(count)]
    try:
        async with asyncio.TaskGroup() as starting:
            for replica in made:
                starting.create_task(replica.start())
        yield made
    finally:
        await asyncio.gather(*(replica.stop() for replica in made))
