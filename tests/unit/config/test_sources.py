"""Where secrets are read, and what is said of those that cannot be."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from tests.rig.vault import TOKEN, FakeVault, fake_vault

from polyroute.config.load import Loaded, reads
from polyroute.config.snapshot import content_hash
from polyroute.config.sources import SecretReader, secrets_of
from polyroute.errors import ConfigError, StoreError

DOCUMENT = """
providers:
  one: {dialect: openai, api_key: {vault: "secret/data/polyroute#one"}}
  two: {dialect: openai, api_key: {vault: "secret/data/polyroute#two"}}
models: {m: one/gpt}
"""


@pytest.fixture
def vault() -> Iterator[FakeVault]:
    with fake_vault() as running:
        running.secrets["secret/data/polyroute"] = {"one": "sk-1", "two": "sk-2"}
        yield running


def load(text: str, env: Mapping[str, str], folder: Path = Path()) -> Loaded:
    return reads(text, env, folder=folder)


def key(loaded: Loaded, name: str) -> str:
    secret = loaded.document.providers[name].api_key
    assert secret is not None
    return secret.reveal()


def problems(text: str, env: Mapping[str, str], folder: Path = Path()) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(text, env, folder)
    return [problem.message for problem in caught.value.problems]


def env_of(vault: FakeVault) -> dict[str, str]:
    return {"VAULT_ADDR": vault.url, "VAULT_TOKEN": TOKEN}


def test_secrets_of_one_path_are_one_question(vault: FakeVault) -> None:
    loaded = load(DOCUMENT, env_of(vault))
    assert (key(loaded, "one"), key(loaded, "two"), len(vault.asked)) == ("sk-1", "sk-2", 1)


def test_the_document_may_say_which_vault_and_where_its_token_is(vault: FakeVault, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    text = f"secrets: {{vault: {{address: '{vault.url}', token: {{file: token}}, namespace: team-a}}}}{DOCUMENT}"
    assert key(load(text, {}, tmp_path), "one") == "sk-1"
    assert vault.asked[-1][1]["x-vault-namespace"] == "team-a"


def test_a_rotated_secret_is_the_new_one_at_the_next_load_and_the_same_policy(vault: FakeVault) -> None:
    before = load(DOCUMENT, env_of(vault))
    vault.secrets["secret/data/polyroute"] = {"one": "sk-new", "two": "sk-2"}
    after = load(DOCUMENT, env_of(vault))
    assert key(after, "one") == "sk-new"
    assert content_hash(before.document) == content_hash(after.document)


def test_every_secret_that_cannot_be_read_is_told_at_once(vault: FakeVault, tmp_path: Path) -> None:
    text = DOCUMENT + "keys: [{name: a, key: {file: missing}}, {name: b, key: {vault: 'secret/data/gone#x'}}]"
    del vault.secrets["secret/data/polyroute"]["two"]  # type: ignore[union-attr]  # it was just put there
    told = problems(text, env_of(vault), tmp_path)
    assert len(told) == 3
    assert all(any(part in message for message in told) for part in ("field `two`", "missing", "secret/data/gone"))


@pytest.mark.parametrize(
    ("env", "section", "said"),
    [
        ({}, "", "export VAULT_ADDR"),
        ({"VAULT_ADDR": "http://127.0.0.1:1"}, "", "export VAULT_TOKEN"),
        ({"VAULT_ADDR": "http://127.0.0.1:1", "VAULT_TOKEN": TOKEN}, "", "cannot be asked"),
        ({"VAULT_ADDR": "ftp://x", "VAULT_TOKEN": TOKEN}, "", "http:// or https://"),
        ({}, "secrets: {vault: {token: {vault: 'a#b'}}}", "cannot be in Vault"),
    ],
)
def test_a_vault_that_cannot_be_asked_names_the_fix(env: dict[str, str], section: str, said: str) -> None:
    told = problems(section + DOCUMENT, env)
    assert any(said in message for message in told)
    assert not any(TOKEN in message for message in told)


def test_an_unreachable_vault_is_asked_once_a_load() -> None:
    reader = SecretReader(Path(), {"VAULT_ADDR": "http://127.0.0.1:1", "VAULT_TOKEN": TOKEN})
    for path in ("a", "b"):
        with pytest.raises(ValueError, match="cannot be asked") as caught:
            reader.read({"vault": f"secret/data/{path}#x"})
        assert (type(caught.value.__cause__) is StoreError) == (path == "a")


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({"vault": "secret/data/x"}, "names no field"),
        ({"vault": "#x"}, "names no field"),
        ({"file": "a", "env": "B"}, "must be"),
        ({"file": 7}, "must be"),
        (7, "must be"),
        ({"file": "long"}, "more than 65536"),
        ({"file": "empty"}, "is empty"),
    ],
)
def test_what_is_no_secret_is_refused(tmp_path: Path, written: object, said: str) -> None:
    (tmp_path / "long").write_text("x" * 65537)
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(ValueError, match=said):
        SecretReader(tmp_path, {}).read(written)


def test_a_document_lists_its_secrets_by_name_alone(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sk-file\n")
    text = "providers: {p: {dialect: openai, api_key: {file: key}, headers: {x-org: {env: ORG}}}}"
    assert {secret.name for secret in secrets_of(load(text, {"ORG": "o"}, tmp_path).document)} == {
        "file key",
        "${ORG}",
    }
