"""One answer told to several, step by step, without a gateway around it."""

import asyncio

import pytest

from polyroute.errors import Overloaded, StreamInterrupted
from polyroute.flights import Flight, Heard
from polyroute.types.response import Chunk, Ended, WireBytes

PIECE = b"x" * 1000


async def told(flight: Flight, *, leads: bool = False) -> list[Chunk]:
    return [chunk async for chunk in flight.chunks(leads=leads)]


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_who_comes_late_is_told_from_the_start() -> None:
    flight = Flight("req_1")
    await flight.add(WireBytes(data=b"one"))
    early = asyncio.ensure_future(told(flight))
    await turns()
    await flight.add(WireBytes(data=b"two"))
    late = asyncio.ensure_future(told(flight))
    await flight.add(Ended(usage=None))
    assert await early == await late == [WireBytes(data=b"one"), WireBytes(data=b"two"), Ended(usage=None)]


async def test_what_is_held_is_bounded_by_the_pace_of_the_one_whose_call_it_is() -> None:
    flight = Flight("req_1", most_bytes=5000)
    reading = flight.chunks(leads=True)
    writing = asyncio.ensure_future(write(flight, 50))
    await turns()
    assert not writing.done()
    assert not flight.is_open
    got = [chunk async for chunk in reading]
    await writing
    assert len(got) == 51


async def test_who_falls_behind_the_rest_is_cut_off_and_nobody_else() -> None:
    flight = Flight("req_1", most_bytes=5000)
    flight.join("req_2")
    slow = Heard(flight, "req_2").chunks()
    leading = asyncio.ensure_future(told(flight, leads=True))
    writing = asyncio.ensure_future(write(flight, 50))
    assert len(await leading) == 51
    await writing
    with pytest.raises(StreamInterrupted, match="slowly"):
        await anext(slow)


async def test_what_the_call_ended_in_is_told_after_all_that_came_before() -> None:
    flight = Flight("req_1")
    await flight.add(WireBytes(data=b"one"))
    flight.end(Overloaded("busy"))
    chunks = flight.chunks()
    assert await anext(chunks) == WireBytes(data=b"one")
    with pytest.raises(Overloaded):
        await anext(chunks)


async def test_the_call_is_given_up_when_the_last_one_leaves_and_not_before() -> None:
    flight, asked = Flight("req_1"), asyncio.Event()
    flight.task = asyncio.create_task(asked.wait())
    flight.join("req_2")
    flight.join("req_3")
    await flight.leader_leaves()
    await flight.leave("req_2")
    assert not flight.task.done()
    await flight.leave("req_3")
    assert flight.task.cancelled()


async def write(flight: Flight, count: int) -> None:
    for _ in range(count):
        await flight.add(WireBytes(data=PIECE))
        await asyncio.sleep(0)
    await flight.add(Ended(usage=None))
