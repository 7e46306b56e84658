"""Streamed answers: told from a whole one, or relayed as they arrive, also where another model has to go on.

The books are settled before the last chunk.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Protocol

from msgspec.structs import replace

from polyroute.errors import ProviderError
from polyroute.privacy.guard import Guard
from polyroute.privacy.restoring import restored
from polyroute.stages.assembly.chunks import chunks_of
from polyroute.stages.execution.continuing import Partial, Rest, is_mendable
from polyroute.stages.execution.runner import Flow, Run
from polyroute.types.receipt import Receipt, RequestState, usage_of
from polyroute.types.response import Chunk, Ended, Response, Resumed

Settle = Callable[[RequestState, ProviderError | None], Awaitable[Receipt]]
SettleForNobody = Callable[[BaseException], Awaitable[Receipt | None]]


class Told:
    """An answer that was whole before its stream began."""

    def __init__(self, response: Response, receipt: Receipt) -> None:
        self.receipt = receipt
        self._response = response

    async def chunks(self) -> AsyncGenerator[Chunk, None]:
        for chunk in chunks_of(self._response):
            yield chunk

    async def aclose(self) -> None:
        """Nothing is due any more."""


class Answering(Protocol):
    """A streamed answer, as `LiveAnswer`."""

    @property
    def receipt(self) -> Receipt: ...

    def chunks(self) -> AsyncGenerator[Chunk, None]: ...

    async def aclose(self) -> None: ...


class Restored:
    """An answer with its personal data put back as it arrives."""

    def __init__(self, answer: Answering, guard: Guard) -> None:
        self._answer = answer
        self._guard = guard

    @property
    def receipt(self) -> Receipt:
        return self._answer.receipt

    def chunks(self) -> AsyncGenerator[Chunk, None]:
        return restored(self._answer.chunks(), self._guard)

    async def aclose(self) -> None:
        await self._answer.aclose()


class Telling(Protocol):
    """A stream under way: a `Flow`, or one that is mended where it breaks."""

    @property
    def ended(self) -> Ended | None:
        """Set once it ended properly, and only then."""

    def chunks(self) -> AsyncGenerator[Chunk, None]:
        """Everything before `Ended`. Raises ProviderError where the stream breaks."""

    async def aclose(self) -> None: ...


class Mended:
    """A flow that another deployment goes on with where it breaks off. That is told in between, as `Resumed`."""

    def __init__(self, flow: Flow, run: Run) -> None:
        self.ended: Ended | None = None
        self._flow = flow
        self._run = run

    async def chunks(self) -> AsyncGenerator[Chunk, None]:
        partial, rest = Partial(), None
        while self.ended is None:
            try:
                async with aclosing(self._flow.chunks()) as chunks:
                    async for chunk in chunks:
                        for told in (chunk,) if rest is None else rest.take(chunk):
                            partial.take(told)
                            yield told
                self.ended = self._flow.ended if rest is None else self._as_one(self._flow.ended)
                continue
            except ProviderError as exc:
                if not (is_mendable(exc) and partial.is_plain):
                    raise
                broken = exc
            await self._flow.aclose()
            following = await self._run.go_on(partial)
            if following is None:
                raise broken
            self._flow, rest = following, Rest(partial)
            yield Resumed(model=following.model, name=following.trial.deployment.model)

    async def aclose(self) -> None:
        await self._flow.aclose()

    def _as_one(self, ended: Ended | None) -> Ended | None:
        """With the usage of all who answered."""
        return None if ended is None else replace(ended, usage=usage_of(self._run.log.attempts))


class Relayed:
    """An answer passed on as it arrives."""

    def __init__(self, flow: Telling, receipt: Receipt, settle: Settle, settle_for_nobody: SettleForNobody) -> None:
        """`receipt`: what is known so far."""
        self.receipt = receipt
        self._flow = flow
        self._books = settle
        self._books_for_nobody = settle_for_nobody
        self._chunks = self._relay()
        self._is_settled = False

    def chunks(self) -> AsyncGenerator[Chunk, None]:
        return self._chunks

    async def aclose(self) -> None:
        await self._chunks.aclose()
        if not self._is_settled:  # nobody began to read, and a generator that never ran has no end of its own
            await self._leave(GeneratorExit())

    async def _relay(self) -> AsyncGenerator[Chunk, None]:
        try:
            async with aclosing(self._flow.chunks()) as chunks:
                async for chunk in chunks:
                    yield chunk
        except ProviderError as exc:
            await self._settle("failed", exc)
            raise
        except BaseException as exc:
            await self._leave(exc)
            raise
        await self._settle("settled")
        assert self._flow.ended is not None  # the flow ended without an error
        yield self._flow.ended

    async def _settle(self, state: RequestState, error: ProviderError | None = None) -> None:
        self._is_settled = True
        try:
            await self._flow.aclose()
        finally:
            self.receipt = await self._books(state, error)

    async def _leave(self, cause: BaseException) -> None:
        self._is_settled = True
        try:
            await self._flow.aclose()
        finally:
            self.receipt = await self._books_for_nobody(cause) or self.receipt
