"""The books beside a provider's export, at other prices, and as files, through the command line."""

import csv
import io
import json
from decimal import Decimal
from pathlib import Path

import pytest
from pyarrow import parquet
from tests.journeys.rig import ENV, ask, gateway
from tests.journeys.upstream import Upstream, chat
from typer.testing import CliRunner

from polyroute.cli.main import build
from polyroute.stores.export import FOCUS_COLUMNS

DOCUMENT = """
store: {{database: "sqlite:///books.db"}}
providers: {{oai: {{dialect: openai, base_url: "{url}/v1", api_key: {{env: PROVIDER_KEY}}}}}}
models: {{gpt: {{provider: oai, model: gpt-4o-mini, price: {{input: 2.50, output: 10.00}}}}}}
keys:
  - {{name: ci, key: {{env: CI_KEY}}, team: platform, user: ci}}
"""
CALLS = 4


@pytest.fixture
async def books(provider: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four calls of 1,000 input and 100 output tokens at $2.50 and $10 per million."""
    text = DOCUMENT.format(url=provider.url)
    (tmp_path / "polyroute.yaml").write_text(text)
    provider.script = lambda heard: chat("ok", usage=(1000, 100), model="gpt-4o-mini-2024-07-18")
    async with gateway(text, tmp_path) as door:
        for _ in range(CALLS):
            assert (await door.post("/v1/chat/completions", ask())).status == 200
    for name, value in ENV.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(build("ledger"), ["ledger", *words])
    return result.exit_code, result.stdout + result.stderr


def today(books: Path) -> str:
    line = json.loads(run("export", "--json")[1].splitlines()[0])
    return str(line["time"])[:10]


async def test_an_export_that_agrees_is_no_alarm_and_one_that_does_not_is(books: Path) -> None:
    day, export = today(books), books / "export.csv"
    head = "day,model,requests,input_tokens,output_tokens,cost_usd\n"
    export.write_text(f"{head}{day},gpt-4o-mini-2024-07-18,4,4000,400,0.014\n")
    code, told = run("reconcile", "--provider-export", str(export), "--tolerance-usd", "0", "--json")
    assert (code, json.loads(told)["ok"]) == (0, True), told
    export.write_text(f"{head}{day},gpt-4o-mini,4,4000,800,0.018\n")
    code, told = run("reconcile", "--provider-export", str(export), "--tolerance-usd", "0.001", "--json")
    found = json.loads(told)
    assert (code, found["ok"], found["lines"][0]["drifts"]) == (1, False, ["output_tokens", "cost_usd"])
    assert Decimal(str(found["drift_usd"])) == Decimal("0.004")
    code, told = run("reconcile", "--provider-export", str(export), "--tolerance-usd", "0.001")
    assert (code, "1 of 1 drift apart; the provider says $0.004 beyond the books" in told) == (1, True)
    code, told = run("reconcile", "--provider-export", str(books / "none.csv"))
    assert (code, "Traceback" in told) == (1, False)


async def test_past_use_at_other_prices_leaves_the_books_alone(books: Path) -> None:
    before = run("export", "--json")[1]
    prices = books / "prices.yaml"
    prices.write_text("gpt: {input: 5, output: 20}\n")
    code, told = run("reprice", "--prices", str(prices), "--json")
    found = json.loads(told)
    assert code == 0
    assert [Decimal(str(found[name])) for name in ("booked_usd", "repriced_usd")] == [
        Decimal("0.014"),
        Decimal("0.028"),
    ]
    assert found["lines"][0]["kept"] == 0
    code, told = run("reprice", "--prices", "catalogue")
    assert (code, "at these prices $" in told) == (0, True)
    prices.write_text("gpt: {input: dear}\n")
    code, told = run("reprice", "--prices", str(prices))
    assert (code, "gpt.input" in told) == (1, True)
    assert run("export", "--json")[1] == before


async def test_focus_has_its_columns_and_adds_up(books: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(run("export", "--focus")[1])))
    assert len(rows) == CALLS
    assert tuple(rows[0]) == FOCUS_COLUMNS
    assert sum(Decimal(row["BilledCost"]) for row in rows) == Decimal("0.014")
    assert all(row["BillingPeriodStart"] <= row["ChargePeriodStart"] < row["BillingPeriodEnd"] for row in rows)
    assert json.loads(rows[0]["Tags"])["team"] == "platform"


async def test_parquet_holds_every_call_in_exact_money(books: Path) -> None:
    assert run("export", "--parquet", "books.parquet") == (0, "")
    table = parquet.read_table(books / "books.parquet")
    assert table.num_rows == CALLS
    assert sum(table.column("cost_usd").to_pylist()) == Decimal("0.014")
    assert set(table.column("answered_model").to_pylist()) == {"gpt-4o-mini-2024-07-18"}
    assert run("export", "--tenant", "nobody", "--json") == (0, "")
    assert run("export", "--focus", "--json")[0] == 2


async def test_without_its_extra_parquet_is_one_clear_error(books: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> object:
        raise ModuleNotFoundError("No module named 'pyarrow'")

    monkeypatch.setattr("polyroute.cli.ledger.resolve_name", missing)
    code, told = run("export", "--parquet", "books.parquet")
    assert code == 1
    assert "pip install 'polyroute[parquet]'" in told
