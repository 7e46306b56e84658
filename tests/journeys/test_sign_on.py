"""Callers with tokens of an issuer at a running gateway, beside callers with keys."""

import time
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest
from tests.journeys.rig import ADMIN, KEY, Rig, Told, gateway
from tests.rig.issuer import FakeIssuer, SigningKey, fake_issuer

from polyroute.config.load import reads
from polyroute.errors import ConfigError

DOCUMENT = """
server:
  auth: keys
  oidc: {{issuer: "{url}", audience: polyroute, roles: {{ops: admin, audit: viewer}}}}
store: {{database: "sqlite:///books.db"}}
providers: {{sim: {{dialect: simulated}}}}
models: {{small: {{provider: sim, price: free}}, large: {{provider: sim, price: free}}}}
keys: [{{name: ci, key: {{env: CI_KEY}}, team: platform}}]
"""


@pytest.fixture
async def issuer() -> AsyncIterator[FakeIssuer]:
    async with fake_issuer() as running:
        yield running


@pytest.fixture
async def rig(issuer: FakeIssuer, tmp_path: Path) -> AsyncIterator[Rig]:
    async with gateway(DOCUMENT.format(url=issuer.url), tmp_path) as running:
        yield running


async def chat(rig: Rig, key: str, model: str = "small") -> Told:
    body = {"model": model, "messages": [{"role": "user", "content": "hello"}]}
    return await rig.post("/v1/chat/completions", body, key=key)


async def test_a_token_is_a_caller_and_its_request_is_booked_on_its_user_team_and_tenant(
    rig: Rig, issuer: FakeIssuer
) -> None:
    told = await chat(rig, issuer.token(team="red", tenant="acme"))
    assert told.status == 200, told.body
    receipt = await rig.receipt(told)
    assert (receipt.caller.user, receipt.caller.team, receipt.caller.tenant) == ("ada", "red", "acme")
    assert (await chat(rig, KEY)).status == 200


async def test_one_token_is_verified_once(rig: Rig, issuer: FakeIssuer) -> None:
    token = issuer.token()
    assert (await chat(rig, token)).status == 200
    issuer.pages = dict.fromkeys(("/keys", "/.well-known/openid-configuration"), (500, b""))
    assert [(await chat(rig, token)).status for _ in range(3)] == [200, 200, 200]
    assert issuer.asked == ["/.well-known/openid-configuration", "/keys"]


async def test_roles_are_those_of_the_document(rig: Rig, issuer: FakeIssuer) -> None:
    for role, reads_keys, calls in (("ops", 200, 200), ("audit", 200, 403), ("admin", 403, 200), (None, 403, 200)):
        token = issuer.token(role=role)
        assert (await rig.get("/admin/keys", key=token)).status == reads_keys, role
        assert (await chat(rig, token)).status == calls, role


async def test_what_is_blocked_or_bounded_is_so_for_tokens_and_declared_keys_too(rig: Rig, issuer: FakeIssuer) -> None:
    token = issuer.token(team="platform")
    assert [(await chat(rig, key)).status for key in (token, KEY)] == [200, 200]
    for account, statuses in (
        ({"blocked": True}, [403, 403, 403, 403]),
        ({"models": ["small"]}, [200, 200, 403, 403]),
        ({}, [200, 200, 200, 200]),
    ):
        body = orjson.dumps(account)
        headers = {"content-type": "application/json", "content-length": str(len(body))}
        assert (await rig.call("PUT", "/admin/teams/platform", body, key=ADMIN, headers=headers)).status == 200
        seen = [(await chat(rig, key, model)).status for model in ("small", "large") for key in (token, KEY)]
        assert seen == statuses, account


async def test_bad_tokens_are_401_and_shaped_and_repeat_nothing(rig: Rig, issuer: FakeIssuer) -> None:
    now = int(time.time())
    for token in (
        issuer.token(exp=now - 100),
        issuer.token(aud="another"),
        issuer.token(iss="https://evil.example"),
        issuer.token(nbf=now + 100),
        issuer.token(SigningKey("one")),
        issuer.token(sub="x" * 200),
        issuer.token()[:-4] + "AAAA",
        "eyJ" + "a" * 9000 + ".b.c",
    ):
        told = await chat(rig, token)
        assert (told.status, told.json["error"]["code"]) == (401, "invalid_api_key"), told.body
        assert token.encode() not in told.body
        assert len(told.body) < 2048


async def test_keys_of_the_issuer_that_cannot_be_had_are_503_and_keys_of_ours_go_on(
    rig: Rig, issuer: FakeIssuer
) -> None:
    issuer.pages["/keys"] = (500, b"")
    assert (await chat(rig, issuer.token())).status == 503
    assert (await chat(rig, KEY)).status == 200


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("{issuer: 'http://id.example', audience: a}", "https address"),
        ("{issuer: 'https://id.example', audience: a, jwks_url: 'http://id.example/keys'}", "https address"),
        ("{issuer: 'https://id.example', audience: []}", "audience"),
        ("{issuer: 'https://id.example', audience: ''}", "any token"),
        ("{issuer: 'https://id.example'}", "audience"),
        ("{issuer: 'https://id.example', audience: a, roles: {x: root}}", "member"),
    ],
)
def test_a_sign_on_that_would_let_anybody_in_is_refused(section: str, said: str) -> None:
    text = f"server: {{oidc: {section}}}\nproviders: {{sim: {{dialect: simulated}}}}\nmodels: {{m: sim/m}}"
    with pytest.raises(ConfigError, match=said):
        reads(text, {}, folder=Path())
