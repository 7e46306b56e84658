"""What holds for one tenant: bounds that hold however a model is named, and overrides laid over the document."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest
from tests.journeys.rig import ADMIN, DOCUMENT, KEY, Rig, Told, ask, ask_claude, gateway
from tests.journeys.upstream import Upstream, chat, failing

from polyroute.state.overrides import OverrideOrder, Overrides
from polyroute.stores.records.sqlite import SqliteRecords
from polyroute.types.access import Caller

CHAT = "/v1/chat/completions"
OTHER = "pk-acme-0123456789abcdef"
SOON = "2999-01-01T00:00:00Z"
PLACES = """
  eu: {{dialect: openai, base_url: "{url}/eu/v1", region: eu, private: true, max_tries: 1,
        data_policy: {{retention_days: 0, trains: false}}}}
models:
  both: {{deployments: [{{provider: oai, model: m}}, {{provider: eu, model: m}}], price: free}}
  here: {{provider: eu, model: here-up, price: {{input: 1, output: 1}}}}
"""
ROUTES = """
  - {{name: acme, key: "pk-acme-0123456789abcdef", team: a, user: a, tenant: acme}}
routes:
  support: {{primary: gpt, fallback: [claude, here]}}
  cascade: {{strategy: {{use: cascade, models: [gpt, here]}}, gates: [{{use: length}}]}}
  bound: {{primary: here, region: eu, private: true, allowed_providers: [eu], data_policy: {{retention_days: 30}},
           privacy: {{detect: [email], on_pii: private}}}}
  answers: {{strategy: {{use: logic, answers: [{{when: {{contains: [hours]}}, text: "9 to 5"}}], otherwise: gpt}}}}
"""
POLICIES = [
    "{region: eu}",
    "{private: true}",
    "{allowed_providers: [eu]}",
    "{data_policy: {retention_days: 7}}",
    "{data_policy: {trains: false}}",
]


@asynccontextmanager
async def serving(provider: Upstream, folder: Path, more: str = "") -> AsyncIterator[Rig]:
    document = DOCUMENT.replace("models:\n", PLACES.lstrip("\n")).rstrip() + ROUTES
    async with gateway(document.format(url=provider.url) + more, folder) as rig:
        yield rig


def order(**layer: object) -> dict[str, object]:
    return {"owner": "Ann", "expires": SOON, **layer}


async def put(rig: Rig, body: object, tenant: str = "acme", key: str = ADMIN) -> Told:
    return await rig.call("PUT", f"/admin/overrides/{tenant}", orjson.dumps(body), key=key)


# ── bounds ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("policy", POLICIES)
async def test_no_way_of_naming_a_model_leaves_a_tenants_bounds(
    provider: Upstream, tmp_path: Path, policy: str
) -> None:
    routes, models = ("polyroute/support", "support", "cascade", "auto"), ("gpt", "claude", "both", "here")
    names = (*routes, *models, "oai/gpt-up", "eu/here-up")
    spoken: dict[str, object] = {"contents": [{"parts": [{"text": "x"}]}]}
    calls: list[tuple[str, dict[str, object]]] = []
    for name in names:
        wish = {"region": "us", "metadata": {"region": "us", "tenant": "default"}}
        calls += [
            *((CHAT, {**ask("x", name), **more}) for more in ({}, {"stream": True}, wish)),
            *((path, ask_claude("x", name)) for path in ("/v1/messages", "/v1/messages/count_tokens")),
            ("/v1/responses", {"model": name, "input": "x"}),
            ("/v1/embeddings", {"model": name, "input": "x"}),
            (f"/v1beta/models/{name.replace('/', '%2F')}:generateContent", spoken),
        ]
    calls += [("/v1/execute", {"input": "x", "models": ["gpt", "here"], "strategy": s}) for s in ("fixed", "cascade")]
    calls += [("/v1/execute", {"input": "x", "task": "support"}), ("/v1/execute", {"input": "x", "models": ["gpt"]})]
    async with serving(provider, tmp_path, f"tenants: {{acme: {policy}}}\n") as rig:
        provider.answers(failing(503))
        for path, body in calls:
            await rig.post(path, body, key=OTHER, headers={"x-polyroute-region": "us", "x-polyroute-tenant": "default"})
        assert {heard.path.split("/")[1] for heard in provider.log} == {"eu"}
        provider.answers(chat("ok"))
        told = await rig.post(CHAT, ask("x", "support"), key=OTHER)
        assert told.status == 200, told.body
        assert "tenant `acme`" in str((await rig.receipt(told)).exclusions)
        told = await rig.post(CHAT, ask("hours?", "answers"), key=OTHER)
        assert told.json["choices"][0]["message"]["content"] == "9 to 5"  # nobody else is asked
        refused = await rig.post(CHAT, ask("x", "gpt"), key=OTHER)
        assert (refused.status, refused.json["error"]["code"]) == (503, "no_candidate")
        assert (await rig.post(CHAT, ask("x", "gpt"))).status == 200  # of another tenant


async def test_a_route_asks_of_providers_what_they_promise(provider: Upstream, tmp_path: Path) -> None:
    more = "  asks: {primary: gpt, fallback: here, data_policy: {retention_days: 7, trains: false}}\n"
    async with serving(provider, tmp_path, more) as rig:
        told = await rig.post(CHAT, ask("x", "asks"))
        (out,) = (await rig.receipt(told)).exclusions
    assert provider.last.path.startswith("/eu/")
    assert out.reason == "retention not stated, the route allows 7 days"


# ── overrides ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_an_override_is_in_force_at_once_for_its_tenant_alone(provider: Upstream, tmp_path: Path) -> None:
    async with serving(provider, tmp_path) as rig:
        before = await rig.post(CHAT, ask("x", "support"), key=OTHER)
        made = await put(rig, order(routes={"support": {"primary": "here", "fallback": [], "cost_ceiling_usd": 0.5}}))
        assert made.status == 200, made.body
        after = await rig.post(CHAT, ask("x", "support"), key=OTHER)
        others = await rig.post(CHAT, ask("x", "support"))
        executed = await rig.post("/v1/execute", {"input": "x", "task": "support"}, key=OTHER)
        gone = await rig.call("DELETE", "/admin/overrides/acme", key=ADMIN)
        again = await rig.post(CHAT, ask("x", "support"), key=OTHER)
    assert [told.headers["x-polyroute-model"] for told in (before, after, others, again)] == [
        "gpt",
        "here",
        "gpt",
        "gpt",
    ]
    assert executed.json["model"] == "here"
    policies = [told.headers["x-polyroute-policy"] for told in (before, after, others, again)]
    assert policies[0] == policies[2] == policies[3] != policies[1]
    assert gone.json == {"tenant": "acme", "removed": True}
    told_apart = [d for d in made.json["diff"] if d["path"] != "routes.support.fallback"]
    assert {(d["path"], d["base"], d["override"]) for d in told_apart} == {
        ("routes.support.primary", "gpt", "here"),
        ("routes.support.cost_ceiling_usd", None, 0.5),
    }


async def test_an_override_set_beside_the_server_is_taken_with_the_next_look(
    provider: Upstream, tmp_path: Path
) -> None:
    async with serving(provider, tmp_path) as rig:
        with SqliteRecords(tmp_path / "books.db") as records:
            ends = datetime(2999, 1, 1, tzinfo=UTC)
            made = OverrideOrder(owner="Ann", expires=ends, routes={"support": {"primary": "here"}})
            Overrides(records, lambda: datetime.now(UTC)).put(Caller(role="admin"), "acme", made)
        await rig.app.services.refresh()
        told = await rig.post(CHAT, ask("x", "support"), key=OTHER)
    assert told.headers["x-polyroute-model"] == "here"


async def test_an_expired_override_stops_and_is_listed_as_expired(provider: Upstream, tmp_path: Path) -> None:
    past = datetime.now(UTC) - timedelta(days=1)
    with SqliteRecords(tmp_path / "books.db") as records:
        made = OverrideOrder(owner="Ann", expires=past + timedelta(hours=1), routes={"support": {"primary": "here"}})
        Overrides(records, lambda: past).put(Caller(role="admin"), "acme", made)
    async with serving(provider, tmp_path) as rig:
        told = await rig.post(CHAT, ask("x", "support"), key=OTHER)
        listed = await rig.get("/admin/overrides", key=ADMIN)
    assert told.headers["x-polyroute-model"] == "gpt"
    (one,) = listed.json["data"]
    assert (one["tenant"], one["owner"], one["state"]) == ("acme", "Ann", "expired")


async def test_limits_of_an_override_are_its_tenants(provider: Upstream, tmp_path: Path) -> None:
    async with serving(provider, tmp_path) as rig:
        assert (await put(rig, order(limits={"per_user_per_minute": 1}))).status == 200
        mine = [(await rig.post(CHAT, ask("x", "gpt"), key=OTHER)).status for _ in range(2)]
        theirs = [(await rig.post(CHAT, ask("x", "gpt"), key=KEY)).status for _ in range(2)]
        await rig.call("DELETE", "/admin/overrides/acme", key=ADMIN)
        after = await rig.post(CHAT, ask("x", "gpt"), key=OTHER)
    assert (mine, theirs, after.status) == ([200, 429], [200, 200], 200)


async def test_a_policy_of_an_override_bounds_its_tenant(provider: Upstream, tmp_path: Path) -> None:
    async with serving(provider, tmp_path) as rig:
        made = await put(rig, order(policy={"region": "eu", "privacy": {"detect": ["email"], "on_pii": "refuse"}}))
        assert made.status == 200, made.body
        told = await rig.post(CHAT, ask("x", "support"), key=OTHER)
        refused = await rig.post(CHAT, ask("I am ann@example.com", "support"), key=OTHER)
    assert told.headers["x-polyroute-model"] == "here"
    assert (refused.status, refused.json["error"]["code"]) == (400, "personal_data")


WRONG: list[tuple[dict[str, object], str]] = [
    ({"routes": {"nope": {"primary": "gpt"}}}, "there is no route `nope`"),
    ({"routes": {"support": {"primary": "nope"}}}, "there is no model or route `nope`"),
    ({"routes": {"support": {"primry": "gpt"}}}, "primry"),
    ({"routes": {"support": {"timeout_s": "long"}}}, "timeout_s"),
    ({"routes": {"bound": {"region": "us"}}}, "routes.bound.region: an override may narrow this"),
    ({"routes": {"bound": {"region": None}}}, "routes.bound.region: an override may narrow this"),
    ({"routes": {"bound": {"private": False}}}, "routes.bound.private: an override may narrow this"),
    ({"routes": {"bound": {"allowed_providers": ["eu", "oai"]}}}, "routes.bound.allowed_providers: an override may"),
    ({"routes": {"bound": {"allowed_providers": None}}}, "routes.bound.allowed_providers: an override may"),
    ({"routes": {"bound": {"data_policy": {"retention_days": 60}}}}, "routes.bound.data_policy.retention_days: an"),
    ({"routes": {"bound": {"privacy": {"detect": ["card"]}}}}, "routes.bound.privacy.detect: an override may"),
    ({"routes": {"bound": {"privacy": {"on_pii": "allow"}}}}, "routes.bound.privacy.on_pii: an override may"),
    ({"routes": {"support": {"review": {"webhook": {"url": "https://x.example"}}}}}, "no secrets and no addresses"),
    (
        {"routes": {"support": {"strategy": {"use": "logic", "answers": [{"when": {}, "text": "x"}]}}}},
        "plain logic cannot be put into an override",
    ),
    ({"policy": {"allowed_providers": ["nope"]}}, "policy.allowed_providers[0]: there is no provider `nope`"),
    ({"limits": {"per_user_per_minute": 0}}, "limits.per_user_per_minute"),
    ({}, "the override says nothing"),
]


async def test_what_does_not_fit_the_document_is_refused_and_changes_nothing(
    provider: Upstream, tmp_path: Path
) -> None:
    async with serving(provider, tmp_path) as rig:
        for layer, message in WRONG:
            told = await put(rig, order(**layer))
            assert told.status == 400, (layer, told.body)
            assert message in told.json["error"]["message"], (message, told.json)
        every = await put(rig, order(routes={"support": {"primary": "a"}, "bound": {"primary": "b", "private": False}}))
        assert all(f"`{name}`" in every.json["error"]["message"] for name in ("a", "b"))
        for field in ("keys", "providers", "server", "auth"):
            assert (await put(rig, order(**{field: {}}))).status == 400
        ended = {**order(limits={"per_user_per_minute": 1}), "expires": "2001-01-01T00:00:00Z"}
        assert (await put(rig, ended)).json["error"]["param"] == "expires"
        assert (await rig.get("/admin/overrides", key=ADMIN)).json == {"data": []}


async def test_only_administrators_set_overrides(provider: Upstream, tmp_path: Path) -> None:
    async with serving(provider, tmp_path) as rig:
        assert (await put(rig, order(limits={"per_user_per_minute": 1}), key=OTHER)).status == 403
        assert (await rig.get("/admin/overrides", key=OTHER)).status == 403
        made = await put(rig, order(limits={"per_user_per_minute": 9}))
        log = await rig.get("/admin/audit-log", key=ADMIN)
    assert made.status == 200
    (entry,) = log.json["data"]
    assert (entry["action"], entry["tenant"], entry["detail"]["owner"]) == ("overrides:set", "acme", "Ann")


async def test_an_override_that_fits_the_document_no_more_lets_nothing_through(
    provider: Upstream, tmp_path: Path
) -> None:
    with SqliteRecords(tmp_path / "books.db") as records:
        ends = datetime(2999, 1, 1, tzinfo=UTC)
        made = OverrideOrder(owner="Ann", expires=ends, routes={"of-before": {"region": "eu"}})
        Overrides(records, lambda: datetime.now(UTC)).put(Caller(role="admin"), "acme", made)
    async with serving(provider, tmp_path) as rig:
        told = await rig.post(CHAT, ask("x", "gpt"), key=OTHER)
        listed = await rig.get("/admin/overrides/acme", key=ADMIN)
        assert (await rig.post(CHAT, ask("x", "gpt"))).status == 200
    assert told.status == 503
    assert "does not fit the document any more" in told.json["error"]["message"]
    assert "there is no route `of-before`" in listed.json["problems"][0]
