import asyncio
import time

from polyroute.cli.drill.clock import RehearsalLoop


def test_an_hour_of_waiting_takes_no_time_and_is_kept_exactly() -> None:
    async def waits() -> tuple[float, list[int]]:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, RehearsalLoop)
        loop.skip()
        began_s, order = loop.time(), list[int]()

        async def wait(number: int) -> None:
            await asyncio.sleep(3600 - number)
            order.append(number)

        await asyncio.gather(*map(wait, range(5)))
        return loop.time() - began_s, order

    began_s = time.monotonic()
    with asyncio.Runner(loop_factory=RehearsalLoop) as runner:
        waited_s, order = runner.run(waits())
    assert round(waited_s, 3) == 3600
    assert order == [4, 3, 2, 1, 0]
    assert time.monotonic() - began_s < 60


def test_a_thread_is_waited_for() -> None:
    async def asks_a_thread() -> int:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, RehearsalLoop)
        loop.skip()
        return await asyncio.to_thread(sum, [1, 2])

    with asyncio.Runner(loop_factory=RehearsalLoop) as runner:
        assert runner.run(asks_a_thread()) == 3
