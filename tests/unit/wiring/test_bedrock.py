"""A document's Bedrock, built: signed or with a key, where, and what is told when something is missing."""

import sys
from pathlib import Path

import pytest

from polyroute.config.load import reads
from polyroute.errors import ConfigError
from polyroute.wiring.build import open_gateway

DOCUMENT = """
server: {{auth: open}}
store: {{database: "sqlite:///books.db"}}
providers: {{aws: {{dialect: bedrock{more}}}}}
models: {{m: {{provider: aws, model: anthropic.claude-3-haiku-20240307-v1:0}}}}
routes: {{r: {{primary: m}}}}
"""
PAIR = ", credentials: {access_key: {env: A}, secret_key: {env: S}}"
ENV = {"A": "AKIDEXAMPLE", "S": "secret-0123456789", "K": "bedrock-key-0123"}


@pytest.fixture(autouse=True)
def no_account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of the machine's own AWS settings."""
    for name in ("AWS_BEARER_TOKEN_BEDROCK", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))


async def shown(folder: Path, more: str) -> str:
    """How the provider that is built for `more` shows itself."""
    loaded = reads(DOCUMENT.format(more=more), ENV, folder=folder)
    async with open_gateway(loaded, ENV) as built:
        return repr(built.path._parts.around.providers["aws"])


@pytest.mark.parametrize(
    ("more", "host"),
    [
        (f", region: eu-west-1{PAIR}", "bedrock-runtime.eu-west-1.amazonaws.com"),
        (", region: eu-west-1", "bedrock-runtime.eu-west-1.amazonaws.com"),
        (', base_url: "https://bedrock-runtime.eu-west-3.amazonaws.com"', "bedrock-runtime.eu-west-3.amazonaws.com"),
        (', base_url: "http://127.0.0.1:9", api_key: {env: K}', "127.0.0.1:9"),
    ],
)
async def test_it_is_where_the_document_says(tmp_path: Path, more: str, host: str) -> None:
    assert await shown(tmp_path, more) == f"<Bedrock at {host}>"


async def test_the_region_may_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "ap-south-1")
    assert "ap-south-1" in await shown(tmp_path, "")
    monkeypatch.setenv("AWS_REGION", "sa-east-1")
    assert "sa-east-1" in await shown(tmp_path, PAIR)


async def test_without_a_region_the_start_says_where_it_goes(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"providers\.aws: the region is missing: set `region`"):
        await shown(tmp_path, PAIR)


async def test_without_the_signer_the_start_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "polyroute.providers.signing", raising=False)
    monkeypatch.setitem(sys.modules, "botocore.auth", None)
    with pytest.raises(ConfigError, match=r"pip install 'polyroute\[bedrock\]'"):
        await shown(tmp_path, f", region: eu-west-1{PAIR}")


async def test_a_key_needs_no_signer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "polyroute.providers.signing", raising=False)
    monkeypatch.setitem(sys.modules, "botocore.auth", None)
    assert "eu-west-1" in await shown(tmp_path, ", region: eu-west-1, api_key: {env: K}")
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "bedrock-key-0123")
    assert "eu-west-1" in await shown(tmp_path, ", region: eu-west-1")
