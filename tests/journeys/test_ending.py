"""Asked to end: ready says so first, what is under way is finished; replicas restarted in turn fail nobody."""

import asyncio
import json
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import orjson
import pytest
from tests.journeys.rig import DOCUMENT, ENV, KEY, PATIENCE_S, Told, ask, read_answer, request
from tests.journeys.upstream import Answer, Heard, Upstream, chat, chat_events, stream

from polyroute.stores.sqlite.books import Books

CHAT = "/v1/chat/completions"


class Gateway:
    """A process of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port = 0

    async def start(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "polyroute", "serve", "-c", self._folder / "polyroute.yaml", "--port", "0", "--json",
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL, env=ENV,
        )  # fmt: skip
        assert self.process.stdout is not None
        async with asyncio.timeout(30):
            self.port = int(json.loads(await self.process.stdout.readline())["address"].rpartition(":")[2])

    def ask_to_end(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    async def ended(self) -> int | None:
        async with asyncio.timeout(PATIENCE_S):
            await self.process.communicate()
        return self.process.returncode

    async def listens_no_more(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            with suppress(OSError, asyncio.IncompleteReadError):
                while True:
                    await self.call("GET", "/health/live")
                    await asyncio.sleep(0.02)

    async def kill(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self.process.communicate()

    async def call(self, method: str, path: str, body: bytes = b"") -> Told:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(request(method, path, body, key=KEY))
            return await read_answer(reader, method)
        finally:
            writer.transport.abort()

    async def chat(self, **more: object) -> Told:
        return await self.call("POST", CHAT, orjson.dumps(ask(**more)))  # type: ignore[arg-type]


def write(folder: Path, provider: Upstream, server: str) -> None:
    (folder / "polyroute.yaml").write_text(DOCUMENT.format(url=provider.url).replace("auth: keys", server))


@pytest.fixture
async def gateway(provider: Upstream, tmp_path: Path) -> AsyncIterator[Gateway]:
    write(tmp_path, provider, "auth: keys, notice_s: 0.4, drain_s: 5")
    started = Gateway(tmp_path)
    await started.start()
    yield started
    await started.kill()


async def test_ready_goes_off_first_and_what_is_under_way_is_finished(
    gateway: Gateway, provider: Upstream, tmp_path: Path
) -> None:
    go_on = asyncio.Event()
    provider.script = lambda heard: (
        stream(*chat_events("a")[:2], go_on, *chat_events("a")[2:])
        if heard.json.get("stream")
        else Answer(pieces=(go_on, *chat("late").pieces), chunked=True)
    )
    asking = [asyncio.create_task(gateway.chat(stream=streams)) for streams in (True, False)]
    while len(provider.log) < 2:
        await asyncio.sleep(0.01)
    assert (await gateway.call("GET", "/health/ready")).status == 200
    gateway.ask_to_end()
    while (told := await gateway.call("GET", "/health/ready")).status != 503:
        await asyncio.sleep(0.01)
    assert told.headers["connection"] == "close"
    assert (await gateway.call("GET", "/health/live")).status == 200, "who comes still is served"
    await gateway.listens_no_more()
    go_on.set()
    answers = await asyncio.gather(*asking)
    assert [(told.status, told.is_whole) for told in answers] == [(200, True)] * 2
    assert answers[0].events[-1] == "[DONE]"
    assert await gateway.ended() == 0
    with Books(tmp_path / "books.db") as books:
        assert books.verify() == []
        assert {receipt.state for receipt in books.recent()} == {"settled"}


async def test_work_whose_caller_left_is_waited_for(gateway: Gateway, provider: Upstream, tmp_path: Path) -> None:
    go_on = asyncio.Event()
    provider.script = lambda heard: Answer(pieces=(go_on, *chat("late").pieces), chunked=True)
    _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(request("POST", CHAT, orjson.dumps(ask()), headers={"idempotency-key": "k"}))
    await provider.arrived.wait()
    writer.transport.abort()
    gateway.ask_to_end()
    await gateway.listens_no_more()
    go_on.set()
    assert await gateway.ended() == 0
    with Books(tmp_path / "books.db") as books:
        assert [receipt.state for receipt in books.recent()] == ["settled"]


async def test_what_does_not_end_in_time_is_ended_and_booked(provider: Upstream, tmp_path: Path) -> None:
    write(tmp_path, provider, "auth: keys, notice_s: 0, drain_s: 0.3")
    gateway = Gateway(tmp_path)
    await gateway.start()
    provider.script = lambda heard: Answer(end="hang")
    asking = asyncio.create_task(gateway.chat())
    await provider.arrived.wait()
    gateway.ask_to_end()
    assert await gateway.ended() == 0
    await asyncio.gather(asking, return_exceptions=True)
    with Books(tmp_path / "books.db") as books:
        assert books.verify() == []
        assert [receipt.state for receipt in books.recent()] == ["cancelled"]


class Balancer:
    """Sends each connection to a replica that calls itself ready, as those in front of replicas do."""

    def __init__(self, replicas: list[Gateway]) -> None:
        self._replicas = replicas
        self._turn = 0
        self._ready = set(range(len(replicas)))
        self._tasks: set[asyncio.Task[None]] = set()

    async def look(self) -> None:
        while True:
            for number, replica in enumerate(self._replicas):
                try:
                    is_ready = (await replica.call("GET", "/health/ready")).status == 200
                except (OSError, asyncio.IncompleteReadError):
                    is_ready = False
                (self._ready.add if is_ready else self._ready.discard)(number)
            await asyncio.sleep(0.03)

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._turn += 1
        number = sorted(self._ready)[self._turn % len(self._ready)]
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._replicas[number].port)
        try:
            await asyncio.gather(_pass_on(reader, far_writer), _pass_on(far_reader, writer))
        finally:
            far_writer.transport.abort()
            writer.transport.abort()
            self._tasks.discard(task)

    async def ended(self) -> None:
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while piece := await reader.read(1 << 16):
            writer.write(piece)
            await writer.drain()
        writer.write_eof()


async def test_replicas_restarted_one_after_the_other_fail_no_request(provider: Upstream, tmp_path: Path) -> None:
    write(tmp_path, provider, "auth: keys, notice_s: 0.3, drain_s: 5")

    def script(heard: Heard) -> Answer:
        return stream(*chat_events("a", "b", "c")) if heard.json.get("stream") else chat("ok")

    provider.script = script
    replicas = [Gateway(tmp_path) for _ in range(3)]
    await asyncio.gather(*(replica.start() for replica in replicas))
    balancer = Balancer(replicas)
    server = await asyncio.start_server(balancer.accept, "127.0.0.1", 0)
    door = Gateway(tmp_path)
    door.port = server.sockets[0].getsockname()[1]
    looking = asyncio.create_task(balancer.look())
    outcomes: Counter[str] = Counter()
    over = asyncio.Event()

    async def client(number: int) -> None:
        while not over.is_set():
            told = await door.chat(stream=number % 2 == 0)
            whole = told.is_whole and (number % 2 or told.events[-1] == "[DONE]")
            outcomes["good" if told.status == 200 and whole else f"{told.status} {told.is_whole}"] += 1
            await asyncio.sleep(0.02)

    clients = [asyncio.create_task(client(number)) for number in range(6)]
    try:
        for replica in replicas:
            replica.ask_to_end()
            assert await replica.ended() == 0
            await replica.start()
    finally:
        over.set()
        looking.cancel()
        failures = [told for told in await asyncio.gather(*clients, return_exceptions=True) if told is not None]
        await asyncio.gather(looking, return_exceptions=True)
        server.close()
        await balancer.ended()
        for replica in replicas:
            await replica.kill()
    assert failures == []
    assert set(outcomes) == {"good"}
    assert outcomes["good"] > 60
    with Books(tmp_path / "books.db") as books:
        assert len([entry for entry in books.entries() if entry.request.state == "settled"]) == outcomes["good"]
