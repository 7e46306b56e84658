"""Every example runs as it stands."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from polyroute.catalog.cards import Catalogue
from polyroute.config.load import read
from polyroute.config.resolve import deployments

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
DATA = ROOT.parent / "shared" / "data" / "routing"


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    """A copy, so that their books are made there."""
    return Path(shutil.copytree(EXAMPLES, tmp_path / "examples", ignore=shutil.ignore_patterns("*.db*")))


def run(*words: str) -> str:
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_quickstart_prints_the_articles_savings_and_the_ones_against_the_model_it_names(examples: Path) -> None:
    told = run(str(examples / "quickstart.py"))
    assert re.findall(r"savings vs premium at \$15\.00/M: (\S+)", told) == ["99%", "83%", "0%"]
    assert re.findall(r"savings vs gpt-4o at \$2\.50/M: (\S+)", told) == ["94%", "0%", "0%"]
    assert re.findall(r"→ (\S+) \((\w+)\)", told)[::2] == [
        ("gpt-4o-mini", "simple"),
        ("gpt-4o", "moderate"),
        ("premium", "complex"),
    ]
    assert "Baselines: `premium`" in told


def test_the_quickstarts_baselines_are_priced_as_it_says() -> None:
    found = deployments(read(EXAMPLES / "quickstart.yaml", {}).document, Catalogue())
    assert {d.model: str(d.card.prices[0].rates.input) for d in found} == {
        "gpt-4o-mini": "0.15",
        "gpt-4o": "2.50",
        "premium": "15.00",
    }


def test_the_app_names_no_model_and_another_document_moves_it_to_other_models(examples: Path) -> None:
    source = (examples / "app.py").read_text()
    documents = sorted(examples.glob("*.yaml"))
    models = {name for document in documents for name in read(document, {}).document.models}
    catalogued = {"gpt", "claude", "gemini", "llama", "mistral", "qwen"}
    assert [name for name in models | catalogued if re.search(rf"\b{re.escape(name)}\b", source)] == []

    assert run(str(examples / "app.py")).splitlines() == [
        "This is a simulated answer of small. No model was called.",
        "This is a simulated answer of large. No model was called.",
    ]
    other = examples / "other.yaml"
    swapped = (examples / "app.yaml").read_text().replace("small", "tiny").replace("large", "huge")
    other.write_text(
        swapped.replace("use: complexity, simple: tiny, moderate: huge, complex: huge", "use: fixed, models: [tiny]")
    )
    assert (
        run(str(examples / "app.py"), str(other)).splitlines()
        == ["This is a simulated answer of tiny. No model was called."] * 2
    )


def test_the_articles_document_is_printed_verbatim_and_checks(examples: Path) -> None:
    text = (examples / "article.yaml").read_text()
    assert text.endswith(
        """routes:
  summarize:
    primary: cheap-fast-model
    fallback: general-model
    max_input_tokens: 12000
  legal_review:
    primary: strongest-reasoning-model
    require_human_review: true
limits:
  per_user_per_minute: 20
  per_team_daily_usd: 500
"""
    )
    document = str(examples / "article.yaml")
    run("-m", "polyroute", "check", "-c", document)
    assert "simulated" in run("-m", "polyroute", "ask", "summarize", "some text", "-c", document)


def test_awss_sdk_is_answered_whole_and_streamed(examples: Path) -> None:
    whole, counted, streamed = run(str(examples / "bedrock_sdk.py")).splitlines()
    assert whole == streamed == "This is a simulated answer of small. No model was called."
    assert counted.endswith("model: small")


def test_anthropics_sdk_is_answered_whole_and_streamed(examples: Path) -> None:
    whole, streamed, last = run(str(examples / "anthropic_sdk.py")).splitlines()
    assert (whole, streamed) == ("Say hello", "Say goodbye")
    assert last.endswith("stop: end_turn")


def test_openais_sdk_holds_a_conversation_at_the_responses_door(examples: Path) -> None:
    whole, streamed, last = run(str(examples / "responses_sdk.py")).splitlines()
    assert (whole, streamed) == ("Say hello", "Say goodbye")
    assert last.endswith("status: completed")


def test_googles_sdk_is_answered_whole_and_streamed(examples: Path) -> None:
    whole, counted, streamed = run(str(examples / "gemini_sdk.py")).splitlines()
    assert whole == streamed == "This is a simulated answer of small. No model was called."
    assert counted.endswith("model: small")


def test_the_nearest_document_is_found_by_vectors_and_by_reranking(examples: Path) -> None:
    by_vectors, cost, reranked = run(str(examples / "embeddings.py")).splitlines()
    assert by_vectors.endswith("To reset your password open the settings and press reset")
    assert reranked.endswith("To reset your password open the settings and press reset")
    assert re.fullmatch(r"cost: 0\.00000\d+ USD", cost)


def test_every_document_among_the_examples_checks(examples: Path) -> None:
    for document in examples.glob("*.yaml"):
        run("-m", "polyroute", "check", "-c", str(document))


def test_recorded_traffic_measures_accuracy_and_cost_from_the_ledger(examples: Path) -> None:
    if not DATA.is_dir():
        assert "skipped" in run(str(examples / "recorded_traffic.py"))
        return
    trials = json.loads(
        run(str(examples / "recorded_traffic.py"), "--limit", "12", "--json", "--data", os.fspath(DATA))
    )
    for trial in trials:
        by_name = {policy["policy"]: policy for policy in trial["policies"]}
        assert {policy["n"] for policy in trial["policies"]} == {12}
        assert by_name["always-weak"]["cost_usd"] < by_name["always-strong"]["cost_usd"]
        assert by_name["always-strong"]["saved_usd"] == 0
        assert all(policy["low"] <= policy["accuracy"] <= policy["high"] for policy in trial["policies"])


def test_recorded_traffic_says_plainly_where_its_data_is_missing(examples: Path, tmp_path: Path) -> None:
    told = run(str(examples / "recorded_traffic.py"), "--data", str(tmp_path))
    assert told.startswith("skipped: ")
    assert "gsm8k.jsonl.gz" in told
