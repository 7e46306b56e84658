import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from polyroute.config.load import Loaded, read
from polyroute.server.app import App
from polyroute.server.table import build_table
from polyroute.types.access import Caller
from polyroute.wiring.build import Built, open_gateway
from polyroute.wiring.reload import follow, take

BEFORE = """
server: {auth: open}
models: {small: simulated/small, large: simulated/large}
routes: {ask: {primary: small}}
"""
AFTER = BEFORE.replace("routes: {", "routes: {premium: {primary: large}, ")


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[tuple[App, Loaded, Built]]:
    file = folder / "polyroute.yaml"
    file.write_text(BEFORE)
    loaded = read(file, {})
    async with open_gateway(loaded, {}) as built:
        yield App(built.services, build_table(), time.monotonic), loaded, built


async def test_a_fourth_tier_is_there_once_the_file_names_it(tmp_path: Path) -> None:
    async with serving(tmp_path) as (app, loaded, built):
        (tmp_path / "polyroute.yaml").write_text(AFTER)
        taken = await take(app, loaded, {}, built)
        assert "premium" in app.services.path.routes.names
        assert taken is not loaded
        assert app.services.policy != built.services.policy


async def test_a_document_with_a_mistake_changes_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with serving(tmp_path) as (app, loaded, built):
        (tmp_path / "polyroute.yaml").write_text(AFTER.replace("primary: large", "primry: large"))
        assert await take(app, loaded, {}, built) is loaded
        assert app.services is built.services
        assert "primry" in caplog.text


async def test_a_file_that_is_gone_changes_nothing(tmp_path: Path) -> None:
    async with serving(tmp_path) as (app, loaded, built):
        (tmp_path / "polyroute.yaml").unlink()
        assert await take(app, loaded, {}, built) is loaded
        assert app.services is built.services


async def test_money_spent_counts_under_a_budget_that_comes_later(tmp_path: Path) -> None:
    async with serving(tmp_path) as (app, loaded, built):
        (tmp_path / "polyroute.yaml").write_text(AFTER + "limits: {per_team_daily_usd: 5}\n")
        await take(app, loaded, {}, built)
        left = built.foundation.accounts.remaining_usd(Caller(), None, app.services.utc_now())
        assert left == 5


async def test_what_is_asked_for_is_looked_at_at_once(tmp_path: Path) -> None:
    async with serving(tmp_path) as (app, loaded, built):
        asked = asyncio.Event()
        follower = asyncio.create_task(follow(app, loaded, {}, built, asked))
        (tmp_path / "polyroute.yaml").write_text(AFTER)
        asked.set()
        async with asyncio.timeout(10):
            while app.services is built.services:
                await asyncio.sleep(0)
        follower.cancel()
