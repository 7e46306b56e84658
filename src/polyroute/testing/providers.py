"""A provider that says what it is told to, and the conformance of any `Provider`.

    async def test_my_provider() -> None:
        await check_provider(my_provider(), a_deployment(), failing=a_deployment("down"))

An AssertionError names the promise that was broken.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import NoReturn

from msgspec import Struct
from msgspec.structs import replace

from polyroute.errors import ProviderError, Remedy
from polyroute.ports import Provider
from polyroute.stages.assembly.chunks import chunks_of
from polyroute.types.cards import Deadlines, Deployment, ModelCard
from polyroute.types.content import Text
from polyroute.types.request import Request, ask
from polyroute.types.response import (
    Choice,
    ChoiceEnded,
    Chunk,
    Ended,
    PartAdded,
    Reply,
    Response,
    Resumed,
    Started,
    StopReason,
    Usage,
    WireBytes,
)

_PATIENT = Deadlines(connect_s=5, first_token_s=5, between_tokens_s=5, total_s=10)
_PROMPT = "Name three rivers of Europe and the seas they flow into."


class Hang(Struct, frozen=True):
    """Says nothing more until it is cancelled or closed."""


Moment = Chunk | ProviderError | Hang  # of a scripted stream
Outcome = str | Response | Reply | ProviderError | Hang | tuple[Moment, ...]


class ScriptedCall(Struct, frozen=True, kw_only=True):
    """What a `ScriptedProvider` was asked."""

    deployment: str
    request: Request
    deadlines: Deadlines
    max_output_tokens: int | None
    is_stream: bool


class ScriptedProvider:
    """Answers each deployment with its outcomes in order; one that stands alone is the answer every time.

    A text, a `Response` and a `Reply` serve whole calls and streams, a tuple of moments serves streams only. A call
    beyond the script is an AssertionError. `calls` is what was asked; `left` names the deployment of each call that was
    cancelled or closed before its end.
    """

    def __init__(
        self,
        script: Mapping[str, Outcome | list[Outcome]],
        *,
        obstacles: Mapping[str, tuple[str, ...]] | None = None,
    ) -> None:
        """Both by deployment id."""
        self._scripts = {
            deployment: list(outcomes) if isinstance(outcomes, list) else outcomes
            for deployment, outcomes in script.items()
        }
        self._obstacles = obstacles or {}
        self.calls: list[ScriptedCall] = []
        self.left: list[str] = []
        self.is_closed = False

    def obstacles(self, request: Request, target: Deployment) -> tuple[str, ...]:
        return self._obstacles.get(target.id, ())

    async def complete(
        self, request: Request, target: Deployment, deadlines: Deadlines, max_output_tokens: int | None
    ) -> Reply:
        outcome = self._next(request, target, deadlines, max_output_tokens, is_stream=False)
        match outcome:
            case Reply():
                return outcome
            case str() | Response():
                response = _response(outcome, target)
                return Reply(
                    usage=response.usage, model=response.model, stop=response.choices[0].stop, response=response
                )
            case ProviderError():
                raise outcome
            case Hang():
                try:
                    await _for_ever()
                finally:
                    self.left.append(target.id)
            case _:
                raise AssertionError(f"{target.id} was asked for a whole answer; its script has a stream")

    async def stream(
        self, request: Request, target: Deployment, deadlines: Deadlines, max_output_tokens: int | None
    ) -> AsyncGenerator[Chunk, None]:
        outcome = self._next(request, target, deadlines, max_output_tokens, is_stream=True)
        ended = False
        try:
            for moment in _moments(outcome, target):
                if isinstance(moment, ProviderError):
                    ended = True
                    raise moment
                if isinstance(moment, Hang):
                    await _for_ever()
                ended = isinstance(moment, Ended)
                yield moment
            ended = True
        finally:
            if not ended:
                self.left.append(target.id)

    async def aclose(self) -> None:
        self.is_closed = True

    def _next(
        self,
        request: Request,
        target: Deployment,
        deadlines: Deadlines,
        max_output_tokens: int | None,
        *,
        is_stream: bool,
    ) -> Outcome:
        self.calls.append(
            ScriptedCall(
                deployment=target.id,
                request=request,
                deadlines=deadlines,
                max_output_tokens=max_output_tokens,
                is_stream=is_stream,
            )
        )
        script = self._scripts.get(target.id, [])
        if not isinstance(script, list):
            return script
        if not script:
            raise AssertionError(f"{target.id} was called more often than its script says")
        return script.pop(0)


def a_deployment(name: str = "model", *, provider: str = "provider", dialect: str = "") -> Deployment:
    """`name@provider`, a model of that name about which nothing is known."""
    return Deployment(
        id=f"{name}@{provider}",
        model=name,
        provider=provider,
        dialect=dialect,
        upstream_model=name,
        card=ModelCard(id=f"{provider}/{name}"),
    )


def a_response(text: str, *, model: str = "model", usage: Usage | None = None) -> Response:
    """One choice that ended by itself. Without `usage`, a word is a token."""
    counted = Usage(input_tokens=1, output_tokens=len(text.split()))
    choice = Choice(parts=(Text(text=text),), stop=StopReason.END)
    return Response(id="scripted", model=model, choices=(choice,), usage=usage or counted)


async def check_provider(
    provider: Provider, target: Deployment, *, request: Request | None = None, failing: Deployment | None = None
) -> None:
    """Every promise of the port. `target` answers `request`; `failing` fails, however it likes."""
    question = request or ask(target.model, _PROMPT)
    streamed = _streamed(question)
    _check_obstacles(provider, question, target)
    await _check_whole(provider, question, target)
    await _check_stream(provider, streamed, target)
    await _check_limit(provider, question, target)
    await _check_leaving(provider, question, streamed, target)
    if failing is not None:
        await _check_failure(provider, question, streamed, failing)
    await _check_whole(provider, question, target)  # nothing above has hurt it


def _streamed(request: Request) -> Request:
    wire = request.wire
    if wire is not None:
        wire = replace(wire, body={**wire.body, "stream": True})
    return replace(request, stream=True, stream_usage=True, wire=wire)


def _check_obstacles(provider: Provider, request: Request, target: Deployment) -> None:
    first, second = (provider.obstacles(request, target) for _ in range(2))
    assert first == second == (), f"an answerable request has no obstacles, told {first}"


async def _check_whole(provider: Provider, request: Request, target: Deployment) -> Reply:
    reply = await provider.complete(request, target, _PATIENT, None)
    assert (reply.response is None) != (reply.wire is None), "a reply has one form: wire or response"
    if reply.wire is not None:
        assert request.wire is not None, "bytes are for a door of the same dialect; this request came through none"
    if reply.response is not None:
        assert reply.response.choices, "a response has at least one choice"
        assert reply.response.usage == reply.usage, "reply and response tell the same usage"
        assert reply.response.model == reply.model, "reply and response tell the same model"
    assert reply.model, "a reply names the model that answered"
    _check_usage(reply.usage)
    return reply


async def _check_stream(provider: Provider, request: Request, target: Deployment) -> None:
    chunks = [chunk async for chunk in provider.stream(request, target, _PATIENT, None)]
    assert chunks, "a stream has chunks"
    assert isinstance(chunks[-1], Ended), "a stream ends with Ended"
    assert sum(isinstance(chunk, Ended) for chunk in chunks) == 1, "a stream ends once"
    _check_usage(chunks[-1].usage)
    if any(isinstance(chunk, WireBytes) for chunk in chunks):
        assert request.wire is not None, "bytes are for a door of the same dialect; this request came through none"
        assert all(isinstance(chunk, WireBytes) for chunk in chunks[:-1]), "a stream is bytes or chunks, not both"
        assert chunks[-1].wire is not None, "a stream of bytes hands its tail over with Ended"
        return
    assert isinstance(chunks[0], Started), "a canonical stream begins with Started"
    assert sum(isinstance(chunk, Started) for chunk in chunks) == 1, "a stream starts once"
    begun: set[int] = set()
    finished: set[int] = set()
    for chunk in chunks[1:-1]:
        assert not isinstance(chunk, Started | Ended | WireBytes | Resumed), "Started is first and Ended is last"
        assert chunk.choice not in finished, "nothing is said in a choice that has ended"
        begun.add(chunk.choice)
        if isinstance(chunk, ChoiceEnded):
            finished.add(chunk.choice)
        elif isinstance(chunk, PartAdded):
            assert chunk.part >= 0, "parts are numbered from 0"
    assert begun == finished, "each choice ends before the stream does"
    assert finished, "a stream has a choice"


async def _check_limit(provider: Provider, request: Request, target: Deployment) -> None:
    reply = await provider.complete(request, target, _PATIENT, 1)
    if reply.usage is not None:
        assert reply.usage.total_output_tokens <= 1, "max_output_tokens is a limit"


async def _check_leaving(provider: Provider, request: Request, streamed: Request, target: Deployment) -> None:
    task = asyncio.create_task(_check_whole(provider, request, target))
    await asyncio.sleep(0)
    task.cancel()
    ended = (await asyncio.gather(task, return_exceptions=True))[0]
    assert isinstance(ended, Reply | asyncio.CancelledError), f"cancellation passes through, got {ended!r}"
    stream = provider.stream(streamed, target, _PATIENT, None)
    await anext(stream)
    await stream.aclose()
    assert [chunk async for chunk in stream] == [], "a closed stream says nothing more"


async def _check_failure(provider: Provider, request: Request, streamed: Request, target: Deployment) -> None:
    try:
        await provider.complete(request, target, _PATIENT, None)
    except ProviderError as exc:
        _check_error(exc)
    else:
        raise AssertionError("a deployment that fails raises a ProviderError")
    try:
        async for chunk in provider.stream(streamed, target, _PATIENT, None):
            assert not isinstance(chunk, Ended), "a stream that fails never ends properly"
    except ProviderError as exc:
        _check_error(exc)
    else:
        raise AssertionError("a stream that fails raises a ProviderError")


def _check_error(error: ProviderError) -> None:
    assert isinstance(error.remedy, Remedy), "an error tells what may help"
    assert error.message, "an error says what happened"
    assert "://" not in error.message, "an error's message names no address"


def _check_usage(usage: Usage | None) -> None:
    if usage is not None:
        counts = (usage.total_input_tokens, usage.total_output_tokens)
        assert min(counts) >= 0, f"tokens are never negative, told {usage}"


async def _for_ever() -> NoReturn:
    while True:
        await asyncio.get_running_loop().create_future()


def _moments(outcome: Outcome, target: Deployment) -> Sequence[Moment]:
    match outcome:
        case Reply(wire=bytes()):
            raise AssertionError(f"{target.id} was asked for a stream; its script has the bytes of a whole answer")
        case Reply(response=Response() as response):
            return tuple(chunks_of(response))
        case str() | Response():
            return tuple(chunks_of(_response(outcome, target)))
        case ProviderError() | Hang():
            return (outcome,)
        case tuple():
            return outcome
        case _:
            raise AssertionError(f"{target.id}: a reply has one form, wire or response")


def _response(outcome: str | Response, target: Deployment) -> Response:
    return a_response(outcome, model=target.upstream_model) if isinstance(outcome, str) else outcome
