"""A full gateway: who waits, who is refused and how, and what is answered whatever comes.

`late_ms: 0.0001` makes every turn a late one, so that it is full with as many as `least` under way.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest
from tests.journeys.rig import DOCUMENT, ENV, KEY, PATIENCE_S, Connection, Rig, Told, ask, ask_claude, gateway, request
from tests.journeys.upstream import Answer, Heard, Upstream, chat

CHAT = "/v1/chat/completions"
RED_KEY = "pk-red-0123456789abcdef"
HOST = {"host": "gateway"}


def document(provider: Upstream, settings: str) -> str:
    served = f"server: {{{{auth: keys, {settings.replace('{', '{{').replace('}', '}}')}}}}}"
    keys = "keys:\n  - {{name: red, key: {{env: RED_KEY}}, team: red, user: red}}"
    return DOCUMENT.replace("server: {{auth: keys}}", served).replace("keys:", keys).format(url=provider.url)


@asynccontextmanager
async def full(provider: Upstream, folder: Path, settings: str = "") -> AsyncIterator[tuple[Rig, "Held"]]:
    """Two are under way, and no more may be than one; what they wait for is `Held`."""
    held = Held(provider)
    bounds = f"late_ms: 0.0001, least: 1, {settings}"
    async with gateway(document(provider, f"overload: {{{bounds}}}"), folder, {**ENV, "RED_KEY": RED_KEY}) as rig:
        first = [await rig.send(held.asking(name)) for name in ("first", "second")]
        await held.heard(2)
        async with asyncio.timeout(PATIENCE_S):
            while rig.built.services.crowd.limit.requests != 1:
                await asyncio.sleep(0.005)
        try:
            yield rig, held
        finally:
            held.let_go("first", "second")
            for connection in first:
                assert (await connection.read()).status == 200


class Held:
    """Requests named by their text; each is answered once it is let go."""

    def __init__(self, provider: Upstream) -> None:
        self._provider = provider
        self._gates: dict[str, asyncio.Event] = {}
        provider.script = self._script

    @property
    def names(self) -> list[str]:
        return [heard.json["messages"][0]["content"] for heard in self._provider.log]

    def let_go(self, *names: str) -> None:
        for name in names:
            self._gate(name).set()

    async def heard(self, count: int) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while len(self._provider.log) < count:
                await asyncio.sleep(0.005)

    def asking(
        self, name: str, key: str = KEY, headers: Mapping[str, str] | None = None, metadata: object = None
    ) -> bytes:
        body = ask(name) if metadata is None else ask(name, metadata=metadata)
        return request("POST", CHAT, orjson.dumps(body), key=key, headers=headers)

    def _gate(self, name: str) -> asyncio.Event:
        return self._gates.setdefault(name, asyncio.Event())

    def _script(self, heard: Heard) -> Answer:
        answer = chat("ok")
        return Answer(pieces=(self._gate(heard.json["messages"][0]["content"]), *answer.pieces))


async def waiting(rig: Rig, count: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while rig.built.services.crowd.waiting != count:
            await asyncio.sleep(0.005)


def refusal(told: Told) -> tuple[int, bool]:
    return told.status, int(told.headers["retry-after"]) >= 1


async def test_who_cannot_be_served_is_told_in_the_doors_shape_and_when_to_come_again(
    provider: Upstream, tmp_path: Path
) -> None:
    async with full(provider, tmp_path, "burst_s: 0, wait_ms: 0") as (rig, held):
        told = await rig.post(CHAT, ask(), headers={"x-request-id": "mine-1"})
        assert refusal(told) == (503, True)
        assert (told.json["error"]["type"], told.json["error"]["code"]) == ("overloaded_error", "overloaded")
        assert told.headers["x-request-id"] == "mine-1"
        assert told.headers["x-polyroute-request-id"].startswith("req")
        told = await rig.post("/v1/messages", ask_claude())
        assert refusal(told) == (503, True)
        assert (told.json["type"], told.json["error"]["type"]) == ("error", "overloaded_error")
        told = await rig.post("/v1beta/models/gpt:generateContent", {"contents": []})
        assert refusal(told) == (503, True)
        assert told.json["error"]["status"] == "UNAVAILABLE"
        assert held.names == ["first", "second"] or sorted(held.names) == ["first", "second"]
        assert 'polyroute_refused_total{code="overloaded"} 3.0' in (await rig.get("/metrics")).body.decode()


async def test_health_and_metrics_are_answered_whatever_comes(provider: Upstream, tmp_path: Path) -> None:
    async with full(provider, tmp_path, "burst_s: 0, wait_ms: 0") as (rig, _):
        assert (await rig.get("/health")).status == 200
        assert (await rig.get("/health/ready")).status == 200
        figures = (await rig.get("/metrics")).body.decode()
        assert 'polyroute_overload{of="limit"} 1.0' in figures
        assert (await rig.get("/v1/models")).status == 503


async def test_who_waits_is_served_in_turn_and_who_leaves_meanwhile_never(provider: Upstream, tmp_path: Path) -> None:
    async with full(provider, tmp_path, "burst_s: 30") as (rig, held):
        gone = await rig.send(held.asking("gone"))
        await waiting(rig, 1)
        stays = await rig.send(held.asking("stays"))
        await waiting(rig, 2)
        gone.leave()
        await waiting(rig, 1)
        held.let_go("first", "second", "stays")
        assert (await stays.read()).status == 200
        assert held.names[2:] == ["stays"]


async def test_a_team_that_floods_does_not_keep_another_waiting(provider: Upstream, tmp_path: Path) -> None:
    async with full(provider, tmp_path, "burst_s: 30") as (rig, held):
        flood = [await rig.send(held.asking(f"flood {number}")) for number in range(5)]
        await waiting(rig, 5)
        quiet = await rig.send(held.asking("quiet", RED_KEY))
        await waiting(rig, 6)
        held.let_go("first", "second", "quiet", *(f"flood {number}" for number in range(5)))
        assert [(await connection.read()).status for connection in (*flood, quiet)] == [200] * 6
        assert held.names.index("quiet") <= 3


@pytest.mark.parametrize("says", ["header", "body"])
async def test_batch_work_lets_all_others_go_first(provider: Upstream, tmp_path: Path, says: str) -> None:
    headers = {"x-polyroute-class": "batch"} if says == "header" else {}
    metadata = {"class": "batch"} if says == "body" else None
    async with full(provider, tmp_path, "burst_s: 30") as (rig, held):
        batch = await rig.send(held.asking("batch", headers=headers, metadata=metadata))
        await waiting(rig, 1)
        urgent = await rig.send(held.asking("urgent"))
        await waiting(rig, 2)
        held.let_go("first", "second")
        await held.heard(3)
        held.let_go("urgent")
        assert (await urgent.read()).status == 200
        held.let_go("batch")
        assert (await batch.read()).status == 200
        assert held.names[2:] == ["urgent", "batch"]


async def test_a_refused_connection_is_kept_and_serves_again(provider: Upstream, tmp_path: Path) -> None:
    async with full(provider, tmp_path, "burst_s: 0, wait_ms: 0") as (rig, held):
        kept = request("POST", CHAT, orjson.dumps(ask("again")), headers={"connection": "keep-alive"})
        connection = await rig.send(kept * 2)  # the second is pipelined
        assert [(await connection.read()).status for _ in range(2)] == [503, 503]
        held.let_go("first", "second", "again")
        async with asyncio.timeout(PATIENCE_S):
            while True:
                connection.writer.write(kept)
                if (await connection.read()).status == 200:
                    break


async def test_a_body_that_is_long_is_not_awaited(provider: Upstream, tmp_path: Path) -> None:
    async with full(provider, tmp_path, "burst_s: 0, wait_ms: 0") as (rig, _):
        head = request("POST", CHAT, key=KEY, headers={"content-length": "10000000", "connection": "keep-alive"})
        told = await (await rig.send(head)).read()
        assert refusal(told) == (503, True)
        assert told.headers["connection"] == "close"
        head = request("POST", CHAT, key=KEY, headers={"content-length": "10", "expect": "100-continue"})
        assert refusal(await (await rig.send(head)).read()) == (503, True)


async def test_bodies_under_way_are_bounded_however_many_send_how_much(provider: Upstream, tmp_path: Path) -> None:
    settings = "max_body_mb: 0.1, overload: {bodies_mb: 0.2}"
    async with gateway(document(provider, settings), tmp_path, {**ENV, "RED_KEY": RED_KEY}) as rig:
        crowd = rig.built.services.crowd
        half = request("POST", CHAT, key=KEY, headers={"content-length": "90000"}) + b'{"model": "' + b"x" * 80_000
        sending = [await rig.send(half) for _ in range(2)]
        async with asyncio.timeout(PATIENCE_S):
            while crowd.held_bytes < 160_000:
                await asyncio.sleep(0.005)
        told = await rig.post(CHAT, ask("y" * 60_000))
        assert refusal(told) == (503, True)
        assert "server.overload.bodies_mb" in told.json["error"]["message"]
        chunked = request("POST", CHAT, key=KEY, headers={"content-length": "90000"}).replace(
            b"content-length: 90000", b"transfer-encoding: chunked"
        )
        growing: Connection = await rig.send(chunked + b"11170\r\n" + b"z" * 70_000 + b"\r\n")
        assert refusal(await growing.read()) == (503, True)
        assert (await rig.post(CHAT, ask())).status == 200, "what is short has room"
        for connection in (*sending, growing):
            connection.leave()
        async with asyncio.timeout(PATIENCE_S):
            while crowd.held_bytes:
                await asyncio.sleep(0.005)
        assert (await rig.post(CHAT, ask("y" * 60_000))).status == 200


async def test_switched_off_nobody_is_refused(provider: Upstream, tmp_path: Path) -> None:
    held = Held(provider)
    settings = "overload: {shed: false, late_ms: 0.0001, least: 1, burst_s: 0, wait_ms: 0}"
    async with gateway(document(provider, settings), tmp_path, {**ENV, "RED_KEY": RED_KEY}) as rig:
        connections = [await rig.send(held.asking(str(number))) for number in range(10)]
        await held.heard(10)
        held.let_go(*map(str, range(10)))
        assert {(await connection.read()).status for connection in connections} == {200}
