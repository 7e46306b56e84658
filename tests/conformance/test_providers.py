"""Every built-in provider keeps the port's promises; those with a wire, against an upstream on loopback."""

import asyncio
import gzip
import json
import random
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from polyroute.dialects.anthropic_messages import AnthropicMessages
from polyroute.dialects.openai_chat import OpenAIChat
from polyroute.errors import Overloaded, ProviderError
from polyroute.ports import Dialect
from polyroute.providers.anthropic import Anthropic
from polyroute.providers.http import HttpProvider
from polyroute.providers.openai import OpenAI
from polyroute.providers.replay import Replay
from polyroute.providers.simulated import Failure, Simulated, SimulatedModel
from polyroute.providers.transport import TransportName, open_transport
from polyroute.testing.providers import ScriptedProvider, a_deployment, check_provider
from polyroute.types.cards import Deadlines
from polyroute.types.request import Request, ask
from polyroute.types.response import Ended

CHAT, MESSAGES = OpenAIChat(), AnthropicMessages()
DIALECTS: dict[str, Dialect] = {"openai_chat": CHAT, "anthropic_messages": MESSAGES}
CORPUS = Path(__file__).parents[3] / "shared" / "data" / "conformance" / "cases.jsonl.gz"
PATIENT = Deadlines(connect_s=5, first_token_s=5, between_tokens_s=5, total_s=10)


class Upstream:
    """A door of `dialect` with a simulated model behind it. The model `down` is always overloaded."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._model = Simulated(models={})
        self.url = ""
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                await self._answer(json.loads(await reader.readexactly(length)), writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, body: dict[str, object], writer: asyncio.StreamWriter) -> None:
        request = self._dialect.parse_request(body, {})
        target = a_deployment(request.model)
        if request.model == "down":
            error = self._dialect.render_error("overloaded_error", "Overloaded", field=None, code=None)
            writer.write(b"HTTP/1.1 529 No\r\nretry-after: 2\r\ncontent-length: %d\r\n\r\n%b" % (len(error), error))
            return
        if not request.stream:
            reply = await self._model.complete(request, target, PATIENT, None)
            assert reply.response is not None
            answer = self._dialect.render_response(reply.response, request)
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(answer), answer))
            return
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        events = self._dialect.open_writer(request)
        async for chunk in self._model.stream(request, target, PATIENT, None):
            data = events.end(chunk, {}) if isinstance(chunk, Ended) else events.write(chunk)
            if data:
                writer.write(b"%x\r\n%b\r\n" % (len(data), data))
                await writer.drain()
        await asyncio.sleep(0)
        writer.write(b"0\r\n\r\n")  # after the last event, in a segment of its own


@asynccontextmanager
async def speaking(dialect: Dialect, transport_name: TransportName) -> AsyncIterator[tuple[HttpProvider, Upstream]]:
    upstream, transport = Upstream(dialect), open_transport(transport_name)
    listener = await asyncio.start_server(upstream.serve, "127.0.0.1", 0)
    upstream.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    provider: HttpProvider
    if dialect is CHAT:
        provider = OpenAI(dialects=(CHAT,), transport=transport, base_url=f"{upstream.url}/v1")
    else:
        provider = Anthropic(dialect=MESSAGES, transport=transport, base_url=upstream.url)
    try:
        yield provider, upstream
    finally:
        await provider.aclose()
        await transport.aclose()
        listener.close()


def asked_through(door: str, *, stream: bool) -> Request | None:
    """A question as it came through a door; None: asked in Python."""
    if door == "python":
        return None
    body: dict[str, object] = {
        "model": "any",
        "max_tokens": 100,
        "messages": [{"role": "user", "content": "Name three rivers of Europe."}],
    }
    return DIALECTS[door].parse_request(body | ({"stream": True} if stream else {}), {})


@pytest.mark.parametrize("transport", ["http1", "aiohttp"])
@pytest.mark.parametrize("door", ["openai_chat", "anthropic_messages", "python"])
@pytest.mark.parametrize("upstream", ["openai_chat", "anthropic_messages"])
async def test_wires(upstream: str, door: str, transport: TransportName) -> None:
    async with speaking(DIALECTS[upstream], transport) as (provider, _):
        request = asked_through(door, stream=False)
        await check_provider(provider, a_deployment("up"), request=request, failing=a_deployment("down"))


async def test_a_stream_read_to_its_end_keeps_its_connection() -> None:
    request = asked_through("openai_chat", stream=True)
    assert request is not None
    async with speaking(CHAT, "http1") as (provider, upstream):
        for _ in range(3):
            stream = provider.stream(request, a_deployment("up"), PATIENT, None)
            while not isinstance(await anext(stream), Ended):
                pass
            await stream.aclose()  # as soon as all is known, which is before the body's own end
            for _ in range(10):
                await asyncio.sleep(0)
        assert upstream.connections == 1


async def test_an_overloaded_upstream_says_when_to_come_back() -> None:
    request = asked_through("anthropic_messages", stream=False)
    assert request is not None
    async with speaking(MESSAGES, "http1") as (provider, _):
        with pytest.raises(Overloaded) as caught:
            await provider.complete(request, a_deployment("down"), PATIENT, None)
        assert (caught.value.http_status, caught.value.retry_after_s) == (529, 2.0)


FAILURES: list[Failure] = [
    "rate_limit", "server_error", "unreachable", "auth", "bad_request", "too_long", "refused", "malformed",
    "interrupted",
]  # fmt: skip


@pytest.mark.parametrize("failure", FAILURES)
async def test_simulated(failure: Failure) -> None:
    provider = Simulated(models={"down@provider": SimulatedModel(fail=failure)})
    await check_provider(provider, a_deployment(), failing=a_deployment("down"))


async def test_replay(tmp_path: Path) -> None:
    rows = tmp_path / "recorded.jsonl"
    rows.write_text('{"prompt": "Which river?", "responses": {"model": "The Danube, into the Black Sea."}}\n')
    question = asked_through("python", stream=False) or CHAT.parse_request(
        {"model": "any", "messages": [{"role": "user", "content": "Which river?"}]}, {}
    )
    await check_provider(Replay(recordings=rows), a_deployment(), request=question, failing=a_deployment("other"))


async def test_scripted() -> None:
    provider = ScriptedProvider({"model@provider": "Danube", "down@provider": Overloaded("busy")})
    await check_provider(provider, a_deployment(), failing=a_deployment("down"))


# ── whatever an upstream says ─────────────────────────────────────────────────────────────────────────


class Said:
    """A transport and its one answer, in memory."""

    def __init__(self, status: int, body: bytes) -> None:
        self.status = status
        self.headers: Mapping[str, str] = {}
        self._body = body

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], deadlines: Deadlines) -> "Said":
        return self

    async def read(self) -> bytes:
        return self._body

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        yield self._body

    def close(self) -> None:
        pass

    def detach(self) -> None:
        pass

    async def get(self, url: str, headers: Mapping[str, str], deadlines: Deadlines) -> "Said":
        raise AssertionError("a provider never asks with GET")

    async def delete(self, url: str, headers: Mapping[str, str], deadlines: Deadlines) -> "Said":
        raise AssertionError("a provider never deletes")

    async def aclose(self) -> None:
        pass


WRONG: tuple[object, ...] = (None, 1, -1, 10**30, 1.5, "", "x", True, [], [1], [None], [{}], {}, {"a": 1})


def damaged(value: object, chance: random.Random) -> object:
    """`value` with one thing in it replaced or taken away."""
    value = json.loads(json.dumps(value))
    places = [place for place in _places(value) if isinstance(place[0], dict | list)]
    if not places:
        return chance.choice(WRONG)
    holder, key = chance.choice(places)
    if isinstance(holder, dict) and chance.random() < 0.25:
        del holder[key]
    else:
        holder[key] = chance.choice(WRONG)
    return value


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    keys = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key])


def damaged_stream(events: list[str], chance: random.Random) -> bytes:
    at = chance.randrange(len(events))
    head, mark, data = events[at].partition("data: {")
    changed = head + "data: " + json.dumps(damaged(json.loads("{" + data), chance)) + "\n\n" if mark else ""
    return "".join([*events[:at], changed, *events[at + 1 :]]).encode()


@pytest.mark.skipif(not CORPUS.exists(), reason="the shared data is not here")
@pytest.mark.parametrize("api", ["openai.chat", "anthropic.messages"])
async def test_a_damaged_answer_is_an_answer_or_a_provider_error(api: str) -> None:
    chance = random.Random(7)
    dialect = CHAT if api == "openai.chat" else MESSAGES
    with gzip.open(CORPUS) as lines:
        cases = [case for case in map(json.loads, lines) if case["api"] == api]
    for case in chance.sample(cases, 150):
        is_stream = bool(case["stream"] and case.get("sse_events"))
        if is_stream:
            said = Said(case["status"], damaged_stream(case["sse_events"], chance))
        else:
            said = Said(case["status"], json.dumps(damaged(case.get("response_body"), chance)).encode())
        provider = HttpProvider(
            dialects=(dialect,), transport=said, base_url="http://upstream.example", credentials={}, headers={}
        )
        for door in (dialect.name, "python"):
            request = asked_through(door, stream=is_stream) or ask("any", "Name three rivers.")
            with suppress(ProviderError):
                if is_stream:
                    chunks = [chunk async for chunk in provider.stream(request, a_deployment(), PATIENT, None)]
                    assert isinstance(chunks[-1], Ended), case["id"]
                else:
                    await provider.complete(request, a_deployment(), PATIENT, None)
