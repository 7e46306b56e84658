"""`serve --workers 3`: one gateway of several processes that starts, replaces, reloads and ends as one.

`POLYROUTE_WORKER_KILLS=100` for the long form.
"""

import asyncio
import os
import signal
import socket
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from tests.journeys.rig import ADMIN, DOCUMENT, PATIENCE_S, Told
from tests.journeys.upstream import Answer, Upstream, chat
from tests.rig.workers import Gateway, is_alive, running, start

from polyroute.stores.sqlite.books import Books

PLAIN = DOCUMENT.replace("{{auth: keys}}", "{{auth: keys, notice_s: 0, drain_s: 5}}")
COUNT = 3
KILLS = int(os.environ.get("POLYROUTE_WORKER_KILLS", "3"))


@pytest.fixture
async def gateway(provider: Upstream, tmp_path: Path) -> AsyncIterator[Gateway]:
    async with running(tmp_path, PLAIN.format(url=provider.url), workers=COUNT) as started:
        yield started


def held_back(gate: asyncio.Event) -> Answer:
    """An answer whose last byte waits for the gate."""
    (whole,) = (piece for piece in chat("ok").pieces if isinstance(piece, bytes))
    return Answer(pieces=(whole[:-1], gate, whole[-1:]))


def settled_by(folder: Path) -> list[str]:
    """The process that settled each request."""
    with closing(sqlite3.connect(folder / "books.db")) as books:
        return [name for (name,) in books.execute("SELECT replica FROM requests")]


async def seen_by_all(gateway: Gateway, header: str, among: set[str]) -> None:
    """Every answer of many, each on a connection of its own, says one of `among`."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            told = await asyncio.gather(*(gateway.chat() for _ in range(24)))
            if {answer.headers[header] for answer in told} <= among:
                return


async def test_requests_are_dealt_out_and_all_end_well(gateway: Gateway) -> None:
    told = await asyncio.gather(*(gateway.chat() for _ in range(60)))
    assert {answer.status for answer in told} == {200}
    gateway.send(signal.SIGTERM)
    assert await gateway.ended() == 0
    by = settled_by(gateway.folder)
    assert (len(by), len(set(by)) >= 2) == (60, True)
    assert gateway.log == ""
    assert not (gateway.folder / "books.db-counters").exists()


async def test_a_killed_worker_loses_nothing_and_is_replaced(gateway: Gateway, provider: Upstream) -> None:
    told: list[str] = []
    asked = 0
    is_over = False

    async def call() -> None:
        nonlocal asked
        while not is_over:
            asked += 1
            answer = await gateway.try_chat()
            if answer is not None:
                assert answer.status == 200, answer.body
                told.append(answer.headers["x-polyroute-request-id"])

    calling = [asyncio.create_task(call()) for _ in range(8)]
    for _ in range(KILLS):
        await asyncio.sleep(0.8)
        victim = gateway.workers[0]  # the oldest
        os.kill(victim, signal.SIGKILL)
        await gateway.until_worker_is_replaced(victim, COUNT)
    is_over = True
    await asyncio.gather(*calling)
    with Books(gateway.folder / "books.db") as books:
        async with asyncio.timeout(PATIENCE_S):
            while books.open_requests():  # until the successor has closed them
                await asyncio.sleep(0.02)
    gateway.send(signal.SIGTERM)
    assert await gateway.ended() == 0
    with Books(gateway.folder / "books.db") as books:
        assert books.verify() == []
        entries = {entry.request.id: entry for entry in books.entries()}
    assert set(told) <= set(entries)
    assert {entries[name].request.state for name in told} == {"settled"}
    attempts = [attempt for entry in entries.values() for attempt in entry.attempts]
    # Each call that the provider heard is one attempt; one may be opened whose call never went out.
    assert len(provider.log) <= len(attempts) <= asked
    assert gateway.log.count("by SIGKILL; another takes its place") == KILLS
    print(f"{KILLS} kills: {asked} asked, {len(told)} answered, {len(entries)} rows, {len(provider.log)} calls heard")


async def test_the_leader_is_replaced_too(gateway: Gateway) -> None:
    victim = gateway.workers[0]
    os.kill(victim, signal.SIGKILL)
    await gateway.until_worker_is_replaced(victim, COUNT)
    assert {(await gateway.chat()).status for _ in range(12)} == {200}


async def test_asked_to_end_every_worker_finishes_what_is_under_way(gateway: Gateway, provider: Upstream) -> None:
    gate = asyncio.Event()
    provider.answers(held_back(gate))
    asking = [asyncio.create_task(gateway.chat()) for _ in range(12)]
    async with asyncio.timeout(PATIENCE_S):
        while len(provider.log) < 12:
            await asyncio.sleep(0.01)
    gateway.send(signal.SIGTERM)
    await _listens_no_more(gateway)
    gate.set()
    assert {told.status for told in await asyncio.gather(*asking)} == {200}
    assert await gateway.ended() == 0


async def _listens_no_more(gateway: Gateway) -> None:
    async with asyncio.timeout(PATIENCE_S):
        with suppress(OSError):
            while True:
                _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
                writer.transport.abort()
                await asyncio.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_ends_well_by(number: signal.Signals, gateway: Gateway) -> None:
    gateway.send(number)
    assert await gateway.ended() == 0


async def test_no_worker_outlives_its_supervisor(gateway: Gateway) -> None:
    workers = gateway.workers
    gateway.process.kill()
    await gateway.process.communicate()
    async with asyncio.timeout(PATIENCE_S):
        while any(map(is_alive, workers)):
            await asyncio.sleep(0.01)


async def test_a_hangup_takes_the_document_in_all_workers_or_in_none(gateway: Gateway) -> None:
    file = gateway.folder / "polyroute.yaml"
    text, before = file.read_text(), (await gateway.chat()).headers["x-polyroute-policy"]
    file.write_text(text.replace("max_tries: 1", "max_tries: 0"))
    gateway.send(signal.SIGHUP)
    async with asyncio.timeout(PATIENCE_S):
        while "was not taken" not in gateway.log:
            await asyncio.sleep(0.01)
    await seen_by_all(gateway, "x-polyroute-policy", {before})
    assert gateway.log.count("was not taken") == 1
    file.write_text(text.replace("max_tries: 1", "max_tries: 2"))
    gateway.send(signal.SIGHUP)
    async with asyncio.timeout(PATIENCE_S):
        while (after := (await gateway.chat()).headers["x-polyroute-policy"]) == before:
            await asyncio.sleep(0.01)
    await seen_by_all(gateway, "x-polyroute-policy", {after})
    # A successor begins with the document in force, also where the file is broken by then.
    file.write_text(text.replace("max_tries: 1", "max_tries: 0"))
    for victim in gateway.workers:
        os.kill(victim, signal.SIGKILL)
        await gateway.until_worker_is_replaced(victim, COUNT)
    await seen_by_all(gateway, "x-polyroute-policy", {after})


async def test_a_document_put_to_one_worker_is_taken_by_all(gateway: Gateway) -> None:
    text = (gateway.folder / "polyroute.yaml").read_text() + "routes: {quick: {primary: gpt}}\n"
    told = await gateway.call("PUT", "/admin/config", text.encode(), key=ADMIN)
    assert told.status == 200, told.body
    await seen_by_all(gateway, "x-polyroute-policy", {told.json["policy"]})
    text += "limits: {per_user_per_minute: 10000}\n"
    for _ in range(6):  # each finds the last one's
        policy = told.json["policy"]
        told = await gateway.call("PUT", "/admin/config", text.encode(), key=ADMIN, headers={"if-match": policy})
        assert told.status == 200, told.body
        text += "#\n"


async def test_a_key_made_and_revoked_through_one_worker_is_known_to_all(gateway: Gateway) -> None:
    made = await gateway.put("/admin/keys", {"team": "blue", "user": "ann"}, key=ADMIN)
    for is_known in (True, False):
        async with asyncio.timeout(2.0):
            while {told.status == 200 for told in await _many(gateway, made.json["key"])} != {is_known}:
                await asyncio.sleep(0.01)
        await gateway.call("DELETE", f"/admin/keys/{made.json['id']}", key=ADMIN)


async def _many(gateway: Gateway, key: str) -> list[Told]:
    return await asyncio.gather(*(gateway.chat(key=key) for _ in range(16)))


async def test_what_is_wrong_at_the_start_is_said_once_with_its_exit_status(tmp_path: Path, provider: Upstream) -> None:
    document = PLAIN.format(url=provider.url).replace("sqlite:///books.db", "sqlite:///nowhere/books.db")
    gateway = await start(tmp_path, document)
    assert await gateway.ended() == 1
    assert gateway.log.count("polyroute:") == 1
    assert "Traceback" not in gateway.log


async def test_an_address_that_is_taken_is_said(tmp_path: Path, provider: Upstream) -> None:
    with closing(socket.socket()) as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)  # one that would share is no reason to
        other.bind(("127.0.0.1", 0))
        other.listen()
        gateway = await start(tmp_path, PLAIN.format(url=provider.url), port=other.getsockname()[1])
        assert await gateway.ended() == 1
    assert "cannot listen" in gateway.log
