"""Limits and budgets of what all callers share, requests under way, and fair turns, at a running gateway."""

import asyncio
import random
from collections import Counter
from pathlib import Path

import orjson
from tests.journeys.rig import ADMIN, KEY, PATIENCE_S, Rig, Told, ask, gateway, request
from tests.journeys.upstream import Upstream, chat, chat_events, stream

RED_KEY = "pk-red-0123456789abcdef"
ENV = {"CI_KEY": KEY, "RED_KEY": RED_KEY, "POLYROUTE_ADMIN_KEY": ADMIN, "PROVIDER_KEY": "sk-up"}
ABORTED = 200

DOCUMENT = """
server: {{auth: keys}}
store: {{database: "sqlite:///books.db"}}
providers:
  one: {{dialect: openai, base_url: "{url}/v1", api_key: {{env: PROVIDER_KEY}}, max_tries: 1, {one}}}
  two: {{dialect: openai, base_url: "{url}/v1", api_key: {{env: PROVIDER_KEY}}, max_tries: 1, {two}}}
models:
  first: {{provider: one, model: first-up, price: {{input: 1, output: 1}}}}
  second: {{provider: two, model: second-up, price: {{input: 1, output: 1}}}}
routes:
  both: {{primary: first, fallback: second}}
keys:
  - {{name: ci, key: {{env: CI_KEY}}, team: blue, user: ci, {key}}}
  - {{name: red, key: {{env: RED_KEY}}, team: red, user: red}}
{more}
"""


def document(
    provider: Upstream, *, one: str = "private: false", two: str = "private: false", key: str = "tenant: default",
    more: str = "",
) -> str:  # fmt: skip
    return DOCUMENT.format(url=provider.url, one=one, two=two, key=key, more=more)


def models_of(told: list[Told]) -> Counter[str]:
    return Counter(answer.headers["x-polyroute-model"] for answer in told if answer.status == 200)


async def test_a_provider_s_quota_is_kept_and_the_next_one_answers(provider: Upstream, tmp_path: Path) -> None:
    text = document(provider, one="limits: {per_minute: 3}", two="limits: {per_minute: 2}")
    async with gateway(text, tmp_path, ENV) as door:
        told = [await door.post("/v1/chat/completions", ask(model="both")) for _ in range(6)]
    assert models_of(told) == {"first": 3, "second": 2}
    assert [answer.status for answer in told] == [200] * 5 + [429]
    assert 50 <= int(told[-1].headers["retry-after"]) <= 60
    assert "providers.one.limits.per_minute" in told[-1].json["error"]["message"]
    assert len(provider.log) == 5


async def test_tokens_of_a_deployment_are_reserved_as_asked_and_settled_as_used(
    provider: Upstream, tmp_path: Path
) -> None:
    provider.script = lambda heard: chat("ok", usage=(10, 10))
    text = document(provider, one="limits: {tokens_per_minute: 150}")
    async with gateway(text, tmp_path, ENV) as door:
        told = [await door.post("/v1/chat/completions", ask(model="first", max_tokens=100)) for _ in range(4)]
    assert [answer.status for answer in told] == [200, 200, 200, 429], "20 are used of each, 100 and more are asked for"


async def test_a_provider_s_budget_sends_requests_on_and_ends_in_402(provider: Upstream, tmp_path: Path) -> None:
    provider.script = lambda heard: chat("ok", usage=(100, 100))
    text = document(provider, one="budget: {daily_usd: 0.0007}", two="budget: {total_usd: 0.0004}")
    async with gateway(text, tmp_path, ENV) as door:
        told = [await door.post("/v1/chat/completions", ask(model="both", max_tokens=100)) for _ in range(8)]
    refused = [answer for answer in told if answer.status != 200]
    assert models_of(told)["first"] >= 3
    assert models_of(told)["second"] >= 1
    assert {answer.status for answer in refused} == {402}
    assert "has spent" in refused[-1].json["error"]["message"]
    assert "budget." in refused[-1].json["error"]["message"]


async def test_places_come_back_when_callers_leave(provider: Upstream, tmp_path: Path) -> None:
    events = chat_events(*(["word"] * 20))
    hangs = asyncio.Event()
    provider.script = lambda heard: stream(*events[:8], hangs, *events[8:])
    text = document(provider, one="limits: {parallel: 10}", key="limits: {parallel: 8}")
    async with gateway(text, tmp_path, ENV) as door:
        draw = random.Random(4)

        async def leave() -> None:
            body = orjson.dumps(ask(model="first", stream=True))
            connection = await door.send(request("POST", "/v1/chat/completions", body))
            async with asyncio.timeout(PATIENCE_S):
                await connection.reader.readexactly(draw.randint(1, 900))
            connection.leave()

        for _ in range(ABORTED // 8):
            await asyncio.gather(*(leave() for _ in range(8)))
            await under_way(door, 0)
        provider.script = lambda heard: stream(*events)
        full = await asyncio.gather(
            *(door.post("/v1/chat/completions", ask(model="first", stream=True)) for _ in range(8))
        )
    assert [answer.status for answer in full] == [200] * 8


async def test_more_than_may_be_under_way_is_refused_by_name(provider: Upstream, tmp_path: Path) -> None:
    events, hangs = chat_events("a", "b"), asyncio.Event()
    provider.script = lambda heard: stream(*events[:2], hangs, *events[2:])
    async with gateway(document(provider, key="limits: {parallel: 2}"), tmp_path, ENV) as door:
        body = orjson.dumps(ask(model="first", stream=True))
        held = [await door.send(request("POST", "/v1/chat/completions", body)) for _ in range(2)]
        for connection in held:
            await connection.until(b"\r\n\r\n")
        told = await door.post("/v1/chat/completions", ask(model="first"))
        assert (told.status, told.headers["retry-after"]) == (429, "1")
        assert "keys.ci.limits.parallel" in told.json["error"]["message"]
        hangs.set()
        for connection in held:
            await connection.until(b"0\r\n\r\n")
        await under_way(door, 0)
        assert (await door.post("/v1/chat/completions", ask(model="first", stream=True))).status == 200


async def test_a_team_at_ten_times_the_load_leaves_the_other_its_half(provider: Upstream, tmp_path: Path) -> None:
    more = "limits: {waiting_per_team: 300, wait_s: 60}\nteams: {red: {weight: 1}}"
    text = document(provider, one="limits: {parallel: 1}", more=more)
    async with gateway(text, tmp_path, ENV) as door:
        blue = [door.post("/v1/chat/completions", ask("blue", model="first")) for _ in range(200)]
        red = [door.post("/v1/chat/completions", ask("red", model="first"), key=RED_KEY) for _ in range(20)]
        told = await asyncio.gather(*blue, *red)
    assert {answer.status for answer in told} == {200}
    order = [heard.json["messages"][0]["content"] for heard in provider.log]
    last_red = len(order) - order[::-1].index("red")
    first_red = order.index("red")
    assert last_red - first_red <= 45, "20 of red within 40 of both, however many of blue wait"


async def test_the_gateway_itself_lets_in_only_so_many(provider: Upstream, tmp_path: Path) -> None:
    gate = asyncio.Event()
    events = chat_events("a")
    provider.script = lambda heard: stream(*events[:1], gate, *events[1:])
    text = document(provider, more="limits: {parallel: 2, waiting_per_team: 1, wait_s: 30}")
    async with gateway(text, tmp_path, ENV) as door:
        asked = ask(model="first", stream=True)
        held = [asyncio.create_task(door.post("/v1/chat/completions", asked)) for _ in range(3)]
        async with asyncio.timeout(PATIENCE_S):
            while len(provider.log) < 2:
                await asyncio.sleep(0.005)
        told = await door.post("/v1/chat/completions", asked)
        assert told.status == 429
        assert "limits.parallel" in told.json["error"]["message"]
        assert len(provider.log) == 2
        gate.set()
        assert [answer.status for answer in await asyncio.gather(*held)] == [200] * 3


async def under_way(door: Rig, count: int) -> None:
    """Until so many requests are under way at the first key and provider."""
    accounts = door.built.services.accounts
    limits = (
        accounts._limits_of("default", "blue", "ci", "ci"),
        accounts._limits_at("first", "first@one", "one"),
    )
    slots = [slot for found in limits for slot in found.slots]
    async with asyncio.timeout(1.0):
        while any(accounts.under_way(slot) != count for slot in slots):
            await asyncio.sleep(0.002)
