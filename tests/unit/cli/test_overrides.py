"""The verb `overrides`, beside no server."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from polyroute.cli.main import build

DOCUMENT = """
server: {auth: open}
store: {database: "sqlite:///books.db"}
providers: {sim: {dialect: simulated}}
models: {small: {provider: sim, price: free}, large: {provider: sim, price: free}}
routes: {support: {primary: small, private: false}}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "polyroute.yaml").write_text(DOCUMENT)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words: str) -> tuple[int, str]:
    told = CliRunner().invoke(build("overrides"), ["overrides", *words])
    return told.exit_code, told.output


def set_layer(folder: Path, text: str) -> tuple[int, str]:
    (folder / "acme.yaml").write_text(text)
    return run("set", "acme", "--file", "acme.yaml", "--owner", "Ann", "--expires", "30d")


def test_an_override_is_set_shown_compared_and_removed(folder: Path) -> None:
    layer = "routes: {support: {primary: large, cost_ceiling_usd: 0.02}}\nlimits: {per_user_per_minute: 3}\n"
    code, said = set_layer(folder, layer)
    assert (code, said.splitlines()) == (
        0,
        [
            'routes.support.primary: "small" → "large"',
            "routes.support.cost_ceiling_usd: null → 0.02",
            "limits.per_user_per_minute: null → 3",
        ],
    )
    code, said = run("diff", "acme", "--json")
    assert json.loads(said)[0] == {"path": "routes.support.primary", "base": "small", "override": "large"}
    (one,) = json.loads(run("list", "--json")[1])
    assert (one["tenant"], one["owner"], one["state"]) == ("acme", "Ann", "active")
    assert json.loads(run("show", "acme", "--json")[1])["limits"] == {"per_user_per_minute": 3}
    assert run("remove", "acme")[0] == 0
    assert json.loads(run("list", "--json")[1]) == []


def test_what_does_not_fit_is_told_whole(folder: Path) -> None:
    code, _ = set_layer(folder, "routes: {support: {primary: nope, fallback: neither}}\n")
    assert code == 1
    assert json.loads(run("list", "--json")[1]) == []
