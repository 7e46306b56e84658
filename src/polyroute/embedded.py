"""The gateway inside your own process: `from polyroute import Gateway`.

    async with Gateway("polyroute.yaml") as gateway:
        answer = await gateway.execute(task="summarize", input=text, strategy="cascade", models=["small", "large"])
        client = gateway.client("summarize")      # names a task; which model answers is the document's business
        print(await client.complete("…"))

The same document gives the same decisions here and over HTTP: it is the same path.
"""

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from pathlib import Path
from types import TracebackType
from typing import Self

from msgspec import Struct
from msgspec.structs import replace

from polyroute.calls import Outcome, outcome, parse_call, resolve
from polyroute.config.load import read
from polyroute.journey import Entry
from polyroute.preview import Preview, preview
from polyroute.prompts.variables import OWN_FIELD
from polyroute.types.access import Caller
from polyroute.types.receipt import Receipt
from polyroute.types.request import Request, ask
from polyroute.types.response import Chunk, Response, TextDelta
from polyroute.types.review import Review
from polyroute.types.routing import Classed
from polyroute.wiring.build import Built, open_gateway

_LOCAL = Caller(user="python")


class Completed(Struct, frozen=True, kw_only=True):
    """A canonical answer and how it came about."""

    response: Response
    receipt: Receipt

    @property
    def text(self) -> str:
        return self.response.text


class Gateway:
    """Opens on entering the block, or with the first call; `aclose` it then."""

    def __init__(
        self, document: str | Path | None = None, *, env: Mapping[str, str] | None = None, caller: Caller = _LOCAL
    ) -> None:
        """`document`: the file; None: $POLYROUTE_CONFIG, else ./polyroute.yaml. Limits are counted for `caller`."""
        self._file = Path(document or os.environ.get("POLYROUTE_CONFIG") or "polyroute.yaml")
        self._env = os.environ if env is None else env
        self._caller = caller
        self._stack = AsyncExitStack()
        self._built: Built | None = None
        self._opening = asyncio.Lock()

    async def __aenter__(self) -> Self:
        await self._open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self._stack.aclose()
        self._built = None

    async def execute(
        self,
        *,
        input: str,  # noqa: A002 - the article's own name for it
        task: str | None = None,
        strategy: str | None = None,
        models: Sequence[str] = (),
        gates: Sequence[Mapping[str, object]] = (),
        system: str | None = None,
        max_output_tokens: int | None = None,
        variables: Mapping[str, object] | None = None,
    ) -> Outcome:
        """Retries, falls back or escalates as the strategy says; every attempt is in the outcome, with its cost.

        Raises InvalidRequest that names the argument, CallerError or RoutingError.
        """
        built = await self._open()
        call = parse_call(
            {
                "input": input,
                "task": task,
                "strategy": strategy,
                "models": _list(models),
                "gates": _list(gates),
                "system": system,
                "max_output_tokens": max_output_tokens,
                "variables": None if variables is None else dict(variables),
            }
        )
        request, route = resolve(call, built.path.routes_for(self._caller), built.services.ad_hoc)
        entry = replace(_entry(built, task), route=route)
        answer = await built.path.answer(request, self._caller, entry)
        return outcome(built.path.read(request, answer.reply), answer.receipt)

    async def complete(self, request: Request, *, task: str | None = None) -> Completed:
        """A whole answer to a canonical request. Raises CallerError or RoutingError."""
        built = await self._open()
        answer = await built.path.answer(request, self._caller, _entry(built, task))
        return Completed(response=built.path.read(request, answer.reply), receipt=answer.receipt)

    async def stream(self, request: Request, *, task: str | None = None) -> AsyncGenerator[Chunk, None]:
        """The answer's chunks as they arrive."""
        built = await self._open()
        live = await built.path.stream(replace(request, stream=True), self._caller, _entry(built, task))
        async with aclosing(live.chunks()) as chunks:
            async for chunk in chunks:
                yield chunk

    async def route(self, request: Request, *, task: str | None = None) -> Preview:
        """The dry run: what would be decided. No model is called."""
        built = await self._open()
        return preview(await built.path.foresee(request, self._caller, _entry(built, task)))

    async def classify(self, texts: Sequence[str], *, classifier: str | None = None) -> list[Classed]:
        """Which class each text has, by one of the document's classifiers. Raises UnknownObject, WorkerFailed."""
        built = await self._open()

        async def ask(model: str, request: Request, *, purpose: str) -> Response:
            return (await self.complete(request)).response

        return await built.services.sorter.classed(built.services.sorter.find(classifier), texts, ask)

    async def receipt(self, request_id: str) -> Receipt | None:
        built = await self._open()
        return await built.services.ledger.receipt(request_id)

    async def review(self, review_id: str) -> Review:
        """How a held answer stands, and the answer: what AnswerHeld named. Raises UnknownObject."""
        built = await self._open()
        return await asyncio.to_thread(built.services.reviews.find, self._caller, review_id)

    def client(self, task: str) -> "TaskClient":
        """For application code that names what it wants done, and no model."""
        return TaskClient(self, task)

    async def _open(self) -> Built:
        async with self._opening:
            if self._built is None:
                self._built = await self._stack.enter_async_context(
                    open_gateway(read(self._file, self._env), self._env)
                )
            return self._built

    async def _model_for(self, task: str) -> str:
        built = await self._open()
        return task if built.path.routes.is_route(task) else "auto"


class TaskClient:
    """Answers for one task. Which route, strategy and model serve it is written in the document."""

    def __init__(self, gateway: Gateway, task: str) -> None:
        self._gateway = gateway
        self.task = task

    async def complete(
        self,
        prompt: str,
        *,
        system: str | None = None,
        max_output_tokens: int | None = None,
        variables: Mapping[str, object] | None = None,
    ) -> str:
        """The answer's text."""
        answer = await self.ask(prompt, system=system, max_output_tokens=max_output_tokens, variables=variables)
        return answer.text

    async def ask(
        self,
        prompt: str,
        *,
        system: str | None = None,
        max_output_tokens: int | None = None,
        variables: Mapping[str, object] | None = None,
    ) -> Completed:
        """The answer with its receipt. `variables` are those of the route's prompt."""
        model = await self._gateway._model_for(self.task)
        request = _with(ask(model, prompt, system=system, max_output_tokens=max_output_tokens), variables)
        return await self._gateway.complete(request, task=self.task)

    async def stream(
        self, prompt: str, *, system: str | None = None, variables: Mapping[str, object] | None = None
    ) -> AsyncGenerator[str, None]:
        """The answer's text as it arrives."""
        request = _with(ask(await self._gateway._model_for(self.task), prompt, system=system), variables)
        async with aclosing(self._gateway.stream(request, task=self.task)) as chunks:
            async for chunk in chunks:
                if isinstance(chunk, TextDelta):
                    yield chunk.text


def _with(request: Request, variables: Mapping[str, object] | None) -> Request:
    return replace(request, extensions={OWN_FIELD: {"variables": dict(variables)}}) if variables else request


def _list(given: Sequence[object]) -> object:
    """As JSON has it; a text is no list of its letters."""
    return given if isinstance(given, str) else list(given)


def _entry(built: Built, task: str | None) -> Entry:
    return Entry(request_id=built.services.new_request_id(), arrived_s=time.monotonic(), door="python", task=task)
