"""The verb `config`, on a document and a store in a folder."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from polyroute.cli.config import config
from polyroute.config.load import read
from polyroute.config.snapshot import Snapshot
from polyroute.state.documents import DocumentHistory
from polyroute.stores.records.sqlite import SqliteRecords
from polyroute.wiring.reload import FILE

SMALL = """
store: {database: "sqlite:///books.db"}
server: {auth: open}
models: {small: simulated/small, large: simulated/large}
routes: {ask: {primary: small}}
"""
LARGE = SMALL.replace("primary: small", "primary: large")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The small document was in force; the large one is in the file."""
    file = tmp_path / "polyroute.yaml"
    with SqliteRecords(tmp_path / "books.db") as records:
        file.write_text(SMALL)
        loaded = read(file, {})
        history = DocumentHistory(records, lambda: datetime(2026, 3, 1, tzinfo=UTC))
        history.note(FILE, "config:start", policy_of(file), {file.name: loaded.texts[str(file)]})
    file.write_text(LARGE)
    return file


def policy_of(file: Path) -> str:
    return Snapshot.of(read(file, {}).document).digest


def run(*words: str, file: Path) -> str:
    ran = CliRunner().invoke(config, [*words, "--config", str(file)])
    assert ran.exit_code == 0, ran.output
    return ran.output


def test_a_document_of_before_is_compared_and_restored(file: Path) -> None:
    file.write_text(SMALL)
    small = policy_of(file)
    file.write_text(LARGE)
    assert small in run("history", file=file)
    told = run("diff", small, file=file)
    assert "-routes: {ask: {primary: small}}" in told
    assert "+routes: {ask: {primary: large}}" in told
    assert f"# policy {policy_of(file)}" in run("show", file=file)
    run("rollback", small, file=file)
    assert file.read_text() == SMALL
    assert file.with_name("polyroute.yaml.before").read_text() == LARGE


def test_what_was_never_in_force_cannot_be_restored(file: Path) -> None:
    ran = CliRunner().invoke(config, ["rollback", "nothing", "--config", str(file)])
    assert ran.exit_code == 1
    assert file.read_text() == LARGE
