"""A provider that fails is asked last, by every door, and the metrics say so."""

from pathlib import Path

from tests.journeys.rig import DOCUMENT, ask, gateway
from tests.journeys.upstream import Upstream, chat, failing

CHAT = "/v1/chat/completions"
ROUTES = """
models:
  spare: {provider: oai, model: spare-up, price: {input: 0.15, output: 0.60}}
"""
ROUTE = "routes: {steady: {primary: gpt, fallback: spare}}\n"


async def test_a_dead_provider_costs_nobody_anything_once_it_is_known_to_be_dead(
    provider: Upstream, tmp_path: Path
) -> None:
    provider.script = lambda heard: failing(500) if heard.json["model"] == "gpt-up" else chat("ok")
    document = DOCUMENT.format(url=provider.url).replace("models:\n", ROUTES.lstrip("\n"), 1) + ROUTE
    async with gateway(document, tmp_path) as rig:
        told = [await rig.post(CHAT, ask(model="steady")) for _ in range(30)]
        assert {t.status for t in told} == {200}
        asked = [heard.json["model"] for heard in provider.log]
        assert asked.count("gpt-up") == 5
        assert [t.headers["x-polyroute-attempts"] for t in told] == ["2"] * 5 + ["1"] * 25
        assert "gpt@oai is failing, so it is asked last" in told[-1].headers["x-polyroute-reason"]
        metrics = (await rig.get("/metrics")).body.decode()
        assert 'polyroute_breaker_state{deployment="gpt@oai"} 3.0' in metrics


async def test_the_last_provider_left_is_never_given_up(provider: Upstream, tmp_path: Path) -> None:
    provider.script = lambda heard: failing(500)
    async with gateway(DOCUMENT.format(url=provider.url), tmp_path) as rig:
        for _ in range(10):
            assert (await rig.post(CHAT, ask(model="gpt"))).status == 502
        provider.script = lambda heard: chat("ok")
        assert (await rig.post(CHAT, ask(model="gpt"))).status == 200
