"""Limits and budgets of requests that are answered without a call of their own."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest
from tests.journeys.rig import DOCUMENT, ENV, Rig, ask, gateway
from tests.journeys.test_caching import CHAT, COST, cache_of
from tests.journeys.upstream import Answer, Upstream, chat

KEYS = {"RICH": "pk-rich-0123456789abcdef", "POOR": "pk-poor-0123456789abcdef", "SLOW": "pk-slow-0123456789abcdef"}
ROUTES = "routes:\n  kept: {primary: gpt, cache: {}}\n"
OWNERS = """
  - {name: rich, key: {env: RICH}, team: rich, user: rich, budget: {daily_usd: 5}}
  - {name: poor, key: {env: POOR}, team: poor, user: poor, budget: {total_usd: 0.000001}}
  - {name: slow, key: {env: SLOW}, team: slow, user: slow, limits: {per_minute: 2, tokens_per_minute: 100}}
"""


@pytest.fixture
async def rig(provider: Upstream, tmp_path: Path) -> AsyncIterator[Rig]:
    text = DOCUMENT.format(url=provider.url).replace("keys:\n", f"{ROUTES}keys:\n{OWNERS.strip(chr(10))}\n")
    async with gateway(text, tmp_path, {**ENV, **KEYS}) as running:
        yield running


async def test_a_hit_needs_no_money(rig: Rig) -> None:
    body = ask(model="kept", max_tokens=50)
    assert (await rig.post(CHAT, body, key=KEYS["POOR"])).status == 402
    await rig.post(CHAT, body, key=KEYS["RICH"])
    told = await rig.post(CHAT, body, key=KEYS["POOR"])
    assert (told.status, cache_of(told)) == (200, "exact")
    assert told.headers["x-polyroute-budget-remaining-usd"] == "0.000001"


async def test_a_hit_counts_as_a_request_and_as_no_tokens(rig: Rig) -> None:
    body = ask(model="kept", max_tokens=50)
    await rig.post(CHAT, body)
    told = [await rig.post(CHAT, body, key=KEYS["SLOW"]) for _ in range(3)]
    assert [one.status for one in told] == [200, 200, 429]
    assert told[1].headers["x-ratelimit-remaining-tokens"] == "100"


async def test_each_budget_pays_its_share_of_a_call(rig: Rig, provider: Upstream) -> None:
    gate = asyncio.Event()
    provider.answers(Answer(pieces=(gate, *chat("ok").pieces)))
    body = ask(model="kept", max_tokens=50)
    leader = asyncio.ensure_future(rig.post(CHAT, body, key=KEYS["RICH"]))
    await provider.arrived.wait()
    others = [asyncio.ensure_future(rig.post(CHAT, body)) for _ in range(2)]
    while sum(len(flight.waiting) for flight in rig.built.path.recalling._flights.values()) < 2:
        await asyncio.sleep(0)
    gate.set()
    told = [await one for one in (leader, *others)]
    shares = [(await rig.receipt(one)).cost_usd for one in told]
    assert sum(shares) == COST
    assert shares[1] == shares[2] == Decimal("0.0000325")
    assert Decimal(told[0].headers["x-polyroute-budget-remaining-usd"]) == 5 - shares[0]


async def test_who_cannot_pay_a_share_does_not_join(rig: Rig, provider: Upstream) -> None:
    gate = asyncio.Event()
    provider.answers(Answer(pieces=(gate, *chat("ok").pieces)))
    body = ask(model="kept", max_tokens=50)
    leader = asyncio.ensure_future(rig.post(CHAT, body, key=KEYS["RICH"]))
    await provider.arrived.wait()
    refused = await rig.post(CHAT, body, key=KEYS["POOR"])
    gate.set()
    assert refused.status == 402
    assert (await rig.receipt(await leader)).cost_usd == COST
