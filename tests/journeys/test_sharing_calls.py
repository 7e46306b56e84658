"""Calls that several requests share, where something goes wrong or differs between them."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import orjson
import pytest
from tests.journeys.rig import ENV, Rig, Told, ask, gateway, request
from tests.journeys.test_caching import CHAT, COST, TENANTS, _text, cache_of, document, key_of
from tests.journeys.upstream import Answer, Upstream, chat, chat_events, stream


@pytest.fixture
async def rig(provider: Upstream, tmp_path: Path) -> AsyncIterator[Rig]:
    env = {**ENV, **{f"KEY_{n}": key_of(n) for n in range(TENANTS)}}
    async with gateway(document(provider.url), tmp_path, env) as running:
        yield running


def body(**more: object) -> bytes:
    return orjson.dumps({**ask(model="shared"), **more})


async def joined(rig: Rig, count: int) -> None:
    """So many wait, or are told."""
    flights = rig.built.path.recalling._flights
    while sum(len(flight.waiting) + len(flight.told) for flight in flights.values()) < count:
        await asyncio.sleep(0)


async def total(rig: Rig, count: int) -> Decimal:
    receipts = await rig.settled(count)
    assert len(receipts) == count
    return sum((receipt.cost_usd for receipt in receipts), Decimal(0))


async def books_balance(rig: Rig) -> bool:
    await rig.built.foundation.ledger.drain()
    with rig.books() as books:
        return books.verify() == []


@pytest.mark.parametrize("leader_streams", [False, True], ids=["whole", "streamed"])
async def test_who_streams_and_who_does_not_share_one_call(rig: Rig, provider: Upstream, leader_streams: bool) -> None:
    gate = asyncio.Event()
    pieces = chat_events("he", "llo") if leader_streams else chat("hello").pieces
    provider.answers(stream(*pieces[:2], gate, *pieces[2:]) if leader_streams else Answer(pieces=(gate, *pieces)))
    leader = asyncio.ensure_future(rig.post(CHAT, ask(model="shared", stream=leader_streams)))
    await provider.arrived.wait()
    others = [asyncio.ensure_future(rig.post(CHAT, ask(model="shared", stream=n % 2 == 1))) for n in range(4)]
    await joined(rig, 4)
    gate.set()
    told = [await leader, *[await one for one in others]]
    assert [_text(one) for one in told] == ["hello"] * 5
    assert len(provider.log) == 1
    assert await total(rig, 5) == COST
    assert await books_balance(rig)


async def test_a_stream_that_breaks_is_an_honest_error_for_all_who_were_told_some_of_it(
    rig: Rig, provider: Upstream
) -> None:
    gate = asyncio.Event()
    provider.answers(stream(*chat_events("half ")[:2], gate, end="cut"))
    leader = asyncio.ensure_future(rig.post(CHAT, ask(model="shared", stream=True)))
    await provider.arrived.wait()
    late = asyncio.ensure_future(rig.post(CHAT, ask(model="shared", stream=True)))
    await joined(rig, 1)
    while not any(flight.told for flight in rig.built.path.recalling._flights.values()):
        await asyncio.sleep(0)
    gate.set()
    for told in (await leader, await late):
        assert _text_before_error(told) == "half "
        assert "error" in told.events[-1] or "error" in told.events[-2]
    receipts = await rig.settled(2)
    assert {receipt.state for receipt in receipts} == {"failed"}
    assert await books_balance(rig)


async def test_who_waits_for_the_whole_of_a_stream_that_breaks_calls_for_itself(rig: Rig, provider: Upstream) -> None:
    gate = asyncio.Event()
    provider.answers(stream(*chat_events("half ")[:2], gate, end="cut"), chat("whole"))
    leader = asyncio.ensure_future(rig.post(CHAT, ask(model="shared", stream=True)))
    await provider.arrived.wait()
    waits = asyncio.ensure_future(rig.post(CHAT, ask(model="shared")))
    await joined(rig, 1)
    gate.set()
    await leader
    told = await waits
    assert (told.status, _text(told), len(provider.log)) == (200, "whole", 2)
    assert await books_balance(rig)


async def test_one_who_joined_and_left_pays_nothing(rig: Rig, provider: Upstream) -> None:
    gate = asyncio.Event()
    provider.answers(Answer(pieces=(gate, *chat("ok").pieces)))
    leader = asyncio.ensure_future(rig.post(CHAT, ask(model="shared")))
    await provider.arrived.wait()
    gone = await rig.send(request("POST", CHAT, body()))
    await joined(rig, 1)
    gone.leave()
    flights = rig.built.path.recalling._flights
    while any(flight.waiting for flight in flights.values()):
        await asyncio.sleep(0)
    gate.set()
    assert (await rig.receipt(await leader)).cost_usd == COST
    by_state = {receipt.state: receipt.cost_usd for receipt in await rig.settled(2)}
    assert by_state == {"settled": COST, "cancelled": Decimal(0)}
    assert await books_balance(rig)


async def test_a_stream_goes_on_for_others_when_the_one_who_began_it_leaves(rig: Rig, provider: Upstream) -> None:
    gate, pieces = asyncio.Event(), chat_events("one ", "two")
    provider.answers(stream(*pieces[:2], gate, *pieces[2:]))
    leader = await rig.send(request("POST", CHAT, body(stream=True)))
    await leader.until(b"one ")
    late = asyncio.ensure_future(rig.post(CHAT, ask(model="shared", stream=True)))
    await joined(rig, 1)
    leader.leave()
    while any(flight.has_leader for flight in rig.built.path.recalling._flights.values()):
        await asyncio.sleep(0)
    gate.set()
    told = await late
    assert (_text(told), len(provider.log)) == ("one two", 1)
    assert await total(rig, 2) == COST


async def test_each_gets_back_their_own_personal_data(rig: Rig, provider: Upstream) -> None:
    gate = asyncio.Event()

    def script(heard: object) -> Answer:
        text = provider.last.json["messages"][-1]["content"]
        assert "@" not in text
        return Answer(pieces=(gate, *chat(f"to {text}").pieces))

    provider.script = script
    names = ["ann@example.com", "bob@example.org", "cid@example.net"]
    first = asyncio.ensure_future(rig.post(CHAT, ask(f"write {names[0]}", model="hidden")))
    await provider.arrived.wait()
    others = [
        asyncio.ensure_future(rig.post(CHAT, ask(f"write {name}", model="hidden", stream=at == 1)))
        for at, name in enumerate(names[1:])
    ]
    await joined(rig, 2)
    gate.set()
    told = [await first, *[await one for one in others]]
    assert [_text(one) for one in told] == [f"to write {name}" for name in names]
    assert len(provider.log) == 1


async def test_who_asks_for_a_new_answer_joins_nobody(rig: Rig, provider: Upstream) -> None:
    gate = asyncio.Event()
    provider.answers(Answer(pieces=(gate, *chat("old").pieces)), chat("new"))
    leader = asyncio.ensure_future(rig.post(CHAT, ask(model="shared")))
    await provider.arrived.wait()
    told = await rig.post(CHAT, ask(model="shared", cache={"no-cache": True}))
    gate.set()
    assert (_text(told), _text(await leader)) == ("new", "old")


async def test_what_the_provider_is_to_keep_is_asked_each_time(rig: Rig, provider: Upstream) -> None:
    gate = asyncio.Event()
    provider.answers(Answer(pieces=(gate, *chat("ok").pieces)))
    asked = [asyncio.ensure_future(rig.post(CHAT, ask(model="shared", store=True))) for _ in range(3)]
    while len(provider.log) < 3:
        await asyncio.sleep(0)
    gate.set()
    assert {cache_of(await one) for one in asked} == {"miss"}


def _text_before_error(told: Told) -> str:
    deltas = [e["choices"][0]["delta"] for e in told.events if isinstance(e, dict) and e.get("choices")]
    return "".join(delta.get("content") or "" for delta in deltas)
