"""Providers' keys given by API or command line: sealed in the store, used at the provider, shown nowhere."""

import asyncio
from base64 import b64encode
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.journeys.rig import ADMIN, DOCUMENT, ENV, KEY, PROVIDER_KEY, Rig, Told, ask, gateway
from tests.journeys.upstream import Upstream
from typer.testing import CliRunner

from polyroute.cli.keys import OPERATOR
from polyroute.cli.main import build
from polyroute.config.load import reads
from polyroute.errors import ConfigError
from polyroute.wiring.build import open_gateway, provider_keys
from polyroute.wiring.provider_keys import open_seal
from polyroute.wiring.stores import open_records, open_store

ONE, TWO = (b64encode(bytes([at]) * 32).decode() for at in (1, 2))
SEALED = {**ENV, "POLYROUTE_SEAL_KEY": ONE}
GIVEN = "sk-given-while-running-4711"


async def put(rig: Rig, key: object = GIVEN, name: str = "oai", *, by: str = ADMIN) -> Told:
    body = orjson.dumps({"key": key})
    headers = {"content-type": "application/json", "content-length": str(len(body))}
    return await rig.call("PUT", f"/admin/providers/{name}/key", body, key=by, headers=headers)


async def used(rig: Rig, provider: Upstream) -> str:
    assert (await rig.post("/v1/chat/completions", ask())).status == 200
    return provider.last.headers["authorization"]


async def test_a_key_that_is_set_is_used_at_once_and_the_documents_again_when_it_is_forgotten(
    provider: Upstream, tmp_path: Path
) -> None:
    async with gateway(DOCUMENT.format(url=provider.url), tmp_path, SEALED) as rig:
        assert await used(rig, provider) == f"Bearer {PROVIDER_KEY}"
        told = await put(rig)
        assert (told.status, told.json["hint"]) == (200, "4711")
        assert await used(rig, provider) == f"Bearer {GIVEN}"
        assert (await rig.call("DELETE", "/admin/providers/oai/key", key=ADMIN)).status == 200
        assert await used(rig, provider) == f"Bearer {PROVIDER_KEY}"
        assert (await rig.call("DELETE", "/admin/providers/oai/key", key=ADMIN)).status == 404


async def test_a_key_is_in_no_answer_no_log_and_no_file(
    provider: Upstream, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    async with gateway(DOCUMENT.format(url=provider.url), tmp_path, SEALED) as rig:
        answers = [(await put(rig)).body]
        pages = ("/admin/providers", "/admin/audit-log", "/metrics", "/openapi.json", "/")
        answers += [(await rig.get(path, key=ADMIN)).body for path in pages]
        await used(rig, provider)
        listed = (await rig.get("/admin/providers", key=ADMIN)).json["data"]
        assert [(entry["provider"], entry["key"]) for entry in listed] == [("oai", "sealed"), ("ant", "document")]
    stored = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    for seen in (*answers, stored, caplog.text.encode()):
        assert GIVEN.encode() not in seen
        assert ONE.encode() not in seen


async def test_what_another_process_sets_is_used_here_after_the_next_look(provider: Upstream, tmp_path: Path) -> None:
    text = DOCUMENT.format(url=provider.url)
    async with gateway(text, tmp_path, SEALED) as rig:
        document = reads(text, ENV, folder=tmp_path).document
        with closing(open_records(open_store(document, tmp_path))) as records:
            await asyncio.to_thread(provider_keys(records, open_seal(SEALED)).put, OPERATOR, "oai", GIVEN)
        await rig.built.services.refresh()  # what the gateway does each second
        assert await used(rig, provider) == f"Bearer {GIVEN}"


async def test_a_provider_may_have_no_key_but_the_managed_one(provider: Upstream, tmp_path: Path) -> None:
    text = DOCUMENT.format(url=provider.url).replace("api_key: {env: PROVIDER_KEY}", "managed_key: true")
    async with gateway(text, tmp_path, SEALED) as rig:
        assert "authorization" not in await headers_of(rig, provider)
        await put(rig)
        assert (await headers_of(rig, provider))["authorization"] == f"Bearer {GIVEN}"
    async with gateway(text, tmp_path, SEALED) as rig:  # and still after a restart
        assert (await headers_of(rig, provider))["authorization"] == f"Bearer {GIVEN}"


async def headers_of(rig: Rig, provider: Upstream) -> dict[str, str]:
    assert (await rig.post("/v1/chat/completions", ask())).status == 200
    return provider.last.headers


@pytest.mark.parametrize(
    ("key", "name", "by", "status"),
    [
        ("", "oai", ADMIN, 400),
        ("two\r\nx-evil: 1", "oai", ADMIN, 400),
        ("k" * 9000, "oai", ADMIN, 400),
        (" padded", "oai", ADMIN, 400),
        (7, "oai", ADMIN, 400),
        (None, "oai", ADMIN, 400),
        (GIVEN, "nobody", ADMIN, 404),
        (GIVEN, "oai", KEY, 403),
    ],
)
async def test_what_is_wrong_is_told_without_the_key(
    provider: Upstream, tmp_path: Path, key: object, name: str, by: str, status: int
) -> None:
    async with gateway(DOCUMENT.format(url=provider.url), tmp_path, SEALED) as rig:
        told = await put(rig, key, name, by=by)
        assert told.status == status, told.body
        assert GIVEN.encode() not in told.body
        assert len(told.body) < 2048
        assert await used(rig, provider) == f"Bearer {PROVIDER_KEY}"


async def test_without_a_seal_key_the_answer_names_the_fix(provider: Upstream, tmp_path: Path) -> None:
    async with gateway(DOCUMENT.format(url=provider.url), tmp_path) as rig:
        told = await put(rig)
        assert (told.status, "POLYROUTE_SEAL_KEY" in told.json["error"]["message"]) == (501, True)


async def test_a_start_without_the_right_seal_key_is_refused_with_the_fix(provider: Upstream, tmp_path: Path) -> None:
    text = DOCUMENT.format(url=provider.url)
    async with gateway(text, tmp_path, SEALED) as rig:
        await put(rig)
    for env, said in (
        (ENV, "export POLYROUTE_SEAL_KEY"),
        ({**ENV, "POLYROUTE_SEAL_KEY": TWO}, "set-key oai"),
        ({**ENV, "POLYROUTE_SEAL_KEY": "nonsense"}, "openssl rand"),
    ):
        with pytest.raises(ConfigError, match=said):
            async with open_gateway(reads(text, env, folder=tmp_path), env):
                raise AssertionError
    async with gateway(text, tmp_path, {**ENV, "POLYROUTE_SEAL_KEY": f"{TWO},{ONE}"}) as rig:
        assert await used(rig, provider) == f"Bearer {GIVEN}"


# ── the command line ──────────────────────────────────────────────────────────────────────────────────


def run(folder: Path, *words: str, key: str | None = None, seal: str = ONE) -> tuple[int, str]:
    document = folder / "polyroute.yaml"
    document.write_text(DOCUMENT.format(url="http://127.0.0.1:1"))
    done = CliRunner().invoke(
        build("providers"),
        ["providers", *words, "-c", str(document)],
        input=key,
        env={**ENV, "POLYROUTE_SEAL_KEY": seal},
    )
    return done.exit_code, done.output


def told(folder: Path, *words: str, **more: str) -> Any:
    code, output = run(folder, *words, "--json", **more)
    assert code == 0, output
    return orjson.loads(output)


def test_a_key_is_set_listed_sealed_anew_and_forgotten_from_the_command_line(tmp_path: Path) -> None:
    set_now = told(tmp_path, "set-key", "oai", key=f"{GIVEN}\n")
    assert (set_now["hint"], GIVEN in str(set_now)) == ("4711", False)
    assert told(tmp_path, "reseal", seal=f"{TWO},{ONE}") == {"resealed": ["oai"]}
    assert told(tmp_path, "reseal", seal=TWO) == {"resealed": []}
    listed = told(tmp_path, "list", seal=TWO)
    assert [entry["provider"] for entry in listed] == ["oai", "ant"]
    assert listed[0]["seal_key"] != set_now["seal_key"]
    assert "4711" in run(tmp_path, "list")[1]
    assert told(tmp_path, "forget", "oai")["forgotten"]
    assert told(tmp_path, "list") == [{"provider": name, "key": "document"} for name in ("oai", "ant")]


@pytest.mark.parametrize(
    ("words", "key", "seal", "said"),
    [
        (("set-key", "nobody"), GIVEN, ONE, "no provider `nobody`"),
        (("set-key", "oai"), "", ONE, "printable"),
        (("set-key", "oai"), GIVEN, "", "POLYROUTE_SEAL_KEY"),
        (("set-key", "oai"), GIVEN, "short", "openssl rand"),
        (("forget", "oai"), None, ONE, "no key was given"),
        (("reseal",), None, "", "POLYROUTE_SEAL_KEY"),
    ],
)
def test_what_is_wrong_is_one_line_and_exit_1(
    tmp_path: Path, words: tuple[str, ...], key: str | None, seal: str, said: str
) -> None:
    code, output = run(tmp_path, *words, key=key, seal=seal)
    assert (code, said in output, "Traceback" in output, GIVEN in output) == (1, True, False, False), output
