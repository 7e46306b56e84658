"""The shared store is away, in every way it can be: requests go on within limits, or are refused at once, as the
document says; and they are counted by it again soon after it is back.

`POLYROUTE_OUTAGE_S=60` for every way, and longer.
"""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from tests.journeys.rig import Rig, ask, gateway
from tests.rig.proxy import Proxy, proxy
from tests.rig.servers import Valkey

from polyroute.state.accounts.shared import SharedAccounts
from polyroute.stores.shared.resp import connect, encode, parse_place

OUTAGE_S = float(os.environ.get("POLYROUTE_OUTAGE_S", "0.3"))
DOCUMENT = """
server: {{auth: keys}}
store: {{database: "sqlite:///books.db", shared: "unix://{socket}", when_away: {when_away}}}
providers: {{sim: {{dialect: simulated}}}}
models: {{m: {{provider: sim, latency_ms: 0, price: {{input: 1, output: 2}}}}}}
keys: [{{name: ci, key: {{env: CI_KEY}}, team: platform, user: ci}}]
limits: {{per_team_daily_usd: 1000, per_user_per_minute: 100000, per_user_tokens_per_minute: 10000000}}
"""


class Stage:
    def __init__(self, server: Valkey, network: Proxy, socket: Path) -> None:
        self.server, self.network, self.socket = server, network, socket

    async def tell(self, *words: str | int) -> None:
        """A command by another way than the network's."""
        connection = await connect(parse_place(self.server.url), answer_s=5)
        await connection.call(encode(*words))
        connection.close()


@pytest.fixture
async def stage(valkey_server: Valkey, tmp_path: Path) -> AsyncIterator[Stage]:
    socket = tmp_path / "v.sock"
    async with proxy(valkey_server.socket, listen=socket) as network:
        yield Stage(valkey_server, network, socket)


Move = Callable[[Stage], Awaitable[object]]


def _at_once(do: Callable[[Stage], object]) -> Move:
    async def move(stage: Stage) -> None:
        await asyncio.to_thread(do, stage)

    return move


def _on_network(do: Callable[[Proxy], None]) -> Move:
    async def move(stage: Stage) -> None:
        do(stage.network)

    return move


_mend = _on_network(Proxy.mend)

OUTAGES: dict[str, tuple[Move, Move]] = {
    "killed": (_at_once(lambda stage: stage.server.server.kill()), _at_once(lambda stage: stage.server.restart())),
    "stopped": (
        _at_once(lambda stage: stage.server.server.signal(signal.SIGSTOP)),
        _at_once(lambda stage: stage.server.server.signal(signal.SIGCONT)),
    ),
    "paused": (
        lambda stage: stage.tell("CLIENT", "PAUSE", round(OUTAGE_S * 1000), "ALL"),
        lambda stage: stage.tell("CLIENT", "UNPAUSE"),
    ),
    "black hole": (_on_network(Proxy.hole), _mend),
    "refused": (_on_network(Proxy.refuse), _mend),
    "reset after bytes": (_on_network(lambda network: network.reset(after_bytes=100)), _mend),
    "slow": (_on_network(lambda network: network.delay(0.5)), _mend),
    "scripts forbidden": (
        lambda stage: stage.tell("ACL", "SETUSER", "default", "-evalsha", "-script"),
        lambda stage: stage.tell("ACL", "SETUSER", "default", "+@all"),
    ),
    "read-only": (
        lambda stage: stage.tell("REPLICAOF", "127.0.0.1", 1),
        lambda stage: stage.tell("REPLICAOF", "NO", "ONE"),
    ),
    "flushed": (lambda stage: stage.tell("FLUSHALL"), _mend),
}


def _is_away(rig: Rig) -> bool:
    accounts = rig.built.foundation.accounts
    assert isinstance(accounts, SharedAccounts)
    return accounts._link.is_away


async def _until_back(rig: Rig) -> float:
    began = time.monotonic()
    async with asyncio.timeout(5):
        while _is_away(rig):
            await asyncio.sleep(0.01)
    return time.monotonic() - began


@pytest.mark.parametrize("outage", OUTAGES if OUTAGE_S > 1 else ("killed", "stopped", "black hole", "flushed"))
async def test_requests_go_on_with_a_share(outage: str, stage: Stage, tmp_path: Path) -> None:
    begin, end = OUTAGES[outage]
    async with gateway(DOCUMENT.format(socket=stage.socket, when_away="share"), tmp_path) as rig:
        assert not _is_away(rig)
        await _call(rig, seconds=0.1)
        await begin(stage)
        longest = await _call(rig, seconds=OUTAGE_S)
        await end(stage)
        back_s = await _until_back(rig)
        await _call(rig, seconds=0.1)
        assert not _is_away(rig)
    print(f"{outage}: the longest of all requests {longest:.3f} s, in use again after {back_s:.2f} s")
    assert back_s <= 2.5


@pytest.mark.parametrize("outage", ["stopped", "scripts forbidden"])
async def test_or_are_refused_at_once(outage: str, stage: Stage, tmp_path: Path) -> None:
    begin, end = OUTAGES[outage]
    async with gateway(DOCUMENT.format(socket=stage.socket, when_away="refuse"), tmp_path) as rig:
        await _call(rig, seconds=0.1)
        await begin(stage)
        told = await rig.post("/v1/chat/completions", ask(model="m", max_tokens=8))
        assert told.status == 503  # after the time that an answer may take
        began = time.monotonic()
        told = await rig.post("/v1/chat/completions", ask(model="m", max_tokens=8))
        assert told.status == 503
        assert time.monotonic() - began < 0.2
        await end(stage)
        await _until_back(rig)
        await _call(rig, seconds=0.1)


async def test_a_gateway_starts_without_its_shared_store(stage: Stage, tmp_path: Path) -> None:
    stage.network.refuse()
    async with gateway(DOCUMENT.format(socket=stage.socket, when_away="share"), tmp_path) as rig:
        assert _is_away(rig)
        await _call(rig, seconds=0.1)
        stage.network.mend()
        await _until_back(rig)
        await _call(rig, seconds=0.1)


async def _call(rig: Rig, *, seconds: float) -> float:
    """The longest time that a request took."""
    longest, until = 0.0, time.monotonic() + seconds
    while time.monotonic() < until:
        began = time.monotonic()
        told = await rig.post("/v1/chat/completions", ask(model="m", max_tokens=8))
        assert told.status == 200, told.body
        longest = max(longest, time.monotonic() - began)
    return longest
