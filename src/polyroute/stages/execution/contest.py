"""Several calls at once: the first good answer wins, the others are given up. For races, and for hedges."""

import asyncio
from collections.abc import Callable, Collection
from typing import Any, TypeVar

_T = TypeVar("_T")


async def first_good(calls: "Collection[asyncio.Task[_T | None]]", is_good: Callable[[_T], bool]) -> _T | None:
    """None where no answer is good. What a call raised is raised where none is. All calls have ended by then."""
    pending, broken = set(calls), list[BaseException]()
    try:
        while pending:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for one in done:
                if (exc := one.exception()) is not None:
                    broken.append(exc)
                elif (answer := one.result()) is not None and is_good(answer):
                    return answer
    finally:
        for one in pending:
            one.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
    if broken:
        raise broken[0]
    return None


async def late(call: "asyncio.Task[_T]", waiting: "asyncio.Future[None]") -> bool:
    """Whether `waiting` was over before the call was."""
    either: set[asyncio.Future[Any]] = {call, waiting}
    try:
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
    return not call.done()
