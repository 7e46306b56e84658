"""Workers of one gateway whose books are in PostgreSQL: they count in a file, or in a Valkey that others share."""

import asyncio
from pathlib import Path

import pytest
from tests.journeys.rig import ADMIN, KEY
from tests.rig.servers import Valkey
from tests.rig.workers import running

DOCUMENT = """
server: {{auth: keys, notice_s: 0}}
store: {{database: "{database}", shared: "{shared}"}}
providers: {{sim: {{dialect: simulated}}}}
models: {{gpt: {{provider: sim, answer: echo, price: {{input: 0, output: 100}}}}}}
keys: [{{name: ci, key: {{env: CI_KEY}}, team: blue, user: ci}}]
limits: {{per_user_per_minute: 12, per_team_daily_usd: 5}}
"""
ENV = {"CI_KEY": KEY, "POLYROUTE_ADMIN_KEY": ADMIN}


@pytest.mark.parametrize("shared", ["memory", "valkey"])
async def test_a_limit_is_one_for_all_of_them(
    shared: str, database: str, valkey_server: Valkey, tmp_path: Path
) -> None:
    place = valkey_server.url if shared == "valkey" else shared
    document = DOCUMENT.format(database=database, shared=place)
    async with running(tmp_path, document, workers=2, env=ENV) as gateway:
        told = [answer.status for answer in await asyncio.gather(*(gateway.chat() for _ in range(30)))]
        assert (told.count(200), told.count(429)) == (12, 18)
        lines = (await gateway.call("GET", "/v1/limits")).json["limits"]
        assert [line["remaining"] for line in lines] == [0]
