"""Three gateways as processes behind nginx with our configuration; one is asked to end while everybody talks."""

import asyncio
import re
import shutil
import socket
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest
from tests.journeys.rig import ADMIN, KEY, PATIENCE_S, Told, ask, read_answer, request
from tests.rig.replicas import Replica, replicas

from polyroute.stores.sqlite.books import Books

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/sbin:/usr/local/sbin")
CONFIGURATION = Path(__file__).parents[2] / "deploy" / "nginx" / "polyroute.conf"
CLIENTS, WORDS = 8, 12
DOCUMENT = f"""
server: {{auth: keys, notice_s: 1, drain_s: 20}}
store: {{database: "sqlite:///books.db"}}
providers: {{sim: {{dialect: simulated}}}}
models:
  m: {{provider: sim, latency_ms: 20, tokens_per_s: 40, answer: "{"word " * WORDS}", price: {{input: 1, output: 1}}}}
keys: [{{name: ci, key: {{env: CI_KEY}}, team: platform, user: ci}}]
"""

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")


@asynccontextmanager
async def nginx(fleet: list[Replica], folder: Path) -> AsyncIterator[int]:
    """Its port. The configuration is the deployed one, with the gateways' addresses and a port of ours."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    text = CONFIGURATION.read_text()
    for number, replica in enumerate(fleet, start=1):
        assert f"gateway-{number}:4000" in text
        text = text.replace(f"gateway-{number}:4000", f"127.0.0.1:{replica.port}")
    text = re.sub(r"listen \d+;", f"listen 127.0.0.1:{port};", text)
    folder.mkdir()
    folder.chmod(0o777)  # nginx's worker is somebody else where its master is root
    temporary = " ".join(
        f"{name}_temp_path {folder}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    whole = folder / "nginx.conf"
    whole.write_text(
        f"daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log warn; worker_processes 1;\n"
        f"events {{ worker_connections 512; }}\nhttp {{ access_log off; {temporary}\n{text}\n}}\n"
    )
    assert NGINX is not None
    process = await asyncio.create_subprocess_exec(
        NGINX, "-c", whole, "-e", folder / "error.log", stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(PATIENCE_S):
            while (await call(port, "GET", "/health/live")) is None:
                assert process.returncode is None, await process.communicate()
                await asyncio.sleep(0.01)
        yield port
    finally:
        process.terminate()
        await process.communicate()


async def call(port: int, method: str, path: str, body: bytes = b"") -> Told | None:
    """None where nobody listens."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return None
    try:
        writer.write(request(method, path, body, key=KEY))
        return await read_answer(reader, method)
    finally:
        writer.transport.abort()


async def test_a_gateway_that_ends_under_load_fails_no_request_and_cuts_no_stream(tmp_path: Path) -> None:
    env = {"CI_KEY": KEY, "POLYROUTE_ADMIN_KEY": ADMIN}
    async with replicas(3, DOCUMENT, tmp_path, env) as fleet, nginx(fleet, tmp_path / "nginx") as port:
        assert {(await status(replica.port, "/health/ready")) for replica in fleet} == {200}
        outcomes: Counter[str] = Counter()
        over, is_warm = asyncio.Event(), asyncio.Event()

        async def client(number: int) -> None:
            is_stream = number % 2 == 0
            body = orjson.dumps(ask(model="m", stream=is_stream))
            while not over.is_set():
                told = await call(port, "POST", "/v1/chat/completions", body)
                outcomes[outcome(told, is_stream)] += 1
                if outcomes.total() >= 2 * CLIENTS:
                    is_warm.set()

        async with asyncio.TaskGroup() as group:
            for number in range(CLIENTS):
                group.create_task(client(number))
            async with asyncio.timeout(PATIENCE_S):
                await is_warm.wait()
            leaving, before = fleet[0], outcomes.total()
            ending = asyncio.create_task(leaving.stop())
            async with asyncio.timeout(PATIENCE_S):
                while await status(leaving.port, "/health/ready") == 200:
                    await asyncio.sleep(0.01)
            assert await status(leaving.port, "/health/ready") in (503, None), "it says so before it goes"
            await ending
            async with asyncio.timeout(PATIENCE_S):
                while outcomes.total() < before + 4 * CLIENTS:
                    await asyncio.sleep(0.01)
            over.set()
        assert await status(leaving.port, "/health/live") is None
        assert await status(port, "/health/live") == 200
        assert await status(port, "/metrics") == 404
    assert set(outcomes) == {"a whole answer", "a whole stream"}
    with Books(tmp_path / "books.db") as books:
        assert books.verify() == []
        settled = [entry for entry in books.entries() if entry.request.state == "settled"]
        assert len(settled) == outcomes.total(), "what was answered is booked, once"


async def status(port: int, path: str) -> int | None:
    told = await call(port, "GET", path)
    return None if told is None else told.status


def outcome(told: Told | None, is_stream: bool) -> str:
    if told is None or told.status != 200 or not told.is_whole:
        return "nothing" if told is None else f"{told.status}, whole: {told.is_whole}, {told.body[:200]!r}"
    if not is_stream:
        return "a whole answer"
    words = sum(1 for event in told.events if event != "[DONE]" and event["choices"][0]["delta"].get("content"))
    return "a whole stream" if told.events[-1] == "[DONE]" and words == WORDS else f"a stream of {words} words"
