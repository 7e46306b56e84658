"""The demo's prompts, sent through every route over HTTP; notes which answers were good.

Good is what the simulated model itself says of its answer: a fixed text that `is_good` looks for.
"""

import asyncio
from collections.abc import Callable, Iterator
from importlib.resources import files
from pkgutil import resolve_name
from typing import Any, Literal, Protocol

import msgspec
from msgspec import Struct

from polyroute.cli.client import Client
from polyroute.errors import PolyrouteError
from polyroute.providers.transport import open_transport

ROUTES = ("always-strong", "always-cheap", "routed")
ClientName = Literal["builtin", "openai"]

_CONCURRENCY = 12
_GOOD = "This is a simulated answer"


class Prompt(Struct, frozen=True, kw_only=True):
    difficulty: Literal["simple", "moderate", "complex"]  # as its author meant it
    prompt: str


class Sent(Struct, frozen=True, kw_only=True):
    request_id: str
    difficulty: str
    is_good: bool


class Said(Struct, frozen=True, kw_only=True):
    request_id: str
    text: str


class Sender(Protocol):
    """One client of the gateway."""

    async def send(self, route: str, prompt: Prompt) -> Said:
        """Raises PolyrouteError."""

    async def aclose(self) -> None: ...


def prompts(limit: int | None = None) -> list[Prompt]:
    """In a fixed order in which every ten hold seven simple, two moderate and one complex."""
    lines = files("polyroute.cli.demo").joinpath("data", "prompts.jsonl").read_bytes().splitlines()
    return [msgspec.json.decode(line, type=Prompt) for line in lines[:limit]]


async def send_all(wanted: list[Prompt], sender: Sender, on_answer: Callable[[], None]) -> list[Sent]:
    """Every prompt through every route, a dozen at a time."""
    sent: list[Sent] = []
    orders = iter([(route, prompt) for prompt in wanted for route in ROUTES])
    async with asyncio.TaskGroup() as group:
        for _ in range(_CONCURRENCY):
            group.create_task(_work(orders, sender, sent, on_answer))
    return sent


def is_good(answer: str) -> bool:
    return answer.startswith(_GOOD)


async def _work(
    orders: Iterator[tuple[str, Prompt]], sender: Sender, sent: list[Sent], on_answer: Callable[[], None]
) -> None:
    for route, prompt in orders:
        said = await sender.send(route, prompt)
        sent.append(Sent(request_id=said.request_id, difficulty=prompt.difficulty, is_good=is_good(said.text)))
        on_answer()


# ── clients ───────────────────────────────────────────────────────────────────────────────────────────


def open_sender(name: ClientName, address: str) -> Sender:
    """Raises PolyrouteError where the client is not installed."""
    return _OpenAI(address) if name == "openai" else _Builtin(address)


class _Builtin:
    def __init__(self, address: str) -> None:
        self._transport = open_transport()
        self._client = Client(address, None, self._transport)

    async def send(self, route: str, prompt: Prompt) -> Said:
        answer = await self._client.post("/v1/chat/completions", _body(route, prompt))
        return Said(request_id=answer.report["request_id"], text=answer.text)

    async def aclose(self) -> None:
        await self._transport.aclose()


class _OpenAI:
    """The official SDK, which is no dependency of ours: it is imported where somebody asks for it."""

    def __init__(self, address: str) -> None:
        try:
            self._error: type[Exception] = resolve_name("openai:OpenAIError")
        except ImportError as exc:
            raise PolyrouteError("`--client openai` needs the SDK: pip install openai") from exc
        self._client: Any = resolve_name("openai:AsyncOpenAI")(base_url=f"{address}/v1", api_key="demo", max_retries=0)

    async def send(self, route: str, prompt: Prompt) -> Said:
        try:
            raw = await self._client.chat.completions.with_raw_response.create(**_body(route, prompt))
            completion = raw.parse()
        except self._error as exc:
            raise PolyrouteError(f"the SDK says: {exc}") from exc
        return Said(request_id=raw.headers["x-polyroute-request-id"], text=completion.choices[0].message.content or "")

    async def aclose(self) -> None:
        await self._client.close()


def _body(route: str, prompt: Prompt) -> dict[str, Any]:
    return {
        "model": route,
        "messages": [{"role": "user", "content": prompt.prompt}],
        "metadata": {"difficulty": prompt.difficulty},  # read by the simulated models alone
    }
