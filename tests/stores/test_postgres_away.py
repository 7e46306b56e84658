"""The database is away, in every way it can be: requests go on, and their rows arrive exactly once afterwards.

`POLYROUTE_OUTAGE_S=60` for every way, and longer; `POLYROUTE_OUTAGE_SEED` replays one.
"""

import asyncio
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from tests.journeys.rig import Rig, ask, gateway
from tests.rig.proxy import Proxy, proxy
from tests.rig.servers import Postgres, postgres

from polyroute.errors import StoreError
from polyroute.stores import ledger as ledger_module
from polyroute.stores.journal.files import journal_paths
from polyroute.stores.postgres.store import PostgresStore
from polyroute.testing.stores import a_settlement, an_opening

SEED = int(os.environ.get("POLYROUTE_OUTAGE_SEED", str(random.SystemRandom().randrange(1 << 30))))
OUTAGE_S = float(os.environ.get("POLYROUTE_OUTAGE_S", "0.4"))
PATIENCE_S = 15.0

DOCUMENT = """
server: {{auth: keys}}
store: {{database: "{database}"}}
providers: {{sim: {{dialect: simulated}}}}
models: {{m: {{provider: sim, latency_ms: 0, price: {{input: 1, output: 2}}}}}}
keys: [{{name: ci, key: {{env: CI_KEY}}, team: platform, user: ci}}]
limits: {{per_team_daily_usd: 1000}}
"""


class Stage:
    """A PostgreSQL that may be ill-treated, behind a network that may be, and one gateway's folder."""

    def __init__(self, server: Postgres, network: Proxy, folder: Path, database: str) -> None:
        self.server, self.network, self.folder, self.name = server, network, folder, database
        self.url = f"postgresql://postgres@/{database}?host={folder}"
        self.store = PostgresStore(self.url, folder)
        self.unharmed = PostgresStore(server.url(database), folder)  # not by way of the network

    @property
    def document(self) -> str:
        return DOCUMENT.format(database=self.url)

    async def restart(self) -> None:
        await asyncio.to_thread(self.server.restart)

    def backends_die(self) -> None:
        self.server.run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{self.name}'")

    async def until_tables_are_there(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not await asyncio.to_thread(self.server.run, "SELECT to_regclass('requests')", self.name):
                await asyncio.sleep(0.02)

    async def until_all_are_booked(self, count: int) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while int(await asyncio.to_thread(self.server.run, "SELECT count(*) FROM requests", self.name)) < count:
                await asyncio.sleep(0.02)


@pytest.fixture(scope="module")
def own_server() -> Iterator[Postgres]:
    with postgres() as server:
        yield server


@pytest.fixture
async def stage(own_server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    folder = tmp_path_factory.mktemp("pg")
    name = f"books{os.getpid()}_{folder.name.rpartition('pg')[2]}"
    own_server.run(f"CREATE DATABASE {name}")
    async with proxy(own_server.socket, listen=folder / ".s.PGSQL.5432") as network:
        yield Stage(own_server, network, folder, name)


async def _nothing(stage: Stage) -> None:
    """Nothing more is to be done."""


Move = Callable[[Stage], Awaitable[None]]


def _at_once(do: Callable[[Stage], None]) -> Move:
    async def move(stage: Stage) -> None:
        await asyncio.to_thread(do, stage)

    return move


def _on_network(do: Callable[[Proxy], None]) -> Move:
    async def move(stage: Stage) -> None:
        do(stage.network)

    return move


_mend = _on_network(Proxy.mend)

OUTAGES = {
    "killed": (_at_once(lambda stage: stage.server.server.kill()), Stage.restart),
    "stopped": (
        _at_once(lambda stage: stage.server.server.signal(signal.SIGSTOP)),
        _at_once(lambda stage: stage.server.server.signal(signal.SIGCONT)),
    ),
    "backends terminated": (_at_once(Stage.backends_die), _nothing),
    "black hole": (_on_network(Proxy.hole), _mend),
    "refused": (_on_network(Proxy.refuse), _mend),
    "reset": (_on_network(Proxy.reset), _mend),
    "reset after bytes": (_on_network(lambda network: network.reset(after_bytes=300)), _mend),
    "slow": (_on_network(lambda network: network.delay(0.2)), _mend),
}


async def _call(rig: Rig, *, seconds: float = 0.0, count: int = 1) -> int:
    """How many requests were answered: as many as went into the time, at least `count`."""
    answered, until = 0, time.monotonic() + seconds
    while answered < count or time.monotonic() < until:
        told = await rig.post("/v1/chat/completions", ask(model="m", max_tokens=8))
        assert told.status == 200, told.body
        answered += 1
    return answered


@pytest.mark.parametrize(
    "outage", OUTAGES if OUTAGE_S > 1 else ("killed", "backends terminated", "black hole", "reset")
)
async def test_requests_go_on_and_their_rows_arrive_once(outage: str, stage: Stage) -> None:
    begin, end = OUTAGES[outage]
    print(f"POLYROUTE_OUTAGE_SEED={SEED}")
    draw = random.Random(f"{SEED} {outage}")
    async with gateway(stage.document, stage.folder) as rig:
        answered = await _call(rig, seconds=draw.random() * 0.3)
        await begin(stage)
        try:
            answered += await _call(rig, seconds=OUTAGE_S)
            ready = await rig.get("/health/ready")
            assert ready.status == 200
        finally:
            await end(stage)
        began_s = time.monotonic()
        await stage.until_all_are_booked(answered)
        assert stage.network.connections <= 10
    with stage.unharmed.open_books() as books:
        assert books.verify() == []
        assert sum(figures.calls for figures in books.by_route()) == answered
    print(f"{outage}: {answered} requests, booked {time.monotonic() - began_s:.2f} s after the end")


async def test_a_gateway_starts_without_its_database_and_catches_up(stage: Stage) -> None:
    stage.network.refuse()
    async with gateway(stage.document.replace("limits", "#"), stage.folder) as rig:
        await _call(rig, count=5)
        stage.network.mend()
        await stage.until_tables_are_there()
        await stage.until_all_are_booked(5)


async def test_a_budget_is_not_spent_before_it_is_known_what_was(stage: Stage) -> None:
    stage.network.refuse()
    async with gateway(stage.document, stage.folder) as rig:
        told = await rig.post("/v1/chat/completions", ask(model="m", max_tokens=8))
        assert told.status == 503
        stage.network.mend()
        async with asyncio.timeout(PATIENCE_S):
            while told.status != 200:
                await asyncio.sleep(0.05)
                told = await rig.post("/v1/chat/completions", ask(model="m", max_tokens=8))


async def test_a_long_outage_is_put_aside_in_files_and_outlives_the_process(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_module, "_FULL", 20)
    stage.network.refuse()
    dead = stage.store.open_ledger("process")
    for number in range(110):
        await dead.open(an_opening(f"r{number}"))
        if number % 10:  # others stay open across files
            await dead.settle(a_settlement(f"r{number}"))
    assert dead.pending == 99
    assert len(journal_paths(stage.store.journals)) > 4
    await dead.settle(a_settlement("r10"))
    await dead.settle(a_settlement("r10"))
    with pytest.raises(StoreError, match="differently"):
        await dead.settle(a_settlement("r1", costs=(None,)))
    with pytest.raises(StoreError):
        await dead.drain()
    dead._journal.close()
    stage.network.mend()
    alive = stage.store.open_ledger("process")
    recovery = await alive.recover(an_opening("r").opened_at)
    assert recovery.requests == 10, "r0, r20, … r100"
    await alive.aclose()
    assert journal_paths(stage.store.journals) == []
    with stage.unharmed.open_books() as books:
        assert books.verify() == []
        assert sum(figures.calls for figures in books.by_route()) == 110


async def test_what_was_put_aside_is_booked_when_the_database_is_back(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_module, "_FULL", 20)
    ledger = stage.store.open_ledger("power")
    await ledger.recover(an_opening("r").opened_at)
    stage.network.reset()
    for number in range(100):
        await ledger.open(an_opening(f"r{number}"))
        await ledger.settle(a_settlement(f"r{number}"))
    stage.network.mend()
    await stage.until_all_are_booked(100)
    await ledger.aclose()
    assert journal_paths(stage.store.journals) == []


async def test_an_outage_longer_than_its_room_opens_nothing_new(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_module, "_FULL", 5)
    monkeypatch.setattr(ledger_module, "_MOST_ASIDE_BYTES", 20_000)
    stage.network.refuse()
    ledger = stage.store.open_ledger("process")
    await ledger.open(an_opening("held"))

    async def work() -> None:
        for number in range(100):
            await ledger.open(an_opening(f"r{number}"))
            await ledger.settle(a_settlement(f"r{number}"))

    with pytest.raises(StoreError, match="as many as there may"):
        await work()
    with pytest.raises(StoreError):
        await ledger.check()
    await ledger.settle(a_settlement("held"))
    stage.network.mend()
    await stage.until_tables_are_there()
    async with asyncio.timeout(PATIENCE_S):
        while ledger.pending:
            await asyncio.sleep(0.02)
    await ledger.open(an_opening("again"))
    await ledger.aclose()
