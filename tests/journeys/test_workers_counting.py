"""Several workers count as one: rates, budgets, places, figures, alerts; whoever of them dies meanwhile."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.journeys.rig import ADMIN, DOCUMENT, PATIENCE_S, Told
from tests.journeys.upstream import Answer, Upstream, chat, failing
from tests.rig.workers import Gateway, running

from polyroute.stores.sqlite.books import Books

COUNT = 3
BUDGET_USD = Decimal("0.2")
SIMULATED = f"""
server: {{auth: keys, notice_s: 0}}
store: {{database: "sqlite:///books.db"}}
providers: {{sim: {{dialect: simulated, max_tries: 1}}}}
models:
  gpt: {{provider: sim, latency_ms: 5, tokens_per_s: 4000, answer: echo, price: {{input: 0, output: 50}}}}
keys: [{{name: ci, key: {{env: CI_KEY}}, team: blue, user: ci}}]
limits: {{per_team_daily_usd: {BUDGET_USD}}}
"""


@asynccontextmanager
async def limited(provider: Upstream, folder: Path, more: str) -> AsyncIterator[Gateway]:
    document = DOCUMENT.replace("{{auth: keys}}", "{{auth: keys, notice_s: 0}}").format(url=provider.url) + more
    async with running(folder, document, workers=COUNT) as gateway:
        yield gateway


async def statuses(gateway: Gateway, count: int) -> list[int]:
    return [told.status for told in await asyncio.gather(*(gateway.chat() for _ in range(count)))]


async def test_a_rate_is_one_for_all_workers_also_after_one_died(provider: Upstream, tmp_path: Path) -> None:
    async with limited(provider, tmp_path, "limits: {per_user_per_minute: 40}") as gateway:
        first = await statuses(gateway, 30)
        os.kill(gateway.workers[1], signal.SIGKILL)
        told = first
        async with asyncio.timeout(PATIENCE_S):
            while told.count(200) < 40:
                answers = await asyncio.gather(*(gateway.try_chat() for _ in range(6)))
                told = [*told, *(answer.status for answer in answers if answer is not None)]
        told = [*told, *(await statuses(gateway, 30))]
        assert (told.count(200), set(told)) == (40, {200, 429})
        refused = await gateway.chat()
        assert 50 < float(refused.headers["retry-after"]) <= 60
        standing = (await gateway.call("GET", "/v1/limits")).json["limits"]
        assert [(line["limit"], line["remaining"]) for line in standing] == [(40, 0)]


async def test_a_budget_is_never_exceeded_and_can_be_spent_to_its_end(tmp_path: Path) -> None:
    async with running(tmp_path, SIMULATED, workers=COUNT) as gateway:
        spent = Decimal(0)

        async def spend(words: int) -> Told | None:
            nonlocal spent
            told = await gateway.try_chat("word " * words)
            if told is not None and told.status == 200:
                spent += Decimal(told.headers["x-polyroute-cost-usd"])
            return told

        async def kill() -> None:
            await asyncio.sleep(0.05)
            os.kill(gateway.workers[1], signal.SIGKILL)

        await asyncio.gather(kill(), *(spend(100) for _ in range(60)))
        refused = 0
        async with asyncio.timeout(60):
            while refused < 30:  # what the dead one held is free again once its requests are closed
                told = await spend(4 if refused else 40)
                refused = refused + 1 if told is not None and told.status == 402 else 0
                if refused:
                    await asyncio.sleep(0.05)
            while (await gateway.call("GET", "/admin/budgets", key=ADMIN)).json["data"][0]["held_usd"]:
                await asyncio.sleep(0.05)  # what the dead one held is let go after its requests are booked
        line = await budget(gateway)
    with Books(tmp_path / "books.db") as books:
        booked = sum((entry.receipt.cost_usd for entry in books.entries() if entry.receipt), Decimal(0))
    assert spent <= booked <= BUDGET_USD
    assert booked >= BUDGET_USD * Decimal("0.99")
    assert Decimal(str(line["spent_usd"])) == booked
    assert line["held_usd"] == 0


async def budget(gateway: Gateway) -> dict[str, Any]:
    """As any worker tells it."""
    told = [await gateway.call("GET", "/admin/budgets", key=ADMIN) for _ in range(6)]
    (line,) = told[0].json["data"]
    assert all(answer.json["data"] == [line] for answer in told)
    found: dict[str, Any] = line
    return found


async def test_places_are_counted_over_all_workers_and_come_back(provider: Upstream, tmp_path: Path) -> None:
    async with limited(provider, tmp_path, "limits: {per_user_parallel: 4}") as gateway:
        gate = asyncio.Event()
        (whole,) = (piece for piece in chat("ok").pieces if isinstance(piece, bytes))
        provider.answers(Answer(pieces=(whole[:-1], gate, whole[-1:])))
        asking = [asyncio.create_task(gateway.chat()) for _ in range(12)]
        async with asyncio.timeout(PATIENCE_S):
            while sum(task.done() for task in asking) < 8 or len(provider.log) < 4:
                await asyncio.sleep(0.01)
        assert len(provider.log) == 4
        gate.set()
        told = [answer.status for answer in await asyncio.gather(*asking)]
        assert (told.count(200), told.count(429)) == (4, 8)
        provider.answers(chat("ok"))
        async with asyncio.timeout(PATIENCE_S):
            while (await gateway.chat()).status != 200:
                await asyncio.sleep(0.01)


async def test_one_idempotency_key_is_one_call_whoever_is_asked(provider: Upstream, tmp_path: Path) -> None:
    async with limited(provider, tmp_path, "") as gateway:
        headers = {"idempotency-key": "once"}
        told = await asyncio.gather(*(gateway.chat(headers=headers) for _ in range(12)))
        assert {answer.status for answer in told} == {200}
        assert len(provider.log) == 1


async def test_figures_are_those_of_all_and_never_go_back(provider: Upstream, tmp_path: Path) -> None:
    async with limited(provider, tmp_path, "") as gateway:
        await statuses(gateway, 30)
        assert {await requests_total(gateway) for _ in range(8)} == {30}
        for victim in gateway.workers:
            os.kill(victim, signal.SIGKILL)
            await gateway.until_worker_is_replaced(victim, COUNT)
            assert await requests_total(gateway) == 30
        await statuses(gateway, 12)
        assert {await requests_total(gateway) for _ in range(8)} == {42}


async def requests_total(gateway: Gateway) -> float:
    told: Told | None = None
    async with asyncio.timeout(PATIENCE_S):
        while told is None:  # one that is being replaced
            try:
                told = await gateway.call("GET", "/metrics")
            except (OSError, asyncio.IncompleteReadError):
                continue
    found = {family.name: family for family in text_string_to_metric_families(told.body.decode())}
    counts = [s.value for s in found["polyroute_upstream_seconds"].samples if s.name.endswith("_count")]
    assert sum(counts) == sum(sample.value for sample in found["polyroute_requests"].samples)
    return sum(counts)


async def test_an_alert_is_told_once(provider: Upstream, tmp_path: Path) -> None:
    alerts = "alerts: [{use: log, on: [plan_exhausted, budget > 0.5]}]\nlimits: {per_team_daily_usd: 0.1}"
    async with limited(provider, tmp_path, alerts) as gateway:
        provider.answers(chat("ok", usage=(1000, 700)))
        assert [(await gateway.chat()).status for _ in range(8)] == [200] * 8  # three quarters of the budget
        provider.answers(failing(500, "broken"))
        assert 502 in await statuses(gateway, 24)
        async with asyncio.timeout(PATIENCE_S):
            while gateway.log.count("alert.raised") < 2:
                await asyncio.sleep(0.05)
        await asyncio.sleep(1.2)  # a look later
        raised = [line for line in gateway.log.splitlines() if "alert.raised" in line]
        assert len(raised) == 2, raised


async def test_counters_that_are_deleted_are_made_anew_and_nothing_is_forgotten(
    provider: Upstream, tmp_path: Path
) -> None:
    async with limited(provider, tmp_path, "limits: {per_user_per_minute: 40}") as gateway:
        assert (await statuses(gateway, 30)).count(200) == 30
        for path in tmp_path.glob("books.db-counters*"):
            path.unlink()
        await asyncio.sleep(1.5)  # every worker has looked, and told what it had admitted
        assert (await statuses(gateway, 30)).count(200) == 10


@pytest.mark.parametrize("workers", [2])
async def test_a_held_answer_is_decided_and_fetched_anywhere(provider: Upstream, tmp_path: Path, workers: int) -> None:
    document = DOCUMENT.replace("keys:", "routes: {{legal: {{primary: gpt, require_human_review: true}}}}\nkeys:")
    async with running(tmp_path, document.format(url=provider.url), workers=workers) as gateway:
        body = b'{"model": "legal", "messages": [{"role": "user", "content": "sue"}]}'
        held = await gateway.call("POST", "/v1/chat/completions", body)
        assert held.status == 202, held.body
        place = f"/admin/reviews/{held.json['id']}/approve"
        assert (await gateway.put(place, {}, key=ADMIN)).status == 200
        told = [await gateway.call("GET", f"/v1/reviews/{held.json['id']}") for _ in range(6)]
        assert {answer.status for answer in told} == {200}
