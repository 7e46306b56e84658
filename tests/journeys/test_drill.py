"""A drill from the books of a real gateway, and what its fallbacks did there."""

import asyncio
import json
from pathlib import Path

from tests.journeys.rig import DOCUMENT, ENV, ask, gateway
from tests.journeys.upstream import Answer, Upstream, chat, failing, message, text_block
from typer.testing import CliRunner

from polyroute.cli.drill.verb import drill

CHAT = "/v1/chat/completions"


async def test_past_traffic_is_replayed_and_past_fallbacks_are_told(provider: Upstream, tmp_path: Path) -> None:
    document = DOCUMENT.format(url=provider.url)
    document += (
        "  - {name: two, key: {env: ADMIN_OF_NOTHING}}\n" + "routes: {steady: {primary: gpt, fallback: claude}}\n"
    )
    env = {**ENV, "ADMIN_OF_NOTHING": "pk-two-0123456789abcdef"}
    (tmp_path / "polyroute.yaml").write_text(document)
    provider.script = lambda heard: (
        failing(500) if heard.path.endswith("/chat/completions") and len(provider.log) < 4 else _told(heard.path)
    )
    async with gateway(document, tmp_path, env) as rig:
        for _ in range(20):
            assert (await rig.post(CHAT, ask(model="steady"))).status == 200
        calls = len(provider.log)
    run = CliRunner(env=env)
    ran = await asyncio.to_thread(
        run.invoke, drill, ["outage", "oai", "--config", str(tmp_path / "polyroute.yaml"), "--json"]
    )
    assert ran.exit_code == 0, ran.output
    told = json.loads(ran.stdout)
    assert told["simulated"] is True
    assert told["requests"] == 20
    assert [found["success_share"] for found in told["runs"]] == [1.0, 1.0, 0.0]
    assert [by["name"] for by in told["runs"][1]["answered_by"]] == ["ant"]
    assert len(provider.log) == calls, "nobody was called"
    with rig.books() as books:
        assert len(books.recent()) == 20, "and nothing was written"
    ran = await asyncio.to_thread(run.invoke, drill, ["past", "--config", str(tmp_path / "polyroute.yaml"), "--json"])
    (effect,) = json.loads(ran.stdout)["routes"]
    rescued = effect["rescued"]
    assert rescued >= 1
    assert (effect["with_fallback"], effect["without_fallback"]) == (1.0, (20 - rescued) / 20)


async def test_a_provider_that_is_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "polyroute.yaml").write_text("models: {small: simulated/small}\nroutes: {a: {primary: small}}\n")
    ran = CliRunner().invoke(drill, ["slow", "nobody", "--config", str(tmp_path / "polyroute.yaml")])
    assert ran.exit_code == 1
    assert "no provider `nobody`" in ran.output


def _told(path: str) -> Answer:
    return chat("ok") if path.endswith("/chat/completions") else message(text_block("ok"))
