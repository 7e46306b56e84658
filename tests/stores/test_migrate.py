"""The verb `migrate`, and many gateways that make the tables at once."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.rig.servers import Postgres
from typer.testing import CliRunner

from polyroute.cli.main import build
from polyroute.stores.journal.lines import encode_receipt
from polyroute.stores.postgres.store import PostgresStore
from polyroute.testing.stores import a_settlement


def _migrate(folder: Path, *arguments: str) -> tuple[int, dict[str, object]]:
    ran = CliRunner().invoke(build("migrate"), ["migrate", "-c", str(folder / "polyroute.yaml"), "--json", *arguments])
    return ran.exit_code, json.loads(ran.stdout)


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_the_verb_leads_both_ways_and_checks(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    address = "sqlite:///books.db" if kind == "sqlite" else request.getfixturevalue("database")
    (tmp_path / "polyroute.yaml").write_text(
        f'store: {{database: "{address}"}}\nproviders: {{sim: {{dialect: simulated}}}}\nmodels: {{m: sim/m}}\n'
    )
    status, told = _migrate(tmp_path, "--check")
    assert (status, told["version"]) == (1, 0)
    newest = told["newest"]
    assert _migrate(tmp_path) == (0, {"ok": True, "before": 0, "version": newest, "newest": newest})
    assert _migrate(tmp_path, "--check")[0] == 0
    assert _migrate(tmp_path, "--to", "1") == (0, {"ok": True, "before": newest, "version": 1, "newest": newest})


def test_many_gateways_may_make_the_tables_at_once(database: str, tmp_path: Path) -> None:
    stores = [PostgresStore(database, tmp_path) for _ in range(8)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda store: store.migrate(), stores))
    assert stores[0].version() == stores[0].newest


async def test_on_the_way_back_receipts_and_ids_are_as_an_older_version_reads_them(
    database: str, postgres_server: Postgres, tmp_path: Path
) -> None:
    store = PostgresStore(database, tmp_path)
    ledger = store.open_ledger("process")
    settlement = a_settlement("r1")
    attempt = replace(settlement.receipt.attempts[0], id="r1.0")
    receipt = replace(settlement.receipt, attempts=(attempt,))
    await ledger.settle(replace(settlement, receipt=receipt))
    await ledger.aclose()
    store.migrate(4)
    name = database.partition("?")[0].rpartition("/")[2]
    assert (
        postgres_server.run("SELECT convert_from(body, 'UTF8') FROM receipts", name) == encode_receipt(receipt).decode()
    )
    assert postgres_server.run("SELECT id FROM attempts", name) == "r1.0"
    store.migrate()
    with store.open_books() as books:
        assert books.receipt("r1") == receipt
        assert books.verify() == []
