"""The fake says what it is told to, and the checks find what they are there to find."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from polyroute.errors import Overloaded, StreamInterrupted
from polyroute.testing.providers import Hang, ScriptedProvider, a_deployment, a_response, check_provider
from polyroute.types.cards import Deadlines, Deployment
from polyroute.types.request import Request, ask
from polyroute.types.response import Chunk, Ended, Reply, Started, StopReason, TextDelta, Usage

TARGET = a_deployment()
QUESTION = ask("model", "hello")
DEADLINES = Deadlines()


async def text_of(provider: ScriptedProvider) -> str:
    reply = await provider.complete(QUESTION, TARGET, DEADLINES, None)
    assert reply.response is not None
    return reply.response.text


async def test_outcomes_come_in_order() -> None:
    provider = ScriptedProvider({TARGET.id: ["one", Overloaded("busy"), a_response("three")]})
    assert await text_of(provider) == "one"
    with pytest.raises(Overloaded):
        await text_of(provider)
    assert await text_of(provider) == "three"
    with pytest.raises(AssertionError, match="more often"):
        await text_of(provider)


async def test_an_outcome_alone_comes_every_time() -> None:
    provider = ScriptedProvider({TARGET.id: "again"})
    assert [await text_of(provider) for _ in range(3)] == ["again"] * 3
    assert [call.max_output_tokens for call in provider.calls] == [None] * 3


async def test_a_scripted_stream_can_break() -> None:
    moments = (Started(id="1", model="m"), TextDelta(text="a"), StreamInterrupted("cut"))
    provider = ScriptedProvider({TARGET.id: moments})
    stream = provider.stream(QUESTION, TARGET, DEADLINES, None)
    assert [await anext(stream) for _ in range(2)] == list(moments[:2])
    with pytest.raises(StreamInterrupted):
        await anext(stream)
    assert provider.left == []


async def test_a_hanging_call_waits_until_it_is_cancelled() -> None:
    provider = ScriptedProvider({TARGET.id: Hang()})
    task = asyncio.create_task(text_of(provider))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert provider.left == [TARGET.id]


async def test_a_stream_closed_early_is_noted() -> None:
    provider = ScriptedProvider({TARGET.id: (Started(id="1", model="m"), Hang())})
    stream = provider.stream(QUESTION, TARGET, DEADLINES, None)
    await anext(stream)
    await stream.aclose()
    assert provider.left == [TARGET.id]


class Faulty(ScriptedProvider):
    """Keeps every promise but the one that a subclass breaks."""

    def __init__(self) -> None:
        super().__init__({TARGET.id: "Danube", "down@provider": Overloaded("busy")})


class ForgetsItsModel(Faulty):
    async def complete(
        self, request: Request, target: Deployment, deadlines: Deadlines, max_output_tokens: int | None
    ) -> Reply:
        response = a_response("Danube", model="")
        return Reply(usage=response.usage, model="", stop=StopReason.END, response=response)


class IgnoresTheLimit(Faulty):
    async def complete(
        self, request: Request, target: Deployment, deadlines: Deadlines, max_output_tokens: int | None
    ) -> Reply:
        response = a_response("far too much")
        return Reply(usage=response.usage, model="model", stop=StopReason.END, response=response)


class NeverEnds(Faulty):
    async def stream(
        self, request: Request, target: Deployment, deadlines: Deadlines, max_output_tokens: int | None
    ) -> AsyncGenerator[Chunk, None]:
        yield Started(id="1", model="m")


class NeverFinishesItsChoice(Faulty):
    async def stream(
        self, request: Request, target: Deployment, deadlines: Deadlines, max_output_tokens: int | None
    ) -> AsyncGenerator[Chunk, None]:
        yield Started(id="1", model="m")
        yield TextDelta(text="a")
        yield Ended(usage=Usage(), model="m")


class RaisesItsOwnErrors(Faulty):
    async def complete(
        self, request: Request, target: Deployment, deadlines: Deadlines, max_output_tokens: int | None
    ) -> Reply:
        if target.model == "down":
            raise KeyError("choices")
        return await super().complete(request, target, deadlines, max_output_tokens)


@pytest.mark.parametrize(
    ("faulty", "promise"),
    [
        (ForgetsItsModel, "names the model"),
        (IgnoresTheLimit, "max_output_tokens"),
        (NeverEnds, "ends with Ended"),
        (NeverFinishesItsChoice, "each choice ends"),
    ],
)
async def test_a_broken_promise_is_named(faulty: type[Faulty], promise: str) -> None:
    with pytest.raises(AssertionError, match=promise):
        await check_provider(faulty(), TARGET, failing=a_deployment("down"))


async def test_an_error_of_another_kind_is_not_taken_for_a_provider_error() -> None:
    with pytest.raises(KeyError):
        await check_provider(RaisesItsOwnErrors(), TARGET, failing=a_deployment("down"))


async def test_a_provider_that_keeps_its_promises_passes() -> None:
    await check_provider(Faulty(), TARGET, failing=a_deployment("down"))
