"""Tools written for LiteLLM's management paths, against ours."""

from decimal import Decimal
from pathlib import Path

import pytest
from tests.journeys.rig import gateway
from tests.journeys.test_management import SIMULATED, ask, chat


async def test_a_key_goes_through_its_whole_life(tmp_path: Path) -> None:
    async with gateway(SIMULATED, tmp_path) as door:
        order = {
            "key_alias": "app", "models": ["small"], "max_budget": 5, "budget_duration": "30d", "tpm_limit": 1000,
            "rpm_limit": 2, "max_parallel_requests": 4, "duration": "30d", "user_id": "ann", "team_id": "blue",
            "metadata": {"cost_centre": "x1"}, "aliases": {}, "permissions": None,
        }  # fmt: skip
        told = await ask(door, "POST", "/key/generate", order)
        assert told.status == 200, told.body
        made = told.json
        assert made["key"].startswith("sk-")
        told_back = {
            name: made[name] for name in ("key_alias", "models", "tpm_limit", "rpm_limit", "user_id", "team_id")
        }
        assert told_back == {name: order[name] for name in told_back}
        assert (made["max_budget"], made["budget_duration"], made["max_parallel_requests"]) == (5, "30d", 4)
        assert [(await chat(door, made["key"])).status for _ in range(3)] == [200, 200, 429]
        assert (await chat(door, made["key"], model="large")).status == 403
        for named in (made["key"], made["token"]):
            info = (await ask(door, "GET", f"/key/info?key={named}")).json
            assert info["key"] == made["token"]
            assert Decimal(str(info["info"]["spend"])) > 0
        update = {"key": made["key"], "rpm_limit": 100, "models": []}
        assert (await ask(door, "POST", "/key/update", update)).json["rpm_limit"] == 100
        assert (await chat(door, made["key"])).status == 200
        listed = (await ask(door, "GET", "/key/list?team_id=blue&return_full_object=true")).json
        assert [(key["key_alias"], key["tpm_limit"]) for key in listed["keys"]] == [("app", 1000)]
        assert (await ask(door, "POST", "/key/delete", {"keys": [made["key"]]})).json == {
            "deleted_keys": [made["token"]]
        }
        assert (await chat(door, made["key"])).status == 401


async def test_users_and_teams_have_budgets_models_and_spending(tmp_path: Path) -> None:
    async with gateway(SIMULATED, tmp_path) as door:
        team = await ask(door, "POST", "/team/new", {"team_id": "blue", "team_alias": "Blue", "max_budget": 0.5})
        assert (team.status, team.json["team_alias"], team.json["max_budget"]) == (200, "Blue", 0.5)
        told = await ask(door, "POST", "/user/new", {"user_id": "ann", "user_email": "a@b.example", "team_id": "blue"})
        assert told.status == 200, told.body
        key = told.json["key"]
        assert (await chat(door, key)).status == 200
        user = (await ask(door, "GET", "/user/info?user_id=ann")).json
        assert (user["user_info"]["user_email"], user["teams"], len(user["keys"])) == ("a@b.example", ["blue"], 1)
        blue = (await ask(door, "GET", "/team/info?team_id=blue")).json
        total = (await ask(door, "GET", "/global/spend")).json["spend"]
        assert blue["team_info"]["spend"] == user["user_info"]["spend"] == total > 0
        logs = (await ask(door, "GET", "/spend/logs?user_id=ann")).json
        assert [(line["model"], line["requests"], line["spend"]) for line in logs] == [("small", 1, total)]
        assert [team["team_id"] for team in (await ask(door, "GET", "/team/list")).json] == ["blue"]
        update = {"team_id": "blue", "max_budget": 0.000001}
        assert (await ask(door, "POST", "/team/update", update)).status == 200
        assert (await chat(door, key)).status == 402
        alone = await ask(door, "POST", "/user/new", {"user_id": "ben", "auto_create_key": False})
        assert "key" not in alone.json


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/key/generate", {"guardrails": ["pii"]}, "guardrails"),
        ("/key/generate", {"model_max_budget": {"gpt": 1}}, "model_max_budget"),
        ("/key/generate", {"max_budget": 1, "budget_duration": "3d"}, "budget_duration"),
        ("/key/generate", {"budget_duration": "1d"}, "budget_duration"),
        ("/key/generate", {"duration": "soon"}, "duration"),
        ("/key/generate", {"max_budget": -1}, "budget.total_usd"),
        ("/key/generate", {"rpm_limit": "many"}, "rpm_limit"),
        ("/key/update", {"key": "sk-unknown", "rpm_limit": 1}, None),
        ("/user/new", {"user_role": "proxy_admin"}, "user_role"),
        ("/team/new", {"members_with_roles": [{"role": "admin"}]}, "members_with_roles"),
        ("/key/delete", {"keys": [], "force": True}, "force"),
    ],
)
async def test_what_has_no_counterpart_is_refused_by_name(
    path: str, body: dict[str, object], field: str | None, tmp_path: Path
) -> None:
    async with gateway(SIMULATED, tmp_path) as door:
        told = await ask(door, "POST", path, body)
        assert told.status == (404 if field is None else 400), told.body
        assert told.json["error"]["param"] == field


async def test_a_member_reaches_nothing_and_a_team_s_admin_its_team(tmp_path: Path) -> None:
    async with gateway(SIMULATED, tmp_path) as door:
        member = (await ask(door, "POST", "/key/generate", {"team_id": "blue"})).json["key"]
        body = {"role": "team_admin", "team": "blue", "user": "lea", "name": "lea"}
        leader = (await ask(door, "POST", "/admin/keys", body)).json["key"]
        assert (await ask(door, "POST", "/key/generate", {"team_id": "blue"}, key=member)).status == 403
        assert (await ask(door, "POST", "/key/generate", {"team_id": "blue"}, key=leader)).status == 200
        assert (await ask(door, "POST", "/key/generate", {"team_id": "red"}, key=leader)).status == 403
        assert (await ask(door, "POST", "/team/new", {"team_id": "red"}, key=leader)).status == 403
        assert (await ask(door, "GET", "/key/list", key=leader)).json["total_count"] == 3
        assert (await ask(door, "GET", "/global/spend", key=member)).json["spend"] == 0
        assert (await ask(door, "GET", "/global/spend", key=None)).status == 401
