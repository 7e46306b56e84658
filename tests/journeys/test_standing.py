"""How budgets, limits and usage stand: a caller's own, and what each role reaches."""

from decimal import Decimal
from pathlib import Path

import pytest
from tests.journeys.rig import ADMIN, Rig, Told, gateway
from tests.journeys.test_management import ask, chat, made
from typer.testing import CliRunner

from polyroute.cli.main import build

DOCUMENT = """
server: {auth: keys}
store: {database: "sqlite:///books.db"}
providers: {sim: {dialect: simulated, budget: {monthly_usd: 100}}}
models:
  small: {provider: sim, price: {input: 1, output: 1}, limits: {per_minute: 50}}
teams:
  red: {tenant: acme, weight: 3, budget: {daily_usd: 1}, limits: {parallel: 5}}
limits: {per_user_daily_usd: 0.5, per_user_per_minute: 20}
"""


def usd(told: float) -> Decimal:
    """Money in JSON is a decimal number; a test reads it through a float."""
    return Decimal(str(told))


async def read(door: Rig, path: str, *, key: str = ADMIN) -> Told:
    told = await ask(door, "GET", path, key=key)
    assert told.status == 200, told.body
    return told


async def test_a_caller_sees_its_own_standing_with_the_least_left_first(tmp_path: Path) -> None:
    async with gateway(DOCUMENT, tmp_path) as door:
        key = await made(door, name="app", user="ann", team="red", tenant="acme", limits={"per_minute": 7})
        answer = await chat(door, key["key"])
        own = (await read(door, "/v1/limits", key=key["key"])).json
    assert (own["tenant"], own["team"], own["user"]) == ("acme", "red", "ann")
    assert [line["name"] for line in own["budgets"]] == ["per_user_daily_usd", "teams.red.budget.daily_usd"]
    cost = Decimal(answer.headers["x-polyroute-cost-usd"])
    assert cost > 0
    for line in own["budgets"]:
        assert usd(line["spent_usd"]) == cost
        assert usd(line["remaining_usd"]) == usd(line["limit_usd"]) - cost
        assert line["resets_at"].endswith("00:00:00Z")
    limits = {line["name"]: (line["limit"], line["remaining"]) for line in own["limits"]}
    assert limits[f"keys.{key['id']}.limits.per_minute"] == (7, 6)
    assert limits["per_user_per_minute"] == (20, 19)
    assert limits["teams.red.limits.parallel"] == (5, 5)


async def test_each_role_sees_the_budgets_limits_and_usage_within_its_reach(tmp_path: Path) -> None:
    async with gateway(DOCUMENT, tmp_path) as door:
        member = await made(door, name="m", user="ann", team="red", tenant="acme", budget={"daily_usd": "0.25"})
        leader = await made(door, name="l", user="bea", team="red", tenant="acme", role="team_admin")
        other = await made(door, name="o", user="cat", team="blue", tenant="other")
        viewer = await made(door, name="v", role="viewer")
        for key in (member, leader, other):
            assert (await chat(door, key["key"])).status == 200
        names = {
            who: {line["name"] for line in (await read(door, "/admin/budgets", key=key)).json["data"]}
            for who, key in (
                ("member", member["key"]), ("leader", leader["key"]), ("viewer", viewer["key"]), ("admin", ADMIN)
            )
        }  # fmt: skip
        own = f"keys.{member['id']}.budget.daily_usd"
        assert names["member"] == {own, "per_user_daily_usd"}
        assert names["leader"] == {own, "per_user_daily_usd", "teams.red.budget.daily_usd"}
        assert names["admin"] == names["viewer"] == names["leader"] | {"providers.sim.budget.monthly_usd"}
        users = {
            who: {line["user"] for line in (await read(door, "/admin/usage?by=user", key=key)).json["data"]}
            for who, key in (("member", member["key"]), ("leader", leader["key"]), ("admin", ADMIN))
        }
        assert users == {"member": {"ann"}, "leader": {"ann", "bea"}, "admin": {"ann", "bea", "cat"}}
        limits = (await read(door, "/admin/limits?kind=model")).json["data"]
        assert [(line["name"], line["limit"], line["remaining"]) for line in limits] == [
            ("models.small.limits.per_minute", 50, 47)
        ]


async def test_usage_is_told_apart_as_asked_in_pages_that_add_up(tmp_path: Path) -> None:
    async with gateway(DOCUMENT, tmp_path) as door:
        keys = [await made(door, name=f"k{n}", user=f"u{n}", team=f"t{n % 2}") for n in range(5)]
        for key in keys:
            assert (await chat(door, key["key"])).status == 200
        first = (await read(door, "/admin/usage?by=user,day&limit=3")).json
        rest = (await read(door, f"/admin/usage?by=user,day&limit=3&after={first['next']}")).json
        assert (len(first["data"]), len(rest["data"]), rest["next"]) == (3, 2, None)
        lines = first["data"] + rest["data"]
        assert sum(usd(line["cost_usd"]) for line in lines) == usd(first["total"]["cost_usd"]) > 0
        assert sum(line["calls"] for line in lines) == first["total"]["calls"] == 5
        team = (await read(door, "/admin/usage?by=model&team=t1")).json
        assert [(line["model"], line["calls"]) for line in team["data"]] == [("small", 2)]
        assert (await read(door, "/admin/usage?until=2020-01-01&since=2019-01-01")).json["data"] == []
        for wrong in ("by=colour", "since=soon", "limit=-1"):
            assert (await ask(door, "GET", f"/admin/usage?{wrong}")).status == 400


async def test_a_budget_set_over_http_holds_at_once_and_lies_within_its_whole(tmp_path: Path) -> None:
    async with gateway(DOCUMENT, tmp_path) as door:
        key = await made(door, name="app", user="ann", team="blue")
        told = await ask(door, "PUT", "/admin/budgets/team/blue", {"monthly_usd": "2"})
        assert told.status == 200, told.body
        beyond = await ask(door, "PUT", f"/admin/budgets/key/{key['id']}", {"daily_usd": "3"})
        assert (beyond.status, beyond.json["error"]["param"]) == (400, "budget.daily_usd")
        assert "team `blue` may spend itself (monthly_usd 2)" in beyond.json["error"]["message"]
        assert (await ask(door, "PUT", f"/admin/budgets/key/{key['id']}", {"daily_usd": "0.000001"})).status == 200
        refused = await chat(door, key["key"])
        assert (refused.status, "keys." in refused.json["error"]["message"]) == (402, True)
        assert (await ask(door, "PUT", "/admin/limits/team/blue", {"per_minute": 1, "parallel": 1})).status == 200
        for path in ("/admin/budgets/model/small", "/admin/limits/provider/sim"):
            assert (await ask(door, "PUT", path, {})).status == 400
        assert (await ask(door, "PUT", "/admin/budgets/team/blue", {"yearly_usd": 1})).status == 400
        assert (await ask(door, "PUT", "/admin/budgets/team/blue", {"daily_usd": 1}, key=key["key"])).status == 403


async def test_the_smallest_that_is_left_is_named(tmp_path: Path) -> None:
    async with gateway(DOCUMENT, tmp_path) as door:
        await ask(door, "PUT", "/admin/teams/blue", {"budget": {"daily_usd": "0.00001"}})
        await ask(door, "PUT", "/admin/tenants/default", {"budget": {"total_usd": "0.000002"}})
        key = await made(door, name="app", user="ann", team="blue")
        told = await chat(door, key["key"])
        assert told.status == 402
        message = told.json["error"]["message"]
        assert "tenants.default.budget.total_usd" in message
        assert "has spent 0 of 0.000002 USD" in message


async def test_the_command_line_shows_and_sets_beside_a_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "polyroute.yaml").write_text(DOCUMENT)
    monkeypatch.chdir(tmp_path)
    async with gateway(DOCUMENT, tmp_path) as door:
        key = await made(door, name="app", user="ann", team="red", tenant="acme")
        cost = (await chat(door, key["key"])).headers["x-polyroute-cost-usd"]
        app = build("budget")
        shown = CliRunner().invoke(app, ["budget", "show", "--json"])
        assert shown.exit_code == 0, shown.output
        assert f'"spent_usd":{cost},' in shown.output
        team = ["budget", "set", "team", "red", "--tenant", "acme", "--daily-usd", "0.000001"]
        made_so = CliRunner().invoke(app, team)
        assert made_so.exit_code == 0, made_so.output
        await door.built.services.refresh()
        assert (await chat(door, key["key"])).status == 402
        wrong = CliRunner().invoke(app, ["budget", "set", "model", "small", "--daily-usd", "1"])
        assert (wrong.exit_code, "in the document" in wrong.output) == (1, True)
