"""What the document says of providers, built and called: plain logic over HTTP above all."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from polyroute.config.load import reads
from polyroute.errors import ConfigError
from polyroute.journey import Entry
from polyroute.types.access import Caller
from polyroute.types.receipt import Receipt
from polyroute.types.request import ask
from polyroute.wiring.build import Built, open_gateway

DOCUMENT = """
server: {{auth: open}}
providers: {{sim: {{dialect: simulated}}}}
models: {{small: {{provider: sim, price: {{input: 1, output: 2}}, answer: from a model}}}}
routes:
  faq:
    task: support
    region: eu
    strategy:
      use: logic
      answers:
        - {{when: {{contains: [opening hours]}}, text: Nine to five.}}
        - {{when: {{matches: 'capital of (?P<land>\\w+)'}}, lookup: {{key: "{{land}}", table: {{France: Paris}}}}}}
        - when: {{matches: 'order (?P<id>\\S+)'}}
          call: {{url: "{url}/orders/{{id}}", headers: {{x-key: {{env: SHOP_KEY}}}}, timeout_s: 5}}
        - {{when: {{task: [support], max_words: 2}}, text: How can I help?}}
      otherwise: small
  plain: {{primary: small}}
"""
NOWHERE = "http://127.0.0.1:1"


class Shop:
    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.asked: list[bytes] = []
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(self.answer)
        writer.close()


@asynccontextmanager
async def shop(answer: bytes) -> AsyncIterator[Shop]:
    running = Shop(answer)
    server = await asyncio.start_server(running.serve, "127.0.0.1", 0)
    running.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield running
    finally:
        server.close()


def http(status: str, body: str) -> bytes:
    return f"HTTP/1.1 {status}\r\ncontent-length: {len(body.encode())}\r\n\r\n{body}".encode()


@asynccontextmanager
async def gateway(folder: Path, url: str = NOWHERE) -> AsyncIterator[Built]:
    env = {"SHOP_KEY": "sesame"}
    document = DOCUMENT.format(url=url).replace("region: eu", "")
    async with open_gateway(reads(document, env, folder=folder), env) as built:
        yield built


async def asked(built: Built, text: str, model: str = "faq") -> tuple[str, Receipt]:
    request = ask(model, text)
    entry = Entry(request_id=built.services.new_request_id(), arrived_s=built.path.monotonic(), door="test")
    answer = await built.path.answer(request, Caller(), entry)
    return built.path.read(request, answer.reply).text, answer.receipt


@pytest.mark.parametrize(
    ("text", "expected", "model"),
    [
        ("What are your opening hours?", "Nine to five.", "logic/faq/1"),
        ("What is the capital of France?", "Paris", "logic/faq/2"),
        ("Hello", "How can I help?", "logic/faq/4"),
        ("Tell me about the weather", "from a model", "small"),
    ],
)
async def test_plain_logic_answers_what_it_can(text: str, expected: str, model: str, tmp_path: Path) -> None:
    async with gateway(tmp_path) as built:
        told, receipt = await asked(built, text)
    assert (told, receipt.model) == (expected, model)
    assert receipt.cost_complete
    assert receipt.baseline == "small"
    assert receipt.saved_usd is not None
    assert (receipt.cost_usd == 0) == (receipt.saved_usd > 0) == (model != "small")


async def test_what_the_table_does_not_hold_is_left_to_the_models(tmp_path: Path) -> None:
    async with gateway(tmp_path) as built:
        told, receipt = await asked(built, "What is the capital of Atlantis?")
    assert told == "from a model"
    assert [attempt.status for attempt in receipt.attempts] == ["failed", "succeeded"]
    assert receipt.fallback_reason == "logic/faq/2: MalformedReply"


async def test_a_service_of_ones_own_answers(tmp_path: Path) -> None:
    async with shop(http("200 OK", "ordered, paid, sent: ✓")) as running, gateway(tmp_path, running.url) as built:
        told, receipt = await asked(built, "Where is order ../7?")
    assert told == "ordered, paid, sent: ✓"
    assert receipt.cost_usd == 0
    (request,) = running.asked
    assert request.startswith(b"GET /orders/..%2F7%3F HTTP/1.1\r\n")
    assert b"x-key: sesame\r\n" in request


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(http("500 Oops", "secret trace"), id="an error"),
        pytest.param(http("404 Not Found", ""), id="nothing there"),
        pytest.param(http("302 Found", ""), id="a redirect"),
        pytest.param(b"SSH-2.0\r\n\r\n", id="no HTTP"),
        pytest.param(b"", id="hanging up"),
    ],
)
async def test_a_service_in_trouble_is_stood_in_for_by_the_models(answer: bytes, tmp_path: Path) -> None:
    async with shop(answer) as running, gateway(tmp_path, running.url) as built:
        told, receipt = await asked(built, "Where is order 7?")
    assert told == "from a model"
    assert [attempt.status for attempt in receipt.attempts] == ["failed", "succeeded"]
    assert "secret" not in (receipt.attempts[0].message or "")


async def test_a_service_that_is_down_is_stood_in_for_by_the_models(tmp_path: Path) -> None:
    async with gateway(tmp_path) as built:
        told, receipt = await asked(built, "Where is order 7?")
    assert told == "from a model"
    assert receipt.attempts[0].error == "Unreachable"
    assert receipt.attempts[0].cost_usd == 0


async def test_a_route_bound_to_a_region_still_answers_by_logic(tmp_path: Path) -> None:
    document = DOCUMENT.format(url=NOWHERE).replace("provider: sim,", "provider: sim, region: eu,")
    async with open_gateway(reads(document, {"SHOP_KEY": "k"}, folder=tmp_path), {}) as built:
        told, _ = await asked(built, "What are your opening hours?")
    assert told == "Nine to five."


def test_the_host_of_a_service_is_not_a_callers_choice(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        reads(DOCUMENT.format(url="http://{id}.shop"), {"SHOP_KEY": "k"}, folder=tmp_path)
    assert "the host cannot be filled in" in str(caught.value)
