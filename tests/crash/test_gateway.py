"""A whole gateway killed under load, at any moment and at named ones: what the provider was asked, what the books say
and what callers saw are joined afterwards. `POLYROUTE_KILLS` and `POLYROUTE_CRASH_SEED` as beside.
"""

import asyncio
import itertools
import os
import random
import signal
import sys
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import orjson
import pytest
from tests.journeys.rig import ADMIN, DOCUMENT, ENV, KEY, ask, read_answer, request
from tests.journeys.upstream import Answer, Heard, Upstream, chat, chat_events, stream, upstream

from polyroute.stores.journal.files import journal_paths
from polyroute.stores.sqlite.books import Books, journals_folder
from polyroute.stores.sqlite.files import SCHEMA
from polyroute.stores.sqlite.store import SqliteStore

FREE_PORT = DOCUMENT.replace("auth: keys", "auth: keys, port: 0")  # several tests run at once

POINTS = (
    "after reserve",
    "after the opening",
    "first byte",
    "mid stream",
    "usage seen",
    "before the settlement",
    "after the settlement",
    "before commit",
    "after commit",
    "before the last byte",
    "in recovery",
    "in a management change",
    "in idempotency",
)
_KILLS = int(os.environ.get("POLYROUTE_KILLS", "20"))
_SEED = int(os.environ.get("POLYROUTE_CRASH_SEED", str(random.SystemRandom().randrange(1 << 30))))
_CHAT = "/v1/chat/completions"
_CLIENTS = 8
_NANOS = 97_500  # 11 tokens at 2.50 and 7 at 10.00 USD per million
_LONGEST_LIFE_S = 4.0


class Gateways:
    """One after the other, each until it is dead."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.port = 0
        self.pid = 0

    async def open(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.crash.gateway_child", cwd=Path(__file__).parents[2],
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
            env={**os.environ, **ENV},
        )  # fmt: skip

    async def begin(self, point: str, nth: int) -> bool:
        """False: it died before it served."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{self._file} {nth} {point}\n".encode())
        self.pid = int(await self._told("pid"))
        address = await self._told("address")
        self.port = int(address.rpartition(":")[2]) if address else 0
        return bool(address)

    async def gone(self) -> None:
        await self._told("gone")

    def signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    async def _told(self, word: str) -> str:
        """ "" where it is gone."""
        assert self._process.stdout is not None
        async with asyncio.timeout(30):
            said, _, rest = (await self._process.stdout.readline()).decode().strip().partition(" ")
        assert said in (word, "gone"), said
        return rest if said == word else ""

    async def aclose(self) -> None:
        self._process.kill()
        await self._process.communicate()


class Clients:
    """What callers asked for, and what they saw."""

    def __init__(self, gateways: Gateways, draw: random.Random) -> None:
        self._gateways, self._draw = gateways, draw
        self._numbers = itertools.count()
        self.whole: set[str] = set()
        self.named: dict[str, list[str]] = defaultdict(list)  # idempotency key: the tags sent under it
        self.statuses: Counter[int] = Counter()

    async def until_it_dies(self) -> None:
        await asyncio.gather(*(self._ask_again() for _ in range(_CLIENTS)), self._manage())

    async def _ask_again(self) -> None:
        with suppress(OSError, asyncio.IncompleteReadError, TimeoutError):
            while True:
                await self._ask()

    async def _ask(self) -> None:
        draw, tag = self._draw, f"c{next(self._numbers)}"
        headers, text = {"x-request-id": tag}, tag
        if draw.random() < 0.3:
            name = text = f"k{draw.randrange(40)}"
            headers["idempotency-key"] = name
            self.named[name].append(tag)
            body = ask(text)
        else:
            body = ask(text, stream=draw.random() < 0.5)
        reader, writer = await asyncio.open_connection("127.0.0.1", self._gateways.port)
        try:
            writer.write(request("POST", _CHAT, orjson.dumps(body), key=KEY, headers=headers))
            told = await read_answer(reader)
        finally:
            writer.transport.abort()
        self.statuses[told.status] += 1
        is_own = told.status == 200 and told.is_whole and "x-polyroute-replayed" not in told.headers
        if is_own and (not body.get("stream") or told.events[-1] == "[DONE]"):
            self.whole.add(tag)

    async def _manage(self) -> None:
        with suppress(OSError, asyncio.IncompleteReadError, TimeoutError):
            while True:
                reader, writer = await asyncio.open_connection("127.0.0.1", self._gateways.port)
                try:
                    body = orjson.dumps({"team": "blue", "user": "ann"})
                    writer.write(request("POST", "/admin/keys", body, key=ADMIN))
                    await read_answer(reader)
                finally:
                    writer.transport.abort()


@pytest.fixture
async def provider() -> AsyncIterator[Upstream]:
    async with upstream() as started:
        yield started


def _script(heard: Heard) -> Answer:
    return stream(*chat_events("a", "b", "c")) if heard.json.get("stream") else chat("ok")


async def test_what_was_asked_booked_and_seen_agrees_after_every_kill(tmp_path: Path, provider: Upstream) -> None:
    print(f"POLYROUTE_CRASH_SEED={_SEED}")
    provider.script = _script
    file = tmp_path / "polyroute.yaml"
    file.write_text(FREE_PORT.format(url=provider.url))
    draw = random.Random(_SEED)
    gateways = Gateways(file)
    clients = Clients(gateways, draw)
    await gateways.open()
    try:
        points = [*POINTS, *("-" for _ in POINTS)]
        for number in range(_KILLS):
            point = points[number % len(points)]
            if await gateways.begin(point, draw.choice((1, 2, 7))):
                after_s = draw.uniform(0.05, 0.4) if point == "-" else _LONGEST_LIFE_S
                killer = asyncio.get_running_loop().call_later(after_s, gateways.signal, signal.SIGKILL)
                await clients.until_it_dies()
                await gateways.gone()
                killer.cancel()
        began_s = time.monotonic()
        assert await gateways.begin("-", 1)
        print(f"ready {time.monotonic() - began_s:.2f} s after the last kill")
        gateways.signal(signal.SIGTERM)
        await gateways.gone()
    finally:
        await gateways.aclose()
    rows = _join(tmp_path / "books.db", clients, provider)
    print(f"{_KILLS} kills, {len(provider.log)} calls, {len(clients.whole)} whole answers, {rows} rows")
    assert len(clients.whole) > _KILLS


def _join(path: Path, clients: Clients, provider: Upstream) -> int:
    """Provider, books and callers tell the same. Returns the number of rows."""
    with Books(path) as books:
        assert books.verify() == []
        entries = list(books.entries())
    assert journal_paths(journals_folder(path)) == []
    by_tag = Counter(entry.request.client_request_id for entry in entries)
    assert [tag for tag, count in by_tag.items() if count > 1] == [], "booked twice"
    rows = {entry.request.client_request_id: entry for entry in entries}
    calls = Counter(heard.json["messages"][-1]["content"] for heard in provider.log)
    for text, count in calls.items():
        sent = [rows[tag] for tag in clients.named.get(text, [text]) if tag in rows]
        assert sum(len(entry.attempts) for entry in sent) >= count, f"{text} was called {count} times and booked less"
        assert sum(entry.request.cost_nanos for entry in sent) >= count * _NANOS, f"{text} cost more than is booked"
        if text in clients.named:
            assert count == 1, f"{text} was charged {count} times under one key"
    for tag in clients.whole:
        assert rows[tag].request.state == "settled", f"{tag} was answered whole"
        assert rows[tag].request.cost_nanos == _NANOS, f"{tag} was answered whole, and its cost is not exact"
    settled = [entry for entry in entries if entry.request.state == "settled"]
    assert all(entry.request.cost_nanos == _NANOS for entry in settled)
    return len(entries)


@pytest.mark.parametrize("nth", [1, 2, 3])
async def test_a_kill_inside_a_migration_leaves_a_ledger_that_the_next_start_finishes(
    nth: int, tmp_path: Path, provider: Upstream
) -> None:
    file = tmp_path / "polyroute.yaml"
    file.write_text(FREE_PORT.format(url=provider.url))
    gateways = Gateways(file)
    await gateways.open()
    try:
        assert not await gateways.begin("in migration", nth)
        assert SqliteStore(tmp_path / "books.db").version() == 0, "all of it or nothing"
        assert await gateways.begin("-", 1)
        gateways.signal(signal.SIGTERM)
        await gateways.gone()
    finally:
        await gateways.aclose()
    assert SqliteStore(tmp_path / "books.db").version() == SCHEMA.newest
    with Books(tmp_path / "books.db") as books:
        assert books.verify() == []
