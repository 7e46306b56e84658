"""Which deployment of a model a request goes to: sticking, quotas, rests and latency, over HTTP."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.journeys.rig import Rig, Told, gateway
from tests.journeys.upstream import Answer, Upstream, chat, failing, upstream

DOCUMENT = """
server: {{auth: keys}}
store: {{database: "sqlite:///books.db"}}
providers:
  east: {{dialect: openai, base_url: "{east}/v1", max_tries: 1}}
  west: {{dialect: openai, base_url: "{west}/v1", max_tries: 1}}
models:
  gpt:
    deployments: [{{provider: east, model: gpt-up}}, {{provider: west, model: gpt-up}}]
    price: {{input: 2.00, output: 8.00, cached_input: 0.20}}
    {more}
keys: [{{name: ci, key: {{env: CI_KEY}}, team: platform, user: ci}}]
"""


class Pair:
    """Two places of one model, and the gateway before them."""

    def __init__(self, rig: Rig, east: Upstream, west: Upstream) -> None:
        self.rig, self.at = rig, {"east": east, "west": west}

    async def ask(self, text: str = "hi", *, session: str | None = None, **more: Any) -> Told:
        headers = {} if session is None else {"x-polyroute-session": session}
        body = {"model": "gpt", "messages": [{"role": "user", "content": text}], "max_tokens": 50, **more}
        return await self.rig.post("/v1/chat/completions", body, headers=headers)

    async def asked(self, text: str = "hi", *, session: str | None = None, **more: Any) -> str:
        """Who answered."""
        told = await self.ask(text, session=session, **more)
        assert told.status == 200, told.body
        return told.headers["x-polyroute-provider"]

    def other(self, name: str) -> str:
        return "west" if name == "east" else "east"


@asynccontextmanager
async def a_pair(folder: Path, more: str = "") -> AsyncIterator[Pair]:
    async with upstream() as east, upstream() as west:
        document = DOCUMENT.format(east=east.url, west=west.url, more=more)
        async with gateway(document, folder) as rig:
            yield Pair(rig, east, west)


async def test_a_session_keeps_its_place_and_moves_once_when_that_breaks(tmp_path: Path) -> None:
    async with a_pair(tmp_path, "sticky: session") as pair:
        home = await pair.asked(session="s1")
        assert {await pair.asked(session="s1") for _ in range(10)} == {home}
        homes = {await pair.asked(session=f"s{n}") for n in range(40)}
        assert homes == {"east", "west"}, "sessions are spread"

        pair.at[home].answers(failing(500))
        away = pair.other(home)
        assert [await pair.asked(session="s1") for _ in range(10)] == [away] * 10
        tried = len(pair.at[home].log)
        pair.at[home].answers(chat("well again"))
        assert [await pair.asked(session="s1") for _ in range(10)] == [away] * 10, "its prompt is cached there now"
        assert len(pair.at[home].log) == tried


async def test_what_a_session_is_may_stand_in_the_body(tmp_path: Path) -> None:
    async with a_pair(tmp_path, "sticky: {by: session, ttl: 5m}") as pair:
        for more in ({"metadata": {"session_id": "x"}}, {"prompt_cache_key": "x"}, {"user": "x"}):
            assert len({await pair.asked(str(n), **more) for n in range(8)}) == 1


async def test_a_conversation_stays_where_its_prefix_is_cached_and_the_receipt_says_why(tmp_path: Path) -> None:
    async with a_pair(tmp_path, "sticky: prompt_prefix") as pair:
        long = "tell me more of this. " * 600
        for upstream_ in pair.at.values():
            upstream_.answers(chat("ok", usage=(3000, 5)))
        first = await pair.ask(long)
        second = await pair.ask(long)
        assert first.headers["x-polyroute-provider"] == second.headers["x-polyroute-provider"]
        reason = (await pair.rig.receipt(second)).plan_reason
        assert f"the prompt prefix stays at gpt@{second.headers['x-polyroute-provider']}" in reason
        assert "its prompt cache saves about $" in reason


async def test_a_place_without_quota_is_left_out_before_it_answers_429(tmp_path: Path) -> None:
    async with a_pair(tmp_path, "sticky: user") as pair:
        home = await pair.asked()
        spent = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1m0s"}
        pair.at[home].answers(Answer(headers=spent, pieces=chat("the last").pieces))
        assert await pair.asked() == home
        told = await pair.ask()
        assert told.headers["x-polyroute-provider"] == pair.other(home)
        receipt = await pair.rig.receipt(told)
        assert len(receipt.attempts) == 1
        assert f"gpt@{home} is short of quota" in receipt.plan_reason


async def test_a_429_with_a_short_rest_goes_to_the_other_at_once(tmp_path: Path) -> None:
    async with a_pair(tmp_path, "sticky: user") as pair:
        home = await pair.asked()
        pair.at[home].answers(Answer(status=429, headers={"retry-after": "2"}, pieces=[b"{}"]))
        told = await pair.ask()
        assert told.headers["x-polyroute-provider"] == pair.other(home)
        receipt = await pair.rig.receipt(told)
        assert [attempt.http_status for attempt in receipt.attempts] == [429, None]
        assert receipt.total_ms < 1500


async def test_by_latency_a_slow_place_is_hardly_asked(tmp_path: Path) -> None:
    async with a_pair(tmp_path, "choose: latency") as pair:
        slow = pair.rig.built.foundation.health
        await pair.asked()
        await pair.asked()  # both are known now
        for name in ("gpt@east", "gpt@west"):
            slow.loads[name].took(5000.0 if name == "gpt@east" else 5.0, pair.rig.built.path.monotonic())
        shares = Counter([await pair.asked() for _ in range(40)])
        assert shares["east"] <= 2
        receipt = await pair.rig.receipt(await pair.ask())
        assert receipt.plan_reason.endswith("gpt@west is faster of two")


async def test_metrics_tell_what_is_under_way_and_what_is_left(tmp_path: Path) -> None:
    async with a_pair(tmp_path) as pair:
        left = {"x-ratelimit-remaining-requests": "41", "x-ratelimit-remaining-tokens": "1000"}
        for upstream_ in pair.at.values():
            upstream_.answers(Answer(headers=left, pieces=chat("ok").pieces))
        name = await pair.asked()
        metrics = (await pair.rig.get("/metrics")).body.decode()
        assert f'polyroute_in_flight{{deployment="gpt@{name}"}} 0.0' in metrics
        assert f'polyroute_quota_remaining{{deployment="gpt@{name}",kind="requests"}} 41.0' in metrics


async def test_the_dry_run_says_why(tmp_path: Path) -> None:
    async with a_pair(tmp_path, "choose: cheapest") as pair:
        body = {"model": "gpt", "messages": [{"role": "user", "content": "hi"}]}
        told = await pair.rig.post("/v1/route", body)
        assert orjson.loads(told.body)["reason"].endswith("is cheapest")


PRICED = """
server: {{auth: keys}}
store: {{database: "sqlite:///books.db"}}
providers:
  east: {{dialect: openai, base_url: "{east}/v1", max_tries: 1}}
  west: {{dialect: openai, base_url: "{west}/v1", max_tries: 1}}
models:
  gpt:
    deployments:
      - {{provider: east, model: gpt-up, price: {{input: 2.00, output: 8.00, cached_input: 0.20}}}}
      - {{provider: west, model: gpt-up, price: {{input: 1.80, output: 8.00, cached_input: 0.18}}}}
    choose: cheapest
    sticky: session
  of-east: {{provider: east, model: gpt-up, price: {{input: 2.00, output: 8.00, cached_input: 0.20}}}}
  of-west: {{provider: west, model: gpt-up, price: {{input: 1.80, output: 8.00, cached_input: 0.18}}}}
routes:
  thrifty: {{strategy: {{use: cheapest, models: [of-east, of-west]}}, sticky: session}}
keys: [{{name: ci, key: {{env: CI_KEY}}, team: platform, user: ci}}]
"""


@pytest.mark.parametrize("model", ["gpt", "thrifty"])
async def test_a_switch_is_priced_by_the_prompt_cache_it_leaves(model: str, tmp_path: Path) -> None:
    """Between a model's deployments, and between models."""
    long = "tell me more of this. " * 600
    async with (
        upstream() as east,
        upstream() as west,
        gateway(PRICED.format(east=east.url, west=west.url), tmp_path) as rig,
    ):
        pair = Pair(rig, east, west)
        for provider in (east, west):
            provider.answers(chat("ok", usage=(3000, 5)))
        assert await pair.asked(long, session="other", model=model) == "west", "it is cheaper"
        west.answers(failing(500))
        assert await pair.asked(long, session="mine", model=model) == "east"
        west.answers(chat("ok", usage=(3000, 5)))
        told = await pair.ask(long, session="mine", model=model)
        assert told.headers["x-polyroute-provider"] == "east", "its prompt is cached there"
        assert "its prompt cache saves about $" in (await rig.receipt(told)).plan_reason
        assert await pair.asked(long, session="new", model=model) == "west"
