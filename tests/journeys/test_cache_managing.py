"""Caches as people manage them: figures, one answer's facts, and purges, by the admin API and beside a gateway."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest
from tests.journeys.rig import ADMIN, ENV, Rig, ask, gateway
from tests.journeys.test_caching import CHAT, TENANTS, cache_of, document, key_of
from tests.journeys.upstream import Upstream
from typer.testing import CliRunner

from polyroute.cli.main import build

KEYS = {**ENV, **{f"KEY_{n}": key_of(n) for n in range(TENANTS)}}


@pytest.fixture
async def rig(provider: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rig]:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    text = document(provider.url)
    (tmp_path / "polyroute.yaml").write_text(text)
    async with gateway(text, tmp_path, KEYS) as running:
        yield running


async def cli(rig: Rig, *words: str) -> str:
    args = ["cache", *words, "--config", str(rig.folder / "polyroute.yaml"), "--json"]
    done = await asyncio.to_thread(CliRunner().invoke, build("cache"), args)
    assert done.exit_code == 0, done.output
    return done.output


async def test_the_figures_tell_hit_rate_and_money_of_each_tier(rig: Rig) -> None:
    told = [await rig.post(CHAT, ask(model="kept")) for _ in range(4)]
    paid = (await rig.receipt(told[0])).cost_usd
    found = await rig.get("/admin/cache", key=ADMIN)
    assert found.json["cache"]["entries"] == 1
    (route,) = found.json["routes"]
    assert (route["route"], route["requests"], route["hit_ratio"]) == ("kept", 4, 0.75)
    assert route["tiers"]["exact"]["hits"] == 3
    assert route["saved_usd"] == pytest.approx(float(paid * 3))
    beside = orjson.loads(await cli(rig, "stats"))
    assert beside["routes"] == found.json["routes"]
    through = orjson.loads(await cli(rig, "stats", "--url", rig.url, "--key", ADMIN))
    assert through["routes"] == found.json["routes"]


async def test_an_answers_facts_are_shown_and_never_what_it_says(rig: Rig) -> None:
    receipt = await rig.receipt(await rig.post(CHAT, ask("a secret", model="kept")))
    found = await rig.get(f"/admin/cache/{receipt.cache_key}", key=ADMIN)
    assert (found.json["request_id"], found.json["tenant"], found.json["route"]) == (
        receipt.request_id, "default", "kept"
    )  # fmt: skip
    assert b"secret" not in found.body
    assert b'"ok"' not in found.body
    assert (await rig.get(f"/admin/cache/{'0' * 64}", key=ADMIN)).status == 404
    assert (await rig.get("/admin/cache/*", key=ADMIN)).status == 400
    shown = orjson.loads(await cli(rig, "inspect", str(receipt.cache_key), "--url", rig.url, "--key", ADMIN))
    assert shown["request_id"] == receipt.request_id


async def test_a_purge_takes_what_it_names_and_nothing_else(rig: Rig) -> None:
    for n in range(2):
        await rig.post(CHAT, ask(model="kept"), key=key_of(n))
    gone = await rig.call("DELETE", "/admin/cache?tenant=tenant-0", key=ADMIN)
    assert (gone.status, gone.json["removed"]) == (200, 1)
    assert cache_of(await rig.post(CHAT, ask(model="kept"), key=key_of(0))) == "miss"
    assert cache_of(await rig.post(CHAT, ask(model="kept"), key=key_of(1))) == "exact"


async def test_a_mistyped_purge_takes_nothing(rig: Rig) -> None:
    await rig.post(CHAT, ask(model="kept"))
    assert (await rig.call("DELETE", "/admin/cache?tennant=x", key=ADMIN)).status == 400
    assert cache_of(await rig.post(CHAT, ask(model="kept"))) == "exact"


async def test_callers_see_no_cache_and_empty_none(rig: Rig) -> None:
    assert (await rig.get("/admin/cache")).status == 403
    assert (await rig.call("DELETE", "/admin/cache")).status == 403


async def test_the_command_beside_a_running_gateway_empties_its_cache(rig: Rig) -> None:
    for n in range(2):
        await rig.post(CHAT, ask(model="kept"), key=key_of(n))
    await cli(rig, "purge", "--tenant", "tenant-1")
    await rig.app.services.catch_up()  # as every second
    assert cache_of(await rig.post(CHAT, ask(model="kept"), key=key_of(1))) == "miss"
    assert cache_of(await rig.post(CHAT, ask(model="kept"), key=key_of(0))) == "exact"
    with_log = rig.built.services.records.entries(limit=100)
    assert any(entry.act.action == "cache:purge" for entry in with_log)


async def test_the_command_purges_through_a_server(rig: Rig) -> None:
    await rig.post(CHAT, ask(model="kept"))
    done = orjson.loads(await cli(rig, "purge", "--all", "--url", rig.url, "--key", ADMIN))
    assert done["removed"] == 1
    assert cache_of(await rig.post(CHAT, ask(model="kept"))) == "miss"


async def test_it_must_be_said_what_is_to_go(rig: Rig) -> None:
    args = ["cache", "purge", "--config", str(rig.folder / "polyroute.yaml")]
    done = await asyncio.to_thread(CliRunner().invoke, build("cache"), args)
    assert done.exit_code == 2
