"""Vault's KV version 2, asked of a server that answers in its documented shapes (not of Vault itself)."""

from collections.abc import Iterator

import pytest
from tests.rig.vault import TOKEN, FakeVault, fake_vault

from polyroute.errors import StoreError
from polyroute.providers.vault import Vault

PATH = "secret/data/polyroute"


@pytest.fixture
def server() -> Iterator[FakeVault]:
    with fake_vault() as running:
        running.secrets[PATH] = {"openai_key": "sk-from-vault", "number": 7}
        yield running


def vault(server: FakeVault, **more: str) -> Vault:
    return Vault(**{"address": server.url, "token": TOKEN, **more})


def test_the_fields_of_a_secret_are_read_with_token_and_namespace(server: FakeVault) -> None:
    assert vault(server, namespace="team-a").fields(PATH) == {"openai_key": "sk-from-vault"}
    path, headers = server.asked[-1]
    assert path == f"/v1/{PATH}"
    assert (headers["x-vault-token"], headers["x-vault-namespace"]) == (TOKEN, "team-a")


@pytest.mark.parametrize(
    ("path", "token", "said"),
    [
        ("secret/data/other", TOKEN, "is not there: its path holds no secret"),
        ("secret/data/deleted", TOKEN, "its last version was deleted"),
        (PATH, "hvs.wrong", "may not be read with this token: permission denied"),
        ("secret/data/a\nb", "hvs.\nwrong", "HTTP cannot carry"),
    ],
)
def test_a_secret_that_cannot_be_had_is_a_problem_of_its_own(
    server: FakeVault, path: str, token: str, said: str
) -> None:
    server.secrets["secret/data/deleted"] = None
    with pytest.raises(ValueError, match=said) as caught:
        vault(server, token=token).fields(path)
    assert token not in str(caught.value)


def test_a_path_of_version_1_is_told_the_difference(server: FakeVault) -> None:
    server.broken = (200, b'{"data":{"openai_key":"sk"}}')
    with pytest.raises(ValueError, match="secret/data/NAME"):
        vault(server).fields("secret/polyroute")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((503, b'{"errors":["Vault is sealed"]}'), "503: Vault is sealed"),
        ((307, b"{}"), "active node"),
        ((200, b"<html>"), "no answer of Vault's"),
        ((200, b" " * 1_000_001), "1000000 bytes"),
        ((500, b"[]"), "no answer of Vault's"),
    ],
)
def test_a_vault_that_cannot_answer_is_a_store_that_is_away(
    server: FakeVault, answer: tuple[int, bytes], said: str
) -> None:
    server.broken = answer
    with pytest.raises(StoreError, match=said):
        vault(server).fields(PATH)


def test_nobody_there_is_told_without_the_token() -> None:
    with pytest.raises(StoreError, match="cannot be asked") as caught:
        Vault(address="http://127.0.0.1:1", token=TOKEN).fields(PATH)
    assert TOKEN not in f"{caught.value!r}{Vault(address='http://127.0.0.1:1', token=TOKEN)!r}"
