"""Models side by side: on one prompt, and on a file of them whose output is its own checkpoint."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.journeys.rig import KEY, gateway
from typer.testing import CliRunner

from polyroute.cli.client import Client
from polyroute.cli.comparing import Comparison, compare_all
from polyroute.cli.main import build
from polyroute.cli.putting import ThroughServer
from polyroute.errors import PolyrouteError
from polyroute.learning.rows import read_rows
from polyroute.providers.transport import open_transport

DOCUMENT = """
server: {auth: keys}
store: {database: "sqlite:///books.db"}
providers: {sim: {dialect: simulated}}
models:
  small: {provider: sim, answer: "it is three", price: {input: 1, output: 2}}
  large: {provider: sim, answer: "it is four", price: {input: 5, output: 10}}
  broken: {provider: sim, error_rate: 1.0, price: {input: 1, output: 1}}
  unpriced: {provider: sim}
  critic: {provider: sim, answer: '{"score": 8, "reason": "good"}', price: {input: 1, output: 1}}
keys: [{name: ci, key: {env: CI_KEY}, user: ci}]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CI_KEY", KEY)
    (tmp_path / "polyroute.yaml").write_text(DOCUMENT)
    rows = [{"id": f"r{n}", "prompt": f"What is 2 + {n}?"} for n in range(4)]
    (tmp_path / "prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def run(folder: Path, *words: str) -> Any:
    return CliRunner().invoke(build("compare"), ["compare", *words, "-c", str(folder / "polyroute.yaml")])


def batch(folder: Path, *words: str, models: str = "small,large") -> Any:
    files = ("--batch", str(folder / "prompts.jsonl"), "--out", str(folder / "rows.jsonl"))
    return run(folder, "--models", models, *files, "--json", *words)


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "rows.jsonl").read_bytes().splitlines()]


def test_one_prompt_gets_each_models_answer_with_cost_latency_and_a_score(folder: Path) -> None:
    done = run(folder, "What is 2 + 2?", "--models", "small,large,broken", "--judge", "critic", "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    small, large, broken = told["answers"]
    assert (small["text"], large["text"]) == ("it is three", "it is four")
    assert (small["score"], large["score"], broken["score"]) == (0.8, 0.8, None)
    assert large["cost_usd"] > small["cost_usd"] > 0
    assert large["latency_ms"] >= 0
    assert broken["error"]
    assert told["judge_usd"] > 0
    shown = run(folder, "What is 2 + 2?", "--models", "small,large").stdout
    assert "── large\nit is four" in shown
    assert "67%" in shown  # two of three words in common


def test_a_batch_makes_labelled_rows_that_train_reads(folder: Path) -> None:
    done = batch(folder, "--judge", "critic")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["done"] == 4
    rows = read_rows(folder / "rows.jsonl", ("small", "large"))
    assert [row.id for row in rows] == ["r0", "r1", "r2", "r3"]
    assert rows[0].responses == {"small": "it is three", "large": "it is four"}
    assert rows[0].scores == {"small": 0.8, "large": 0.8}
    assert rows[0].output_tokens["small"] > 0


def test_a_run_that_was_killed_goes_on_after_its_last_whole_line(folder: Path) -> None:
    assert batch(folder).exit_code == 0
    whole = (folder / "rows.jsonl").read_bytes()
    first, second, third, _ = whole.splitlines(keepends=True)
    (folder / "rows.jsonl").write_bytes(first + second + third[: len(third) // 2])
    told = json.loads(batch(folder).stdout)
    assert (told["done"], told["left"]) == (4, 0)
    assert [row["id"] for row in lines(folder)] == ["r0", "r1", "r2", "r3"]
    assert (folder / "rows.jsonl").read_bytes().startswith(first + second)
    again = (folder / "rows.jsonl").read_bytes()
    assert json.loads(batch(folder).stdout)["done"] == 4
    assert (folder / "rows.jsonl").read_bytes() == again


def test_the_cap_holds_over_all_runs_and_is_never_passed(folder: Path) -> None:
    told = json.loads(batch(folder, "--max-tokens", "20").stdout)
    spent = Decimal(str(told["cost_usd"]))
    (folder / "rows.jsonl").unlink()
    cap = spent * 3 / 4
    for _ in range(2):
        done = batch(folder, "--max-tokens", "20", "--max-usd", str(cap))
        told = json.loads(done.stdout)
        assert done.exit_code == 1
        assert "raise `--max-usd`" in told["stopped"]
        assert told["left"] > 0
        assert Decimal(str(told["cost_usd"])) <= cap
    done = batch(folder, "--max-tokens", "20", "--max-usd", "1")
    assert (done.exit_code, json.loads(done.stdout)["done"]) == (0, 4)
    unpriced = batch(folder, "--max-usd", "1", models="small,unpriced")
    assert unpriced.exit_code == 0  # everything is done already
    (folder / "rows.jsonl").unlink()
    unpriced = batch(folder, "--max-usd", "1", models="small,unpriced")
    assert unpriced.exit_code == 1
    assert "`unpriced` is not known" in unpriced.output


def test_an_answer_whose_cost_is_not_known_counts_at_its_worst_in_later_runs_too(folder: Path) -> None:
    first = json.loads(batch(folder, "--max-tokens", "20", "--max-usd", "0.5", models="small,broken").stdout)
    rows = lines(folder)
    assert all((row["cost_usd"]["broken"] is None) == ("reserved_usd" in row) for row in rows)
    again = json.loads(batch(folder, "--max-tokens", "20", "--max-usd", "0.5", models="small,broken").stdout)
    assert again["cost_usd"] == first["cost_usd"]


def test_a_model_that_fails_is_told_in_its_row_and_has_no_score(folder: Path) -> None:
    assert batch(folder, "--judge", "critic", models="small,broken").exit_code == 0
    row = lines(folder)[0]
    assert set(row["errors"]) == {"broken"}
    assert set(row["scores"]) == set(row["responses"]) == {"small"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param('{"id": 1}', "prompts.jsonl:1", id="no prompt"),
        pytest.param(
            '{"id": 1, "prompt": "a"}\n{"id": 1, "prompt": "b"}', "prompts.jsonl:2: id 1 occurs twice", id="twice"
        ),
        pytest.param("{", "prompts.jsonl:1", id="no JSON"),
        pytest.param("", "has no prompts", id="empty"),
        pytest.param('{"messages": [{"role": "king", "content": "x"}]}', "prompts.jsonl:1", id="a role nobody has"),
    ],
)
def test_a_file_that_cannot_be_read_calls_nobody(folder: Path, text: str, said: str) -> None:
    (folder / "prompts.jsonl").write_text(text)
    done = batch(folder)
    assert done.exit_code == 1
    assert said in done.output
    assert not (folder / "rows.jsonl").exists()


def test_another_file_is_never_overwritten(folder: Path) -> None:
    (folder / "rows.jsonl").write_text("my notes\n")
    done = batch(folder)
    assert done.exit_code == 1
    assert "is no line of `compare`" in done.output
    assert (folder / "rows.jsonl").read_text() == "my notes\n"


@pytest.mark.parametrize(
    "words",
    [
        ("hi", "--models", "small"),
        ("hi",),
        ("--models", "small,large", "--out", "x"),
        ("hi", "--models", "small,large", "--max-usd", "1"),
        ("hi", "--split", "trial"),
    ],
)
def test_wrong_usage_is_exit_2(folder: Path, words: tuple[str, ...]) -> None:
    assert run(folder, *words).exit_code == 2


def test_a_model_nobody_knows_ends_it(folder: Path) -> None:
    done = run(folder, "hi", "--models", "small,smal")
    assert done.exit_code == 1
    assert "did you mean" in done.output


async def test_through_a_server_it_is_the_same(folder: Path) -> None:
    async with gateway(DOCUMENT, folder) as door:
        transport = open_transport()
        try:
            comparison = Comparison(
                ThroughServer(Client(door.url, KEY, transport)), ("small", "broken"), judge="critic", max_tokens=20
            )
            told = await compare_all(comparison, folder / "prompts.jsonl", folder / "rows.jsonl", Decimal(1))
            stranger = Comparison(ThroughServer(Client(door.url, "wrong", transport)), ("small", "large"))
            with pytest.raises(PolyrouteError, match="401"):
                await stranger.of([{"role": "user", "content": "hi"}])
        finally:
            await transport.aclose()
    assert (told.done, told.left) == (4, 0)
    assert lines(folder)[0]["scores"] == {"small": 0.8}
    assert "502" in lines(folder)[0]["errors"]["broken"]
    assert told.cost_usd > 0
