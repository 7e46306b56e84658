"""A second call beside a late one, over HTTP: the SDKs, the provider's own log, and a gateway that is killed."""

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anthropic
import openai
import orjson
import pytest
from tests.journeys.rig import DOCUMENT, KEY, PATIENCE_S, Rig, ask, gateway, request
from tests.journeys.test_leaving import port_of, start
from tests.journeys.upstream import HANGS, Answer, Heard, Upstream, chat, chat_events, stream

from polyroute.stores.sqlite.books import Books

CHAT = "/v1/chat/completions"
CUT_S = 0.5  # promised are 50 ms; the rest is for a busy machine
FILL = 25  # requests that bring one second call, at 5 %
ROUTES = """
models:
  spare: {{provider: oai, model: spare-up, price: {{input: 2.50, output: 10.00}}}}
  dear: {{provider: oai, model: dear-up, price: {{input: 25.00, output: 100.00}}}}
routes:
  quick: {{primary: gpt, fallback: [spare], hedge: {{after_ms: 30, max_share: 0.05}}}}
  thrifty: {{primary: gpt, fallback: [dear], hedge: {{after_ms: 30, max_share: 0.05}}}}
  plain: {{primary: gpt, fallback: [spare]}}
"""


def document(url: str) -> str:
    models, routes = ROUTES.split("routes:\n")
    text = DOCUMENT.replace("models:\n", models.lstrip())
    return text.replace("keys:\n", f"routes:\n{routes}keys:\n").format(url=url)


@pytest.fixture
async def rig(provider: Upstream, tmp_path: Path) -> AsyncIterator[Rig]:
    async with gateway(document(provider.url), tmp_path) as running:
        yield running


def says(heard: Heard, text: str) -> Answer:
    return stream(*chat_events(text)) if heard.json.get("stream") else chat(text)


async def late(rig: Rig, provider: Upstream, route: str) -> None:
    """The bucket holds a second call, and from now on the primary says nothing."""
    provider.script = lambda heard: says(heard, "first")
    for _ in range(FILL):
        assert (await rig.post(CHAT, ask(model=route))).status == 200
    provider.log.clear()
    provider.script = lambda heard: HANGS if heard.json["model"] == "gpt-up" else says(heard, "second")


async def test_openais_sdk_gets_the_second_answer_and_the_first_call_is_cut(rig: Rig, provider: Upstream) -> None:
    await late(rig, provider, "quick")
    async with openai.AsyncOpenAI(base_url=f"{rig.url}/v1", api_key=KEY, max_retries=0) as client:
        got = await client.chat.completions.create(model="quick", messages=[{"role": "user", "content": "Hi"}])
    assert got.choices[0].message.content == "second"
    (receipt, *_) = await rig.settled(FILL + 1)
    loser, winner = receipt.attempts
    assert (loser.status, loser.remedy, loser.role) == ("cancelled", "hedge", None)
    assert (winner.status, winner.role, winner.model) == ("succeeded", "hedge", "spare")
    assert loser.usage is not None
    assert loser.usage.estimated
    assert loser.cost_usd
    assert receipt.cost_usd == loser.cost_usd + (winner.cost_usd or 0)
    async with asyncio.timeout(PATIENCE_S):
        await provider.log[0].left.wait()
    assert provider.log[0].left_s is not None
    assert provider.log[0].left_s - provider.log[1].arrived_s < CUT_S
    metrics = (await rig.get("/metrics")).body
    assert b'polyroute_hedges_total{outcome="won",route="quick"} 1.0' in metrics


@pytest.mark.parametrize("door", ["openai", "anthropic"])
async def test_a_stream_is_overtaken_before_its_first_token(rig: Rig, provider: Upstream, door: str) -> None:
    provider.script = lambda heard: says(heard, "first")
    for _ in range(FILL):
        await rig.post(CHAT, ask(model="quick", stream=True))
    opening = chat_events()[0]
    provider.script = lambda heard: (
        stream(opening, end="hang") if heard.json["model"] == "gpt-up" else says(heard, "second")
    )
    if door == "openai":
        async with openai.AsyncOpenAI(base_url=f"{rig.url}/v1", api_key=KEY, max_retries=0) as client:
            got = await client.chat.completions.create(
                model="quick", messages=[{"role": "user", "content": "Hi"}], stream=True
            )
            text = "".join([one.choices[0].delta.content or "" async for one in got if one.choices])
    else:
        async with (
            anthropic.AsyncAnthropic(base_url=rig.url, api_key=KEY, max_retries=0) as claude,
            claude.messages.stream(
                model="quick", max_tokens=50, messages=[{"role": "user", "content": "Hi"}]
            ) as events,
        ):
            text = "".join([one async for one in events.text_stream])
    assert text == "second"
    (receipt, *_) = await rig.settled(FILL + 1)
    assert [(a.status, a.role, a.remedy) for a in receipt.attempts] == [
        ("cancelled", None, "hedge"),
        ("succeeded", "hedge", None),
    ]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        pytest.param(CHAT, ask(model="plain"), id="a route that does not ask for it"),
        pytest.param(CHAT, ask(model="thrifty"), id="the second costs more than the first may"),
        pytest.param(CHAT, {**ask(model="quick"), "store": True}, id="an answer that is stored"),
    ],
)
async def test_nobody_is_asked_beside_it(rig: Rig, provider: Upstream, path: str, body: dict[str, Any]) -> None:
    await late(rig, provider, str(body["model"]))
    connection = await rig.send(request("POST", path, orjson.dumps(body)))
    async with asyncio.timeout(PATIENCE_S):
        while not provider.log:
            await asyncio.sleep(0.005)
    await asyncio.sleep(0.15)  # five times as long as a call is waited for alone
    assert [heard.json["model"] for heard in provider.log] == ["gpt-up"]
    connection.leave()
    (receipt, *_) = await rig.settled(FILL + 1)
    assert [attempt.status for attempt in receipt.attempts] == ["cancelled"]


async def test_a_gateway_killed_while_two_calls_are_out_has_both_on_its_books(
    provider: Upstream, tmp_path: Path
) -> None:
    (tmp_path / "polyroute.yaml").write_text(document(provider.url).replace("{auth: keys}", "{auth: keys, port: 0}"))
    process = await start(tmp_path)
    provider.script = lambda heard: says(heard, "first")
    body = orjson.dumps(ask(model="quick"))
    try:
        port = await port_of(process)
        for _ in range(FILL):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request("POST", CHAT, body))
            assert b" 200 " in await reader.readline()
            await reader.read()
            writer.transport.abort()
        provider.log.clear()
        provider.script = lambda heard: HANGS
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request("POST", CHAT, body))
        async with asyncio.timeout(PATIENCE_S):
            while len(provider.log) < 2:
                await asyncio.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        await process.wait()
        writer.transport.abort()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    again = await start(tmp_path)
    try:
        await port_of(again)
    finally:
        again.send_signal(signal.SIGTERM)
        await again.wait()
    with Books(tmp_path / "books.db") as books:
        (entry,) = [entry for entry in books.entries() if entry.request.state == "recovered"]
        assert [(attempt.model, attempt.status) for attempt in entry.attempts] == [
            ("gpt", "unknown"),
            ("spare", "unknown"),
        ]
        assert [finding for finding in books.verify() if finding.kind != "left_open"] == []
