"""Providers' garbage through a running gateway: the right status, shaped by the door, in bounded time, truly booked."""

import asyncio
import gzip
import time
from collections.abc import AsyncIterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.journeys.rig import PATIENCE_S, Rig, gateway, request
from tests.journeys.upstream import Answer, Upstream, chat_usage, chunk, stream, upstream, whole

DOCUMENT = """
server: {{auth: open}}
store: {{database: "sqlite:///books.db"}}
providers:
  oai: {{dialect: openai, base_url: "{url}/v1", max_tries: 1, timeouts: {{total_s: 8}}}}
models:
  gpt: {{provider: oai, model: gpt-up, price: {{input: 2, output: 8}}}}
limits: {{per_user_daily_usd: 100}}
"""
CHAT, MESSAGES, GEMINI = "/v1/chat/completions", "/v1/messages", "/v1beta/models/gpt:generateContent"
ASKED: dict[str, Mapping[str, object]] = {
    CHAT: {"model": "gpt", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 50},
    MESSAGES: {"model": "gpt", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 50},
    GEMINI: {"contents": [{"parts": [{"text": "Hello"}]}], "generationConfig": {"maxOutputTokens": 50}},
}
doors = pytest.mark.parametrize("path", ASKED)


@pytest.fixture
async def provider() -> AsyncIterator[Upstream]:
    async with upstream() as running:
        yield running


@pytest.fixture
async def rig(provider: Upstream, tmp_path: Path) -> AsyncIterator[Rig]:
    async with gateway(DOCUMENT.format(url=provider.url), tmp_path, {}) as running:
        yield running


def answer(**fields: Any) -> dict[str, Any]:
    said = {"role": "assistant", "content": "Hi there"}
    return {
        "id": "c-1", "object": "chat.completion", "created": 1700000000, "model": "served",
        "choices": [{"index": 0, "message": said, "finish_reason": "stop"}], "usage": chat_usage(11, 7), **fields,
    }  # fmt: skip


def bytes_of(body: bytes, **headers: str) -> Answer:
    return Answer(pieces=(body,), headers={name.replace("_", "-"): value for name, value in headers.items()})


BROKEN: dict[str, Answer] = {
    "nothing": bytes_of(b""),
    "null": bytes_of(b"null"),
    "a page": Answer(pieces=(b"<html>maintenance</html>",), kind="text/html"),
    "an error under 200": whole({"error": {"message": "model crashed", "code": 500}}),
    "choices of another type": whole(answer(choices={"a": 1})),
    "nested without end": bytes_of(b'{"choices":' * 100_000),
    "no UTF-8": bytes_of(b'{"id": "\xff", "choices": []}'),
    "a gzip bomb": bytes_of(gzip.compress(b" " * (1 << 27)), content_encoding="gzip"),
    "brotli": bytes_of(b"\x0b\x02\x80hello\x03", content_encoding="br"),
    "100 MB": Answer(pieces=[b" " * 1_000_000] * 100, chunked=True),
}


@pytest.mark.parametrize("garbage", BROKEN.values(), ids=BROKEN.keys())
@doors
async def test_a_broken_answer_is_502_shaped_and_booked_as_an_estimate(
    rig: Rig, provider: Upstream, garbage: Answer, path: str
) -> None:
    provider.answers(garbage)
    started_s = time.monotonic()
    told = await rig.post(path, ASKED[path], key=None)
    assert time.monotonic() - started_s < PATIENCE_S
    assert told.status == 502, told.body
    assert told.json["error"]["message"]
    assert len(told.body) <= 2048
    assert b"<html" not in told.body
    receipt = (await rig.settled())[0]
    (attempt,) = receipt.attempts
    assert attempt.status == "failed"
    assert attempt.usage is None or attempt.usage.estimated
    assert receipt.cost_usd < Decimal("0.001")
    with rig.books() as books:
        assert list(books.verify()) == []


ABSURD: dict[str, object] = {
    "none": None,
    "negative": chat_usage(-11, -7),
    "a float": {"prompt_tokens": 1.5, "completion_tokens": 2.5, "total_tokens": 4.0},
    "a bool": {"prompt_tokens": True, "completion_tokens": True, "total_tokens": True},
    "beyond 64 bits": {"prompt_tokens": 1 << 60, "completion_tokens": 1, "total_tokens": 1},
    "a text": "many",
    "a list": [1, 2],
    "an empty one": {},
}


@pytest.mark.parametrize("usage", ABSURD.values(), ids=ABSURD.keys())
@doors
async def test_usage_that_cannot_be_true_is_estimated_and_marked(
    rig: Rig, provider: Upstream, usage: object, path: str
) -> None:
    provider.answers(whole(answer(usage=usage)))
    told = await rig.post(path, ASKED[path], key=None)
    assert told.status == 200, told.body
    assert b"Hi there" in told.body
    (attempt,) = (await rig.settled())[0].attempts
    assert attempt.usage is not None
    assert attempt.usage.estimated
    assert 0 < attempt.usage.total_tokens < 100


async def test_usage_larger_than_what_was_held_is_booked_as_it_is(rig: Rig, provider: Upstream) -> None:
    provider.answers(whole(answer(usage=chat_usage(1_000_000, 2_000_000))))
    told = await rig.post(CHAT, ASKED[CHAT], key=None)
    assert told.status == 200
    assert told.headers["x-polyroute-cost-usd"] == "18"
    receipt = await rig.receipt(told)
    assert receipt.cost_usd == Decimal(18)
    with rig.books() as books:
        assert list(books.verify()) == []


@doors
async def test_texts_that_break_other_programs_arrive_whole(rig: Rig, provider: Upstream, path: str) -> None:
    said = {"role": "assistant", "content": "a\0b\u2028c\U0001f600"}
    provider.answers(whole(answer(choices=[{"index": 0, "message": said, "finish_reason": "stop"}])))
    told = await rig.post(path, ASKED[path], key=None)
    assert told.status == 200, told.body
    assert orjson.dumps(said["content"])[1:-1] in orjson.dumps(told.json)


@doors
async def test_a_compressed_answer_is_told_plainly(rig: Rig, provider: Upstream, path: str) -> None:
    provider.answers(bytes_of(gzip.compress(orjson.dumps(answer())), content_encoding="gzip"))
    told = await rig.post(path, ASKED[path], key=None)
    assert told.status == 200, told.body
    assert b"Hi there" in told.body
    assert "content-encoding" not in told.headers


FLOODS: dict[str, bytes] = {
    "comments": b": thinking\n\n" * 5000,
    "empty lines": b"\r\n" * 30_000,
    "one event": b"x" * 60_000,
    "spaces": b" " * 60_000,
}
STREAMED = {path: {**ASKED[path], "stream": True} for path in (CHAT, MESSAGES)}


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS.keys())
@pytest.mark.parametrize("path", STREAMED)
async def test_a_stream_that_never_says_anything_is_502(rig: Rig, provider: Upstream, flood: bytes, path: str) -> None:
    provider.answers(stream(*[flood] * 400))
    async with asyncio.timeout(PATIENCE_S):
        told = await rig.post(path, STREAMED[path], key=None)
    assert told.status == 502, told.body
    assert told.json["error"]["message"]


LATE: dict[str, bytes] = {
    "an error": b'data: {"error": {"message": "crashed", "code": 500}}\n\n',
    "garbage": b"data: {{{\n\n",
    "a page": b"<html>maintenance</html>\n\n",
    "an event of 32 MB": b"data: " + b"x" * 32_000_000 + b"\n\n",
    "nothing more": b"",
}


@pytest.mark.parametrize("garbage", LATE.values(), ids=LATE.keys())
@pytest.mark.parametrize("path", STREAMED)
async def test_a_stream_that_breaks_says_so_in_the_door_s_shape(
    rig: Rig, provider: Upstream, garbage: bytes, path: str
) -> None:
    heard = asyncio.Event()
    provider.answers(
        stream(chunk({"role": "assistant", "content": "Hi"}), chunk({"content": " there"}), heard, garbage)
    )
    connection = await rig.send(request("POST", path, orjson.dumps(STREAMED[path]), key=None))
    begun = await connection.until(b" there")
    assert begun.startswith(b"HTTP/1.1 200")
    heard.set()
    async with asyncio.timeout(PATIENCE_S):
        rest = await connection.reader.read()
    connection.leave()
    last = orjson.loads(rest[rest.rindex(b"data: ") + 6 :].split(b"\n")[0])
    assert last["error"]["message"]
    assert (last.get("type") == "error") is (path == MESSAGES)
    assert rest.endswith(b"0\r\n\r\n"), "the answer itself is whole"
    assert b"[DONE]" not in rest
    assert b"message_stop" not in rest
    receipt = (await rig.settled())[0]
    (attempt,) = receipt.attempts
    assert (receipt.state, attempt.status) == ("failed", "failed")
    assert attempt.usage is not None
    assert attempt.usage.estimated
    assert attempt.usage.output_tokens > 0
