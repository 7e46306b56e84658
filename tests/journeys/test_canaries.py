"""Every secret of a gateway with all its features on, looked for in all that it says and keeps.

In plain, and in base64, hexadecimal, JSON and URL form.
"""

import logging
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import orjson
import pytest
from tests.journeys.rig import ENV, Rig, Told, ask, ask_claude, gateway
from tests.journeys.upstream import Answer, Upstream, chat, chat_events, failing, message, stream, text_block, whole
from tests.rig.issuer import FakeIssuer, fake_issuer
from tests.rig.vault import FakeVault, fake_vault

SECRETS = {
    "provider key from the environment": "sk-env-canary-0001/+=",
    "provider key from a file": "sk-file-canary-0002/+=",
    "provider key from Vault": "sk-vault-canary-0003/+=",
    "provider key given by API": "sk-given-canary-0004/+=",
    "further header": "org-canary-0005/+=",
    "admin key": "pk-admin-canary-0006",
    "declared key": "pk-declared-canary-0007",
    "Vault token": "hvs.canary-token-4242",
    "webhook secret": "whsec-canary-0008/+=",
    "webhook address": "http://127.0.0.1:1/hook/canary-0009",
    "seal key": b64encode(b"canary-0010-" + b"\x07" * 20).decode(),
    "pepper": "pepper-canary-0011/+=",
}
DOCUMENT = """
server: {{auth: keys, oidc: {{issuer: "{issuer}", audience: polyroute}}}}
store: {{database: "sqlite:///books.db"}}
secrets: {{vault: {{address: "{vault}"}}}}
providers:
  oai:
    dialect: openai
    base_url: "{url}/v1"
    api_key: {{env: PROVIDER_KEY}}
    headers: {{openai-organization: {{env: ORG}}}}
    max_tries: 1
  ant: {{dialect: anthropic, base_url: "{url}", api_key: {{file: key.txt}}, max_tries: 1}}
  vau: {{dialect: openai, base_url: "{url}/v1", api_key: {{vault: "secret/data/p#key"}}, max_tries: 1}}
  man: {{dialect: openai, base_url: "{url}/v1", managed_key: true, max_tries: 1}}
models:
  gpt: {{provider: oai, model: gpt-up, price: {{input: 1, output: 1}}}}
  claude: {{provider: ant, model: claude-up, price: {{input: 1, output: 1}}}}
  vaulted: {{provider: vau, model: v-up, price: {{input: 1, output: 1}}}}
  managed: {{provider: man, model: m-up, price: {{input: 1, output: 1}}}}
routes:
  reviewed:
    primary: gpt
    require_human_review: true
    review: {{webhook: {{url: {{env: HOOK}}, secret: {{env: HOOK_SECRET}}}}}}
keys: [{{name: ci, key: {{env: CI_KEY}}, team: platform, user: ci}}]
"""


@pytest.fixture
def vault() -> Iterator[FakeVault]:
    with fake_vault() as running:
        running.secrets["secret/data/p"] = {"key": SECRETS["provider key from Vault"]}
        yield running


def forms(secret: str) -> set[bytes]:
    raw = secret.encode()
    found = {raw, raw.hex().encode(), quote(secret, safe="").encode(), quote(secret).encode()}
    for shift in range(3):  # a base64 of a longer text holds it at one of three places
        for encode in (b64encode, urlsafe_b64encode):
            whole = encode(b"x" * shift + raw)
            found.add(whole[4 if shift else 0 : len(whole) // 4 * 4 - 4])
    found.add(orjson.dumps(secret)[1:-1])
    return {form for form in found if len(form) > 12}


class Heard(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []
        self.setFormatter(logging.Formatter("%(name)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))
        self.lines.append(repr(record.args))


@pytest.fixture
def log() -> Iterator[Heard]:
    """All that is logged, at its most talkative."""
    heard, loggers = Heard(), [logging.getLogger(), logging.getLogger("polyroute"), logging.getLogger("asyncio")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(heard)
        logger.setLevel(logging.DEBUG)
    yield heard
    for logger, level in zip(loggers, levels, strict=True):
        logger.removeHandler(heard)
        logger.setLevel(level)


async def sent(rig: Rig, method: str, path: str, body: object = None, *, key: str | None) -> Told:
    data = b"" if body is None else orjson.dumps(body)
    headers = {"content-type": "application/json", "content-length": str(len(data))}
    return await rig.call(method, path, data, key=key, headers=headers)


def leaking(provider: Upstream) -> Answer:
    """A provider that repeats what it was sent, key and all, in the words of its error."""
    heard = provider.last
    keys = " ".join(heard.headers.get(name, "") for name in ("authorization", "x-api-key", "openai-organization"))
    return failing(401, f"Incorrect API key provided: {keys}. See https://{keys.split()[-1]}@10.0.0.1/")


async def drive(rig: Rig, provider: Upstream, issuer: FakeIssuer) -> tuple[dict[str, str], list[Told]]:
    """Everything once, and the secrets that were made on the way."""
    admin, declared = SECRETS["admin key"], SECRETS["declared key"]
    made: dict[str, str] = {"token": issuer.token(team="platform")}
    told: list[Told] = []
    provider.script = lambda heard: message(text_block("ok")) if heard.path.endswith("/messages") else chat("ok")
    given = {"key": SECRETS["provider key given by API"]}
    told.append(await sent(rig, "PUT", "/admin/providers/man/key", given, key=admin))
    issued = await sent(rig, "POST", "/admin/keys", {"name": "app"}, key=admin)  # shown this once
    made["issued key"] = issued.json["key"]
    rotated = await sent(rig, "POST", f"/admin/keys/{issued.json['id']}/rotate", {}, key=admin)
    made["rotated key"] = rotated.json["key"]

    async def ask_all() -> None:
        for model in ("gpt", "vaulted", "managed", "reviewed"):
            for stream_it in (False, True):
                told.append(await rig.post("/v1/chat/completions", ask(model=model, stream=stream_it), key=declared))
        told.append(await rig.post("/v1/messages", ask_claude(), key=made["rotated key"]))
        told.append(await rig.post("/v1/chat/completions", ask(), key=made["token"]))

    await ask_all()
    provider.script = lambda heard: leaking(provider)
    await ask_all()
    provider.script = lambda heard: Answer(status=500, pieces=(repr(heard.headers).encode(),), kind="text/html")
    await ask_all()
    provider.script = lambda heard: whole({"error": repr(heard.headers)})
    await ask_all()
    events = chat_events("hi")
    provider.script = lambda heard: stream(
        *events[:2], b"data: " + orjson.dumps({"error": {"message": heard.headers.get("authorization", "x")}}) + b"\n\n"
    )
    await ask_all()

    for secret in (*SECRETS.values(), *made.values()):  # where it does not belong
        told.append(await rig.post("/v1/chat/completions", {"model": "gpt", "messages": secret[::-1]}, key=declared))
        told.append(await rig.post("/v1/chat/completions", ask(api_key=secret), key=declared))
        told.append(await rig.get("/v1/models", key=f"{secret}x"))
    paths = [
        "/",
        "/health",
        "/health/ready",
        "/metrics",
        "/openapi.json",
        "/v1/models",
        "/v1/limits",
        "/admin/keys",
        "/admin/providers",
        "/admin/audit-log",
        "/admin/audit-log/verify",
        "/admin/prompts",
        "/admin/reviews",
        "/admin/config",
        "/admin/config/history",
        "/admin/users",
        "/admin/teams",
        "/admin/tenants",
        "/admin/budgets",
        "/admin/limits",
        "/admin/usage",
        f"/admin/keys/{issued.json['id']}",
    ]
    paths += [f"/v1/receipts/{receipt.request_id}" for receipt in rig.receipts()]
    told += [await rig.get(path, key=admin) for path in paths]
    return made, told


async def test_no_secret_is_in_anything_that_is_said_or_kept(
    provider: Upstream, vault: FakeVault, log: Heard, tmp_path: Path
) -> None:
    key_file = tmp_path / "key.txt"
    key_file.write_text(SECRETS["provider key from a file"] + "\n")
    env = {
        **ENV,
        "PROVIDER_KEY": SECRETS["provider key from the environment"],
        "ORG": SECRETS["further header"],
        "POLYROUTE_ADMIN_KEY": SECRETS["admin key"],
        "CI_KEY": SECRETS["declared key"],
        "VAULT_TOKEN": SECRETS["Vault token"],
        "HOOK": SECRETS["webhook address"],
        "HOOK_SECRET": SECRETS["webhook secret"],
        "POLYROUTE_SEAL_KEY": SECRETS["seal key"],
        "POLYROUTE_KEY_PEPPER": SECRETS["pepper"],
    }
    async with fake_issuer() as issuer:
        text = DOCUMENT.format(url=provider.url, vault=vault.url, issuer=issuer.url)
        async with gateway(text, tmp_path, env) as rig:
            made, told = await drive(rig, provider, issuer)
            used = {value for heard in provider.log for value in heard.headers.values()}
            printed = f"{rig.built!r} {rig.built.services!r} {rig.built.foundation!r}"
    for name in ("from the environment", "from Vault", "given by API"):
        assert f"Bearer {SECRETS['provider key ' + name]}" in used, name  # the search below is not in vain
    assert sum(answer.status == 200 for answer in told) > 20
    key_file.unlink()
    seen = {f"answer {at}": answer.body + repr(answer.headers).encode() for at, answer in enumerate(told)}
    seen |= {str(file.relative_to(tmp_path)): file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    seen |= {"the log": "\n".join(log.lines).encode(), "what prints": printed.encode()}
    hits = [
        (name, where)
        for name, secret in {**SECRETS, **made}.items()
        for form in forms(secret)
        for where, data in seen.items()
        if form in data
    ]
    assert hits == []
