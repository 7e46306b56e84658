import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from polyroute.config.load import read
from polyroute.errors import ConfigError, Conflict, UnknownObject
from polyroute.server.app import App
from polyroute.server.table import build_table
from polyroute.types.access import Caller
from polyroute.wiring.build import open_gateway
from polyroute.wiring.reload import Desk, Wake, follow

BEFORE = """
server: {auth: open}
models: {small: simulated/small, large: simulated/large}
routes: {ask: {primary: small}}
"""
AFTER = BEFORE.replace("routes: {", "routes: {premium: {primary: large}, ")
WRONG = AFTER.replace("primary: large", "primry: large")
ANN = Caller(user="ann", role="admin")


class Serving:
    def __init__(self, app: App, desk: Desk, file: Path) -> None:
        self.app, self.desk, self.file = app, desk, file

    @property
    def routes(self) -> tuple[str, ...]:
        return tuple(self.app.services.path.routes.names)


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[Serving]:
    file = folder / "polyroute.yaml"
    file.write_text(BEFORE)
    loaded = read(file, {})
    async with open_gateway(loaded, {}) as built:
        app = App(built.services, build_table(), time.monotonic)
        desk = Desk(app, loaded, {}, built)
        await desk.begin()
        yield Serving(app, desk, file)


async def test_a_fourth_tier_is_there_once_the_file_names_it(tmp_path: Path) -> None:
    async with serving(tmp_path) as at:
        before = at.app.services.policy
        at.file.write_text(AFTER)
        await at.desk.look()
        assert "premium" in at.routes
        assert at.app.services.policy == at.desk.shown().policy != before
        assert at.desk.shown().texts == {"polyroute.yaml": AFTER}


async def test_a_document_with_a_mistake_changes_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with serving(tmp_path) as at:
        before = at.app.services
        at.file.write_text(WRONG)
        await at.desk.look()
        assert at.app.services is before
        assert caplog.text.count("not taken") == 1
        await at.desk.look()
        assert caplog.text.count("not taken") == 1, "told once"


async def test_a_file_that_is_gone_changes_nothing(tmp_path: Path) -> None:
    async with serving(tmp_path) as at:
        before = at.app.services
        at.file.unlink()
        await at.desk.look()
        assert at.app.services is before


async def test_money_spent_counts_under_a_budget_that_comes_later(tmp_path: Path) -> None:
    async with serving(tmp_path) as at:
        at.file.write_text(AFTER + "limits: {per_team_daily_usd: 5}\n")
        await at.desk.look()
        services = at.app.services
        assert services.accounts.remaining_usd(Caller(), None, services.utc_now()) == 5


async def test_what_is_asked_for_is_looked_at_at_once(tmp_path: Path) -> None:
    async with serving(tmp_path) as at:
        wake, before = Wake(), at.app.services
        follower = asyncio.create_task(follow(at.desk, at.app, wake))
        at.file.write_text(AFTER)
        wake.ask()
        async with asyncio.timeout(10):
            while at.app.services is before:
                await asyncio.sleep(0)
        follower.cancel()


async def test_a_document_that_is_put_is_in_force_and_in_the_file(tmp_path: Path) -> None:
    async with serving(tmp_path) as at:
        checked = await at.desk.check(AFTER)
        assert checked == await at.desk.put(ANN, AFTER) == at.app.services.policy
        assert at.file.read_text() == AFTER
        in_force = at.app.services
        await at.desk.look()
        assert at.app.services is in_force, "its own writing is no news"


async def test_a_document_that_is_only_checked_changes_nothing(tmp_path: Path) -> None:
    async with serving(tmp_path) as at:
        before = at.app.services
        await at.desk.check(AFTER)
        with pytest.raises(ConfigError):
            await at.desk.put(ANN, WRONG)
        assert at.app.services is before
        assert at.file.read_text() == BEFORE


async def test_a_rollback_restores_what_was_in_force(tmp_path: Path) -> None:
    async with serving(tmp_path) as at:
        first = at.app.services.policy
        await at.desk.put(ANN, AFTER)
        assert await at.desk.rollback(ANN, first) == first
        assert at.file.read_text() == BEFORE
        assert next((kept.policy, kept.by) for kept in at.desk.history.every()) == (first, "ann")
        with pytest.raises(UnknownObject):
            await at.desk.rollback(ANN, "nothing")


async def test_whoever_read_an_older_document_does_not_overwrite_a_newer_one(tmp_path: Path) -> None:
    async with serving(tmp_path) as at:
        first = at.app.services.policy
        await at.desk.put(ANN, AFTER, instead_of=first)
        with pytest.raises(Conflict):
            await at.desk.put(ANN, BEFORE, instead_of=first)
        assert "premium" in at.routes
