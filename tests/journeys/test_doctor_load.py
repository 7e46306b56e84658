"""`doctor` reads the books and names what gives way first at five times the load."""

import asyncio
import json
from pathlib import Path

from tests.journeys.rig import DOCUMENT, ENV, ask, gateway
from tests.journeys.upstream import Upstream
from typer.testing import CliRunner

from polyroute.cli.main import build


async def test_doctor_names_what_gives_way_first(provider: Upstream, tmp_path: Path) -> None:
    document = DOCUMENT.format(url=provider.url).replace("max_tries: 1}", "max_tries: 1, limits: {per_minute: 70}}", 1)
    document += "limits: {per_team_daily_usd: 100}\n"
    (tmp_path / "polyroute.yaml").write_text(document)
    async with gateway(document, tmp_path) as rig:
        for _ in range(20):
            assert (await rig.post("/v1/chat/completions", ask())).status == 200
    run = CliRunner(env=ENV)
    words = ["doctor", "--config", str(tmp_path / "polyroute.yaml")]
    ran = await asyncio.to_thread(run.invoke, build("doctor"), [*words, "--json"])
    told = json.loads(ran.stdout)
    load = told["load"]
    assert load["ceilings"][0]["what"] == "provider oai"
    assert 3.5 <= load["ceilings"][0]["multiple"] <= 7, "twenty requests, in one minute or in two"
    assert {"team platform: daily budget", "disk of the store", "file descriptors"} <= {
        ceiling["what"] for ceiling in load["ceilings"]
    }
    ran = await asyncio.to_thread(run.invoke, build("doctor"), [*words, "--times", "8"])
    assert "provider oai gives way first" in ran.stdout
