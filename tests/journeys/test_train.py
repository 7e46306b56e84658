"""From labelled rows to a route that a trained router decides, by the command alone."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.unit.learning.rig import rows
from typer.testing import CliRunner

from polyroute.cli.main import build

DOCUMENT = """
server: {auth: open}
providers:
  sim: {dialect: simulated}
models:
  weak: {provider: sim, price: {input: 0.1, output: 0.4}}
  strong: {provider: sim, price: {input: 3, output: 15}}
  unpriced: {provider: sim}
routes:
  auto: {strategy: {use: learned, models: [weak, strong], artifact: router.json, quality_loss: 0.05}}
  rules: {strategy: {use: rules, rules: [{when: {contains: [theorem]}, model: strong}], default: weak}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "polyroute.yaml").write_text(DOCUMENT)
    return tmp_path


def put(folder: Path, name: str, number: int = 400, *, signal: bool = True, seed: int = 1) -> Path:
    file = folder / name
    file.write_bytes(b"\n".join(map(msgspec.json.encode, rows(number, signal=signal, seed=seed))))
    return file


def run(folder: Path, verb: str, *words: str) -> Any:
    return CliRunner().invoke(build(verb), [verb, *words, "-c", str(folder / "polyroute.yaml")])


def train(folder: Path, file: Path, *words: str, models: str = "weak,strong") -> Any:
    return run(folder, "train", "--rows", str(file), "--models", models, "--out", str(folder / "router.json"), *words)


def decide(folder: Path, file: Path) -> list[dict[str, Any]]:
    done = run(folder, "route", "--route", "auto", "--batch", str(file), "--out", str(folder / "decided.jsonl"))
    assert done.exit_code == 0, done.output
    return [json.loads(line) for line in (folder / "decided.jsonl").read_bytes().splitlines()]


def test_a_trained_router_sends_hard_prompts_to_the_strong_model(folder: Path) -> None:
    made = train(folder, put(folder, "rows.jsonl"), "--json")
    assert made.exit_code == 0, made.output
    report = json.loads(made.stdout)["report"]
    assert report["scores"]["learned"]["apgr"]["low"] > report["scores"]["length"]["apgr"]["value"]
    card = json.loads((folder / "router.json").read_bytes())
    assert (card["rows"], card["metrics"]["warm"]) == (400, False)
    assert card["metrics"]["decision_ms"]["p95"] > 0

    fresh = put(folder, "fresh.jsonl", 200, seed=2)
    decided = decide(folder, fresh)
    hard = [
        any(word in row.text for word in ("theorem", "proof", "integral", "derivative")) for row in rows(200, seed=2)
    ]
    known = [(row, is_hard) for row, is_hard in zip(decided, hard, strict=True) if not row["abstained"]]
    assert sum(row["model"] == "strong" for row, is_hard in known if is_hard) > 0.8 * sum(hard for _, hard in known)
    assert any(row["model"] == "weak" for row, is_hard in known if not is_hard)
    assert all(set(row["scores"]) == {"weak", "strong"} == set(row["cost_usd"]) for row in decided)


def test_a_prompt_unlike_the_rows_goes_to_the_best_and_the_router_says_that_it_abstains(folder: Path) -> None:
    assert train(folder, put(folder, "rows.jsonl")).exit_code == 0
    foreign = folder / "foreign.jsonl"
    foreign.write_text('{"id": "x", "prompt": "1 + 1 = ?\\nA) 2\\nB) 11"}')
    (told,) = decide(folder, foreign)
    assert (told["model"], told["abstained"]) == ("strong", True)


def test_rows_without_a_signal_make_no_file_unless_forced(folder: Path) -> None:
    file = put(folder, "noise.jsonl", 300, signal=False, seed=5)
    refused = train(folder, file)
    assert refused.exit_code == 1
    assert "no file was written" in refused.output
    assert not (folder / "router.json").exists()
    assert train(folder, file, "--force").exit_code == 0
    assert json.loads((folder / "router.json").read_bytes())["forced"] is True


@pytest.mark.parametrize(
    ("models", "number", "said"),
    [
        pytest.param("weak", 200, "fewer than two models", id="one model"),
        pytest.param("weak,unknown", 200, "models.unknown: has no known price", id="a model nobody knows"),
        pytest.param("weak,unpriced", 200, "models.unpriced: has no known price", id="a model without a price"),
        pytest.param("weak,strong", 40, "under 100", id="too few rows"),
    ],
)
def test_what_cannot_be_learned_from_is_refused_with_what_to_do(
    models: str, number: int, said: str, folder: Path
) -> None:
    done = train(folder, put(folder, "rows.jsonl", number), models=models)
    assert done.exit_code == 1
    assert said in done.output


def test_a_document_that_names_no_router_file_yet_is_refused_by_check_and_serve_and_not_by_train(folder: Path) -> None:
    for verb in (("check",), ("route", "hi")):
        done = run(folder, *verb)
        assert done.exit_code == 1
        assert "router.json cannot be read" in done.output
    assert train(folder, put(folder, "rows.jsonl")).exit_code == 0
    assert run(folder, "check").exit_code == 0


def test_a_router_of_other_models_is_refused(folder: Path) -> None:
    assert train(folder, put(folder, "rows.jsonl")).exit_code == 0
    text = (folder / "polyroute.yaml").read_text().replace("models: [weak, strong]", "models: [weak, unpriced]")
    (folder / "polyroute.yaml").write_text(text)
    done = run(folder, "check")
    assert done.exit_code == 1
    assert "knows nothing of unpriced" in done.output


def test_a_router_that_knows_hard_from_easy_is_proven_to_pay_and_the_verdict_is_the_exit_code(folder: Path) -> None:
    assert train(folder, put(folder, "rows.jsonl", 800)).exit_code == 0
    fresh = put(folder, "fresh.jsonl", 1200, seed=2)
    words = ("prove", "--rows", str(fresh), "--route", "auto", "--quality-loss", "0.12", "--json")
    done = run(folder, *words)
    told = json.loads(done.stdout)["proof"]
    assert (told["verdict"], done.exit_code) == ("pass", 0), told["why"]
    assert told["best"] == "strong"
    assert told["saving"]["low"] > 0
    few = put(folder, "few.jsonl", 50, seed=3)
    done = run(folder, "prove", "--rows", str(few), "--route", "auto", "--json")
    assert (json.loads(done.stdout)["proof"]["verdict"], done.exit_code) == ("not enough data", 1)


def test_a_route_of_one_model_has_nothing_to_prove(folder: Path) -> None:
    text = (folder / "polyroute.yaml").read_text()
    (folder / "polyroute.yaml").write_text(text[: text.index("routes:")] + "routes: {auto: {primary: weak}}\n")
    done = run(folder, "prove", "--rows", str(put(folder, "rows.jsonl")), "--effort-usd", "100")
    assert done.exit_code == 1
    assert "nothing to prove" in done.output


def test_rules_and_a_trained_router_are_compared_on_the_same_rows(folder: Path) -> None:
    assert train(folder, put(folder, "rows.jsonl", 800)).exit_code == 0
    fresh = put(folder, "fresh.jsonl", 600, seed=2)
    done = run(folder, "prove", "--rows", str(fresh), "--route", "auto", "--against", "rules", "--json")
    told = json.loads(done.stdout)
    assert told["against"] == "rules"
    assert told["comparison"]["quality"]["low"] > 0
    assert told["comparison"]["verdict"] in {"better", "a trade"}
