"""Who may do what, as an attacker tries it: every path of the router, every kind of key, every way to write a path."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.journeys.rig import ADMIN, Rig, Told, gateway, request
from tests.journeys.test_management import CHAT, SIMULATED, _sample, ask, chat, made

from polyroute.authorisation import GRANTS
from polyroute.server.table import build_table
from polyroute.types.records import Act, Put

ENDPOINTS = [endpoint for endpoint in build_table().endpoints if endpoint.action is not None]
ADMIN_PATHS = sorted(
    {
        _sample(e)
        for e in ENDPOINTS
        if e.path.startswith("/admin/") and e.method == "GET" and e.action not in GRANTS["member"]
    }
)


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with gateway(SIMULATED, tmp_path) as running:
        yield running


async def expired(rig: Rig) -> str:
    """A key whose time has passed: it was made with time left, and the record was turned back."""
    key = await made(rig, name="late", expires=(datetime.now(UTC) + timedelta(hours=1)).isoformat())
    records = rig.built.foundation.records
    record = records.find("key", key["id"])
    assert record is not None
    kept = orjson.loads(record.body) | {"expires_at": "2020-01-01T00:00:00Z"}
    act = Act(at=datetime.now(UTC), actor="test", role="admin", action="keys:change", kind="key", id=key["id"])
    put = Put(kind="key", id=key["id"], tenant="default", body=orjson.dumps(kept), version=record.version)
    records.change([put], act)
    await rig.built.services.refresh()
    return key["key"]


async def test_keys_that_hold_no_more_hold_nowhere(rig: Rig) -> None:
    """Every endpoint that asks for a grant, for every key that has none any more: never another answer than no."""
    revoked, blocked = await made(rig, name="gone", role="admin"), await made(rig, name="out", team="red", role="admin")
    await ask(rig, "DELETE", f"/admin/keys/{revoked['id']}")
    await ask(rig, "PUT", "/admin/teams/red", {"blocked": True})
    near = (ADMIN[:-1], ADMIN + "x", ADMIN.upper(), ADMIN[:20], f" {ADMIN[1:]}", "a" * 64, "null", "undefined", "''--")
    bad = {
        revoked["key"]: 401,
        blocked["key"]: 403,
        await expired(rig): 401,
        **dict.fromkeys(near, 401),
    }
    for endpoint in ENDPOINTS:
        body: object = {} if endpoint.method in ("POST", "PUT", "PATCH") else None
        for key, status in (*bad.items(), (None, 401)):
            told = await ask(rig, endpoint.method, _sample(endpoint), body, key=key)
            assert told.status == status, (endpoint.method, endpoint.path, key, told.body)
            assert len(told.body) < 2048
            assert key is None or len(key) < 8 or key.encode() not in told.body


async def test_every_path_in_the_table_is_matched_to_its_own_endpoint() -> None:
    table = build_table()
    for endpoint in table.endpoints:
        found = table.find(endpoint.method, _sample(endpoint)).endpoint
        assert found is not None
        assert found.action == endpoint.action, endpoint.path


# ── foreign and absent look the same ──────────────────────────────────────────────────────────────────────


def without(told: Told, *names: str) -> tuple[int, bytes]:
    body = told.body
    for name in names:
        body = body.replace(name.encode(), b"NAME")
    return told.status, body


async def test_what_belongs_to_others_looks_as_if_it_were_not_there(rig: Rig) -> None:
    theirs = await made(rig, name="b", tenant="globex", team="blue", user="bob", role="team_admin")
    ours = await made(rig, name="a", tenant="acme", team="red", user="ann", role="team_admin")
    member = await made(rig, name="c", tenant="acme", team="red", user="cem")
    told = await chat(rig, theirs["key"])
    receipt = told.headers["x-polyroute-request-id"]
    await ask(rig, "PUT", "/admin/users/bob?tenant=globex", {"team": "blue"})
    await ask(rig, "PUT", "/admin/teams/blue?tenant=globex", {})
    for method, path, name, absent in (
        ("GET", "/v1/receipts/{}", receipt, receipt[:-4] + "0000"),
        ("GET", "/v1/reviews/{}", receipt, receipt[:-4] + "0000"),
        ("GET", "/admin/keys/{}", theirs["id"], theirs["id"][:-4] + "0000"),
        ("PATCH", "/admin/keys/{}", theirs["id"], theirs["id"][:-4] + "0000"),
        ("DELETE", "/admin/keys/{}", theirs["id"], theirs["id"][:-4] + "0000"),
        ("POST", "/admin/keys/{}/rotate", theirs["id"], theirs["id"][:-4] + "0000"),
        ("GET", "/admin/teams/{}?tenant=globex", "blue", "grey"),
        ("GET", "/admin/users/{}?tenant=globex", "bob", "rob"),
    ):
        body: object = {} if method in ("POST", "PATCH") else None
        for key in (ours["key"], member["key"]):
            foreign = await ask(rig, method, path.format(name), body, key=key)
            nothing = await ask(rig, method, path.format(absent), body, key=key)
            assert foreign.status in (403, 404), (path, foreign.body)
            assert without(foreign, name, absent) == without(nothing, name, absent), path
    assert (await chat(rig, theirs["key"])).status == 200  # and nothing was done to it
    for path in ("/admin/keys", "/admin/users", "/admin/teams"):
        listed = (await ask(rig, "GET", path, key=ours["key"])).body
        assert b"globex" not in listed
        assert b"blue" not in listed


async def test_a_key_for_one_model_gets_no_other_by_any_name(rig: Rig) -> None:
    key = (await made(rig, name="one", models=["small"]))["key"]
    for name in (
        "large",
        "sim/large",
        "LARGE",
        "large ",
        "polyroute/large",
        "auto",
        "small\u0000",
        "logic/x",
    ):
        told = await chat(rig, key, model=name)
        assert told.status in (400, 403, 404), (name, told.body)
    for path, body in (
        ("/v1/execute", {"task": "x", "input": "hello", "strategy": "cascade", "models": ["large"]}),
        ("/v1/responses", {"model": "large", "input": "x"}),
        ("/v1/messages", {"model": "large", "max_tokens": 5, "messages": CHAT["messages"]}),
        ("/v1/messages/count_tokens", {"model": "large", "messages": CHAT["messages"]}),
        ("/v1beta/models/large:generateContent", {"contents": [{"parts": [{"text": "x"}]}]}),
        ("/model/large/converse", {"messages": [{"role": "user", "content": [{"text": "x"}]}]}),
        ("/v1/completions", {"model": "large", "prompt": "x"}),
        ("/v1/embeddings", {"model": "large", "input": "x"}),
        ("/v1/route", {"model": "large", "messages": CHAT["messages"]}),
    ):
        assert (await ask(rig, "POST", path, body, key=key)).status in (400, 403, 404), path
    assert b'"large"' not in (await ask(rig, "GET", "/v1/models", key=key)).body


# ── power by one's own request ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "order",
    [
        {"role": "admin"},
        {"role": "viewer"},
        {"team": "blue"},
        {"tenant": "globex"},
        {"tenant": "globex", "team": "red"},
    ],
)
async def test_no_key_makes_one_that_holds_more(rig: Rig, order: dict[str, object]) -> None:
    lead = await made(rig, name="a", tenant="acme", team="red", role="team_admin")
    told = await ask(rig, "POST", "/admin/keys", {"name": "x", **order}, key=lead["key"])
    assert told.status == 403, told.body


@pytest.mark.parametrize(
    "field",
    [
        "id",
        "digest",
        "key",
        "hint",
        "created_by",
        "created_at",
        "revoked_at",
        "allowed_routes",
        "user_role",
        "is_admin",
        "blocked",
    ],
)
async def test_fields_that_are_not_the_askers_are_refused(rig: Rig, field: str) -> None:
    key = await made(rig, name="x")
    for method, path in (("POST", "/admin/keys"), ("PATCH", f"/admin/keys/{key['id']}")):
        told = await ask(rig, method, path, {field: "x"})
        assert told.status == 400, (method, told.body)


@pytest.mark.parametrize("change", [{"role": "admin"}, {"team": "blue"}, {"tenant": "globex"}, {"user": "root"}])
async def test_a_key_cannot_be_given_another_owner_or_role(rig: Rig, change: dict[str, object]) -> None:
    lead = await made(rig, name="a", tenant="acme", team="red", role="team_admin")
    for key in (ADMIN, lead["key"]):
        assert (await ask(rig, "PATCH", f"/admin/keys/{lead['id']}", change, key=key)).status == 400


async def test_a_key_cannot_lift_its_own_limits(rig: Rig) -> None:
    lead = await made(rig, name="a", team="red", role="team_admin", budget={"daily_usd": "1"}, limits={"per_minute": 5})
    changes: list[dict[str, object]] = [
        {"budget": {}},
        {"limits": {}},
        {"budget": {"daily_usd": "1000"}},
        {"expires": "2099-01-01T00:00:00Z"},
    ]
    for change in changes:
        told = await ask(rig, "PATCH", f"/admin/keys/{lead['id']}", change, key=lead["key"])
        assert told.status == 403, (change, told.body)
    kept = (await ask(rig, "GET", f"/admin/keys/{lead['id']}")).json
    assert kept["budget"]["daily_usd"] in ("1", 1, 1.0)


async def test_no_member_or_team_admin_writes_accounts(rig: Rig) -> None:
    lead = await made(rig, name="a", team="red", role="team_admin")
    member = await made(rig, name="b", team="red")
    for key in (lead["key"], member["key"]):
        for kind in ("users", "teams", "tenants"):
            told = await ask(rig, "PUT", f"/admin/{kind}/red", {"budget": {}, "weight": 1000}, key=key)
            assert told.status == 403
            assert (await ask(rig, "DELETE", f"/admin/{kind}/red", key=key)).status == 403


# ── paths ─────────────────────────────────────────────────────────────────────────────────────────────────


def spellings(path: str) -> list[str]:
    first, last = path[:2], path[2:]
    return [
        f"/{path}",
        f"{path}/",
        f"{path}//",
        path.upper(),
        path.replace("/admin", "/Admin"),
        path.replace("/admin/", "/admin//"),
        f"/.{path}",
        f"/v1/..{path}",
        f"/health/..{path}",
        f"{path}/.",
        f"{path}/../x",
        f"/%2e%2e{path}",
        f"{path};x=y",
        path.replace("/admin/", "/admin;x/"),
        f"{first[0]}%{ord(first[1]):02x}{last}",
        path.replace("/admin/", "/admin%2f"),
        path.replace("/admin/", "/admin%252f"),
        path.replace("/admin/", "/admin\\"),
        f"{path}%00",
        f"{path}%20",
        f"{path}%0d%0ax",
        f"{path}?x=/health",
        f"{path}.json",
        f"/health{path}",
        f"/health?{path}",
        f"/anthropic{path}",
        f"http://gateway{path}",
        path.replace("a", "\u0430"),
        f"{path}#x",
        f"/metrics/..;{path}",
    ]


@pytest.mark.parametrize("path", ADMIN_PATHS)
async def test_no_spelling_of_a_path_opens_it(rig: Rig, path: str) -> None:
    member = (await made(rig, name="m"))["key"]
    for spelt in spellings(path):
        if not spelt.isascii():
            spelt = spelt.encode().decode("latin-1")
        for key in (None, member):
            told = await rig.call("GET", spelt, key=key)
            is_public = spelt.startswith("/health?")
            assert told.status in ((200,) if is_public else (400, 401, 403, 404)), (spelt, key, told.status, told.body)
            assert len(told.body) < 2048


OVERRIDES: tuple[dict[str, str], ...] = (
    {"x-http-method-override": "DELETE"},
    {"x-method-override": "DELETE"},
    {"x-http-method": "PUT"},
    {"x-original-url": "/admin/keys"},
    {"x-rewrite-url": "/admin/keys"},
    {"x-forwarded-prefix": "/admin"},
    {"x-forwarded-for": "127.0.0.1"},
    {"x-real-ip": "127.0.0.1"},
    {"forwarded": "for=127.0.0.1"},
    {"x-forwarded-host": "localhost"},
    {"x-polyroute-user": "admin"},
    {"x-user-id": "admin"},
    {"x-team": "platform"},
    {"x-admin": "true"},
    {"via": "1.1 trusted"},
    {"cookie": "session=admin; role=admin"},
    {"x-forwarded-client-cert": "Subject=admin"},
    {"x-remote-user": "admin"},
)


@pytest.mark.parametrize("headers", OVERRIDES, ids=lambda headers: next(iter(headers)))
async def test_no_header_changes_the_method_the_path_or_the_caller(rig: Rig, headers: dict[str, str]) -> None:
    member = (await made(rig, name="m"))["key"]
    for key in (None, member):
        assert (await rig.get("/admin/keys", key=key, headers=headers)).status in (401, 403)
        told = await rig.call("GET", "/v1/models", key=key, headers=headers)
        assert told.status == (401 if key is None else 200)
    told = await rig.post("/v1/models?_method=DELETE&method=GET", {"_method": "GET"}, key=member, headers=headers)
    assert told.status == 405
    before = (await ask(rig, "GET", "/admin/keys")).json["data"]
    assert all(key["revoked_at"] is None for key in before if "revoked_at" in key)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1/admin", "admin@gateway", "gateway:0", "evil.example", "a b"])
async def test_the_host_says_nothing_about_the_path(rig: Rig, host: str) -> None:
    for path in ("/admin/keys", "/v1/models"):
        assert (await rig.get(path, key=None, headers={"host": host})).status in (400, 401)


async def test_head_and_options_ask_as_get_does(rig: Rig) -> None:
    member = (await made(rig, name="m"))["key"]
    for path in ADMIN_PATHS:
        for key, allowed in ((None, (401,)), (member, (403, 404))):
            told = await rig.call("HEAD", path, key=key)
            assert told.status in allowed, (path, key, told.status)
            assert told.body == b""
        options = await rig.call(
            "OPTIONS",
            path,
            key=None,
            headers={"origin": "https://evil.example", "access-control-request-method": "DELETE"},
        )
        assert options.status in (401, 405)
        assert not any(name.startswith("access-control-") for name in options.headers)
    for method in ("TRACE", "DELETE", "PUT", "PATCH"):
        assert (await rig.call(method, "/v1/models", key=member)).status in (400, 405)


async def test_a_request_to_upgrade_is_answered_as_if_it_were_none(rig: Rig) -> None:
    for upgrade in ("websocket", "h2c"):
        head = {"connection": "upgrade", "upgrade": upgrade, "sec-websocket-key": "x", "sec-websocket-version": "13"}
        connection = await rig.send(request("GET", "/admin/keys", key=None, headers=head))
        told = await connection.read("GET")
        connection.leave()
        assert told.status in (400, 401)


async def test_strangers_learn_nothing_of_models_or_versions(rig: Rig) -> None:
    names: list[Any] = [b"small", b"large", b"0.1.0", b"uvicorn", b"uvloop", b"python", b"sqlite"]
    for path in (
        "/",
        "/health",
        "/health/ready",
        "/v1/models",
        "/admin/keys",
        "/nothing",
        "/.env",
        "/docs",
        "/redoc",
        "/debug",
    ):
        told = await rig.get(path, key=None)
        seen = told.body.lower() + " ".join(f"{name} {value}" for name, value in told.headers.items()).lower().encode()
        assert not [name for name in names if name in seen], path
