"""The content hash that receipts name."""

from pathlib import Path

import pytest

from polyroute.config.load import loads
from polyroute.config.snapshot import Snapshot, content_hash

BASE = """
server: {port: 4001}
providers: {p: {dialect: openai, base_url: "${URL}", api_key: {env: KEY}, headers: {x-a: b}}}
models: {m: {provider: p, price: {input: 2.50, output: 10}}, n: p/n}
routes: {r: {primary: m, fallback: [n], gates: [{use: json_schema, schema: {type: number, multipleOf: 0.5}}]}}
"""
ENV = {"URL": "http://127.0.0.1:1/v1", "KEY": "sk-1"}


def digest_of(text: str, env: dict[str, str] = ENV) -> str:
    return content_hash(loads(text, env, folder=Path("/nowhere")).document)


def test_it_is_twelve_hex_digits() -> None:
    digest = Snapshot.of(loads(BASE, ENV, folder=Path("/nowhere")).document).digest
    assert len(digest) == 12
    assert int(digest, 16) >= 0


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("# a comment\n" + BASE, id="a comment"),
        pytest.param("\n".join(reversed(BASE.strip().splitlines())), id="another order"),
        pytest.param(BASE.replace("input: 2.50, output: 10", "output: 10.00, input: 2.5"), id="the same amounts"),
        pytest.param(BASE.replace("{port: 4001}", "{host: 127.0.0.1, port: 4001}"), id="a default written out"),
        pytest.param(BASE.replace("{env: KEY}", '"${KEY}"'), id="the same secret's name in the other form"),
    ],
)
def test_form_does_not_count(text: str) -> None:
    assert digest_of(text) == digest_of(BASE)


@pytest.mark.parametrize(
    ("before", "after"),
    [("4001", "4002"), ("2.50", "2.51"), ("primary: m", "primary: n"), ("{env: KEY}", "{env: URL}"), ("0.5", "0.25")],
)
def test_content_counts(before: str, after: str) -> None:
    assert digest_of(BASE.replace(before, after, 1)) != digest_of(BASE)


def test_a_rotated_secret_does_not_count() -> None:
    assert digest_of(BASE, {**ENV, "KEY": "sk-2"}) == digest_of(BASE)


def test_another_address_from_the_environment_counts() -> None:
    assert digest_of(BASE, {**ENV, "URL": "http://127.0.0.1:2/v1"}) != digest_of(BASE)


def test_included_content_counts_as_if_it_stood_in_one_file(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text("models: {m: simulated/m}\n")
    split = loads("include: [m.yaml]\nroutes: {r: {primary: m}}\n", {}, folder=tmp_path).document
    whole = loads("models: {m: simulated/m}\nroutes: {r: {primary: m}}\n", {}, folder=tmp_path).document
    assert content_hash(split) == content_hash(whole)
