"""Keys, teams and the audit log as their managers use them: over HTTP, and from the command line beside a server."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.journeys.rig import ADMIN, Rig, Told, gateway
from typer.testing import CliRunner

from polyroute.authorisation import GRANTS, ROLES
from polyroute.cli.keys import OPERATOR
from polyroute.cli.main import build
from polyroute.server.endpoints import Endpoint
from polyroute.server.table import build_table
from polyroute.state.directory import KeyOrder
from polyroute.types.access import Role

SIMULATED = """
server: {auth: keys}
store: {database: "sqlite:///books.db"}
providers: {sim: {dialect: simulated}}
models:
  small: {provider: sim, price: {input: 1, output: 1}}
  large: {provider: sim, price: {input: 5, output: 5}}
"""
CHAT = {"model": "small", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 20}


async def ask(rig: Rig, method: str, path: str, body: object = None, *, key: str | None = ADMIN) -> Told:
    return await rig.call(
        method,
        path,
        b"" if body is None else orjson.dumps(body),
        key=key,
        headers={
            "content-type": "application/json",
            "content-length": str(0 if body is None else len(orjson.dumps(body))),
        },
    )


async def chat(rig: Rig, key: str, **fields: object) -> Told:
    return await ask(rig, "POST", "/v1/chat/completions", {**CHAT, **fields}, key=key)


async def made(rig: Rig, **order: object) -> dict[str, str]:
    told = await ask(rig, "POST", "/admin/keys", order)
    assert told.status == 201, told.body
    found: dict[str, str] = told.json
    return found


async def test_a_key_works_from_its_making_until_its_end(tmp_path: Path) -> None:
    async with gateway(SIMULATED, tmp_path) as door:
        key = await made(door, name="app", team="red", models=["small"])
        assert (await chat(door, key["key"])).status == 200
        dear = await chat(door, key["key"], model="large")
        assert dear.status == 403
        rotated = (await ask(door, "POST", f"/admin/keys/{key['id']}/rotate", {})).json
        assert (await chat(door, key["key"])).status == 401
        assert (await chat(door, rotated["key"])).status == 200
        assert (await ask(door, "DELETE", f"/admin/keys/{key['id']}")).status == 200
        refused = await chat(door, rotated["key"])
        assert (refused.status, "revoked" in refused.json["error"]["message"]) == (401, True)


async def test_a_key_is_shown_once_and_its_hash_never(tmp_path: Path) -> None:
    async with gateway(SIMULATED, tmp_path) as door:
        key = await made(door, name="app")
        for path in ("/admin/keys", f"/admin/keys/{key['id']}", "/admin/audit-log"):
            told = await ask(door, "GET", path)
            assert told.status == 200
            assert key["key"].encode() not in told.body
            assert b"digest" not in told.body
        stored = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
        assert key["key"].encode() not in stored


async def test_limits_and_budgets_of_keys_teams_and_tenants_hold_and_name_themselves(tmp_path: Path) -> None:
    async with gateway(SIMULATED, tmp_path) as door:
        slow = await made(door, name="slow", limits={"per_minute": 1})
        assert (await chat(door, slow["key"])).status == 200
        told = await chat(door, slow["key"])
        assert (told.status, f"keys.{slow['id']}.limits" in told.json["error"]["message"]) == (429, True)

        poor = await made(door, name="poor", budget={"daily_usd": "0.000001"})
        told = await chat(door, poor["key"])
        assert (told.status, told.json["error"]["code"]) == (402, "budget_exceeded")
        assert f"keys.{poor['id']}.budget.daily_usd" in told.json["error"]["message"]

        one = await made(door, name="one", team="red", tenant="acme")
        for path, body, name in (
            ("/admin/teams/red?tenant=acme", {"budget": {"monthly_usd": 0}}, "teams.red.budget.monthly_usd"),
            ("/admin/tenants/acme", {"budget": {"total_usd": 0}}, "tenants.acme.budget.total_usd"),
        ):
            assert (await ask(door, "PUT", path, body)).status == 200
            told = await chat(door, one["key"])
            assert (told.status, name in told.json["error"]["message"]) == (402, True), told.body
            assert (await ask(door, "DELETE", path)).status == 200
        assert (await chat(door, one["key"])).status == 200


async def test_a_blocked_team_is_out_until_it_is_not(tmp_path: Path) -> None:
    async with gateway(SIMULATED, tmp_path) as door:
        key = await made(door, name="app", team="red")
        for blocked, status in ((True, 403), (False, 200)):
            await ask(door, "PUT", "/admin/teams/red", {"blocked": blocked})
            told = await chat(door, key["key"])
            assert told.status == status


async def test_what_the_command_line_does_a_server_takes_and_the_log_names_both(tmp_path: Path) -> None:
    async with gateway(SIMULATED, tmp_path) as door:
        await made(door, name="app")
        issued = door.built.services.directory.create_key(OPERATOR, KeyOrder(name="ops"))
        await door.built.services.refresh()
        assert (await chat(door, issued.key)).status == 200
        log = (await ask(door, "GET", "/admin/audit-log")).json["data"]
        assert [(entry["actor"], entry["action"]) for entry in log] == [
            ("admin", "keys:create"),
            ("command line", "keys:create"),
        ]
        whole = (await ask(door, "GET", "/admin/audit-log/verify")).json
        assert (whole["whole"], whole["entries"], whole["head"]) == (True, 2, log[-1]["hash"])


def _sample(endpoint: Endpoint) -> str:
    return "/".join("x" if part[:1] == "{" else part for part in endpoint.path.split("/"))


@pytest.mark.parametrize("role", ROLES)
async def test_every_endpoint_asks_what_its_role_was_granted(tmp_path: Path, role: Role) -> None:
    """The whole of the router's own table: refused exactly where the grants say so, and to strangers everywhere."""
    async with gateway(SIMULATED, tmp_path) as door:
        key = (await made(door, name="someone", role=role))["key"]
        for endpoint in build_table().endpoints:
            body: object = {} if endpoint.method in ("POST", "PUT", "PATCH") else None
            stranger = await ask(door, endpoint.method, _sample(endpoint), body, key=None)
            told = await ask(door, endpoint.method, _sample(endpoint), body, key=key)
            where = (endpoint.method, endpoint.path, role, told.status)
            if endpoint.action is None:
                assert told.status not in (401, 403), where
                continue
            assert stranger.status == 401, where
            if endpoint.action not in GRANTS[role]:
                assert told.status == 403, where
            else:
                assert told.status != 401, where
                if role == "admin":
                    assert told.status != 403, where


# ── the command line ──────────────────────────────────────────────────────────────────────────────────


def run(folder: Path, *words: str) -> tuple[int, str]:
    document = folder / "polyroute.yaml"
    document.write_text(SIMULATED)
    done = CliRunner().invoke(build(words[0]), [*words, "-c", str(document)])
    return done.exit_code, done.output


def told(folder: Path, *words: str) -> Any:
    code, output = run(folder, *words, "--json")
    assert code == 0, output
    return orjson.loads(output)


def test_a_key_is_made_listed_rotated_and_ended_from_the_command_line(tmp_path: Path) -> None:
    made = told(tmp_path, "keys", "create", "--name", "app", "--team", "red", "--model", "small", "--expires", "30d")
    listed = told(tmp_path, "keys", "list")
    assert [(key["id"], key["team"], key["models"]) for key in listed] == [(made["id"], "red", ["small"])]
    assert "key" not in listed[0]
    fresh = told(tmp_path, "keys", "rotate", made["id"])
    assert fresh["key"] != made["key"]
    assert told(tmp_path, "keys", "revoke", made["id"])["revoked_at"]
    code, table = run(tmp_path, "keys", "list")
    assert (code, made["id"] in table, "revoked" in table) == (0, True, True)
    actions = [entry["action"] for entry in told(tmp_path, "audit-log", "list")]
    assert actions == ["keys:create", "keys:rotate", "keys:revoke"]
    assert told(tmp_path, "audit-log", "verify")["whole"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("create", "--role", "root"), "--role"),
        (("create", "--expires", "soon"), "--expires"),
        (("create", "--expires", "2001-01-01"), "past"),
        (("create", "--daily-usd", "lots"), "--daily-usd"),
        (("create", "--per-minute", "0"), "limits.per_minute"),
        (("create", "--team", "a/b"), "team"),
        (("revoke", "key_nobody"), "key_nobody"),
    ],
)
def test_what_is_wrong_is_one_line_and_exit_1(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    code, output = run(tmp_path, "keys", *words)
    assert (code, said in output, "Traceback" in output) == (1, True, False), output


def test_a_broken_audit_log_is_exit_1(tmp_path: Path) -> None:
    told(tmp_path, "keys", "create")
    with closing(sqlite3.connect(tmp_path / "books.db")) as connection:
        connection.execute("DROP TRIGGER audit_log_keeps")
        connection.execute("UPDATE audit_log SET body = CAST('{}' AS BLOB)")
        connection.commit()
    code, output = run(tmp_path, "audit-log", "verify")
    assert (code, "entry 1 was changed" in output) == (1, True)
