"""Words between workers: heard by the one they are for, or by its successor."""

import asyncio
import os

from polyroute.server.bus import ALARM, CHANGED, MOST_BYTES, Box, Bus, end_with


async def test_each_hears_what_is_for_it_also_what_was_said_before_it_listened() -> None:
    boxes = [Box() for _ in range(3)]
    buses = [Bus(boxes, number) for number in range(3)]
    heard: list[tuple[int, bytes, bytes]] = []
    done = asyncio.Event()

    def hears(number: int, kind: bytes) -> None:
        def hear(message: bytes) -> None:
            heard.append((number, kind, message))
            if len(heard) == 5:
                done.set()

        buses[number].listen({kind: hear})

    assert buses[1].tell(0, ALARM, b"one")
    buses[1].tell_others(CHANGED)
    hears(0, ALARM)
    hears(2, CHANGED)
    for number in range(3):
        assert buses[1].tell(0, ALARM, b"%d" % number)
    async with asyncio.timeout(5):
        await done.wait()
    assert sorted(heard) == [(0, ALARM, word) for word in (b"0", b"1", b"2", b"one")] + [(2, CHANGED, b"")]
    for box, bus in zip(boxes, buses, strict=True):
        bus.close()
        box.close()


async def test_a_box_that_is_full_says_so_and_waits_for_nobody() -> None:
    box = Box()
    bus = Bus([box], 0)
    taken = 0
    while bus.tell(0, ALARM, b"x" * 3000):
        taken += 1
    assert taken >= 40
    assert not bus.tell(0, ALARM, b"x" * 10 * MOST_BYTES)
    box.close()


async def test_the_end_of_the_supervisor_is_heard_once() -> None:
    life, other = os.pipe()
    ended = asyncio.Event()
    end_with(life, ended.set)
    await asyncio.sleep(0)
    assert not ended.is_set()
    os.close(other)
    async with asyncio.timeout(5):
        await ended.wait()
    os.close(life)
