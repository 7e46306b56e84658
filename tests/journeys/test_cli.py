"""The command as people and scripts use it: in this process, and beside a server that runs."""

import csv
import io
import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from polyroute.cli.main import build

DOCUMENT = """
server: {auth: open}
store: {database: sqlite:///books.db}
providers:
  sim: {dialect: simulated, max_tries: 1}
models:
  small: {provider: sim, price: {input: 0.15, output: 0.60}, quality: 1.0, context_tokens: 1000, tags: [fast]}
  large: {provider: sim, price: {input: 2.50, output: 10.00}, quality: 1.0, capabilities: [vision]}
  broken: {provider: sim, price: {input: 5.00, output: 20.00}, fail: server_error}
routes:
  auto:
    strategy: {use: complexity, simple: small, moderate: large, complex: large}
    baseline: large
  shaky: {primary: broken, fallback: [small]}
  hopeless: {primary: broken}
"""
SIMPLE = "Is this email spam?"
COMPLEX = "Analyze the trade-offs of this"


@pytest.fixture
def document(tmp_path: Path) -> Path:
    path = tmp_path / "polyroute.yaml"
    path.write_text(DOCUMENT)
    return path


def run(document: Path, *words: str, stdin: str | None = None) -> Any:
    verb, *rest = words
    return CliRunner().invoke(build(verb), [verb, *rest, "-c", str(document)], input=stdin)


def told(document: Path, *words: str, stdin: str | None = None) -> Any:
    """What a verb says for machines."""
    done = run(document, *words, "--json", stdin=stdin)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


# ── the document ──────────────────────────────────────────────────────────────────────────────────────


def test_init_writes_a_document_that_checks_and_will_not_write_over_one(tmp_path: Path) -> None:
    path = tmp_path / "new.yaml"
    assert run(path, "init").exit_code == 0
    assert run(path, "check").exit_code == 0
    again = run(path, "init")
    assert (again.exit_code, "--force" in again.stderr) == (1, True)
    assert run(path, "init", "--force").exit_code == 0


def test_a_fallback_that_cannot_stand_in_is_a_problem_of_the_document(tmp_path: Path) -> None:
    path = tmp_path / "gap.yaml"
    model = "{provider: sim, price: free, capabilities: [%s]}"
    path.write_text(
        "server: {auth: open}\nproviders: {sim: {dialect: simulated}}\n"
        f"models: {{one: {model % 'tools, vision'}, two: {model % 'tools'}}}\n"
        "routes:\n  r:\n    primary: one\n    fallback: [two]\n"
    )
    done = run(path, "check", "--json")
    (problem,) = json.loads(done.stdout)["problems"]
    assert (done.exit_code, problem["line"], problem["column"]) == (1, 7, 16)
    assert "accepts: {two: [vision]}" in problem["fix"]
    path.write_text(f"{path.read_text()}    accepts: {{two: [vision]}}\n")
    assert run(path, "check").exit_code == 0


def test_check_tells_all_problems_at_once_with_their_places(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("server: {auth: open, prot: 1}\nproviders: {sim: {dialect: simulatd}}\nroutes: {a: {primary: b}}\n")
    done = run(path, "check", "--json")
    found = json.loads(done.stdout)
    assert (done.exit_code, found["ok"]) == (1, False)
    assert {problem["line"] for problem in found["problems"]} >= {1, 2, 3}
    assert run(path, "check").exit_code == 1


@pytest.mark.parametrize(
    "verb", ["check", "serve", "ask", "route", "explain", "models", "graph", "savings", "ledger verify"]
)
def test_without_a_document_the_message_says_how_to_get_one(tmp_path: Path, verb: str) -> None:
    words = [*verb.split(), "hello"] if verb in {"ask", "route"} else verb.split()
    done = run(tmp_path / "none.yaml", *words)
    assert (done.exit_code, "polyroute init" in done.stderr, "Traceback" in done.output) == (1, True, False)


def test_schema_and_version_need_no_document(tmp_path: Path) -> None:
    assert "routes" in told(tmp_path / "none.yaml", "schema")["$defs"]["Document"]["properties"]
    assert told(tmp_path / "none.yaml", "version")["polyroute"]


def test_graph_draws_the_live_document(document: Path) -> None:
    done = run(document, "graph")
    assert done.stdout.startswith("flowchart TD\n")
    assert "small<br/>$0.15 in, $0.6 out per 1M tokens" in done.stdout
    assert '["route shaky"]' in told(document, "graph", "shaky")["mermaid"]
    assert '["route auto"]' not in told(document, "graph", "shaky")["mermaid"]
    assert run(document, "graph", "nowhere").exit_code == 1


# ── one prompt ────────────────────────────────────────────────────────────────────────────────────────


def test_ask_prints_the_answer_and_says_on_stderr_who_gave_it_at_what_cost(document: Path) -> None:
    done = run(document, "ask", SIMPLE)
    assert (done.exit_code, done.stdout) == (0, "This is a simulated answer of small. No model was called.\n")
    assert "small at sim" in done.stderr
    assert "cost $0.0000" in done.stderr
    assert "saved $" in done.stderr
    assert "against large" in done.stderr


@pytest.mark.parametrize("words", [["ask", "shaky", "hi"], ["ask", "-m", "shaky"], ["ask", "shaky", "hi", "--stream"]])
def test_ask_takes_a_model_and_a_prompt_or_a_piped_one_and_names_a_fallback(document: Path, words: list[str]) -> None:
    done = run(document, *words, stdin="hi\n")
    assert (done.exit_code, "simulated answer of small" in done.stdout) == (0, True)
    assert "fallback: broken@sim: Overloaded 500" in done.stderr


def test_ask_for_machines_is_one_object(document: Path) -> None:
    answer = told(document, "ask", COMPLEX)
    assert (answer["model"], answer["provider"], answer["route"], answer["attempts"]) == ("large", "sim", "auto", 1)
    assert answer["cost_usd"] > 0
    assert answer["baseline"] == "large"


def test_what_cannot_be_answered_is_one_message_and_exit_1(document: Path) -> None:
    for words in (["ask", "nobody", "hi"], ["ask", "hopeless", "hi"], ["ask", "hopeless", "hi", "--stream"]):
        done = run(document, *words)
        assert (done.exit_code, done.stdout, "Traceback" in done.output) == (1, "", False)
        assert done.stderr.startswith("polyroute: ")
    assert run(document, "ask", "nobody", "hi", "--debug").exception is not None


def test_route_tells_the_decision_and_calls_nobody(document: Path) -> None:
    found = told(document, "route", COMPLEX)
    assert (found["complexity"], found["model"], found["plan"][0]) == ("complex", "large", "large@sim")
    assert {note["model"] for note in found["candidates"]} == {"small", "large"}
    text = run(document, "route", COMPLEX).stdout
    assert "phrase: analyze" in text
    assert "plan: large@sim → small@sim" in text
    assert run(document, "savings").exit_code == 0
    assert told(document, "savings")["requests"] == 0


def test_route_gives_each_exclusion_its_reason(document: Path) -> None:
    found = told(document, "route", "word " * 1500)
    assert [item["model"] for item in found["exclusions"]] == ["small"]
    assert "context" in found["exclusions"][0]["reason"]


def test_a_batch_of_decisions_has_a_line_for_each_row(document: Path, tmp_path: Path) -> None:
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
    rows = [
        {"id": "a", "prompt": SIMPLE},
        {"id": 2, "messages": [{"role": "user", "content": COMPLEX}], "tools": [tool]},
        {"prompt": "hi"},
    ]
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text("\n".join(map(json.dumps, rows)) + "\n\n")
    done = run(document, "route", "--route", "auto", "--batch", str(source), "--out", str(target))
    assert (done.exit_code, done.stdout) == (0, "")
    decisions = [json.loads(line) for line in target.read_text().splitlines()]
    assert [(row["id"], row["abstained"]) for row in decisions] == [("a", False), (2, False), (3, False)]
    assert decisions[0]["model"] == "small"
    assert decisions[0]["scores"] == {"small": 1.0, "large": 1.0}
    assert decisions[0]["cost_usd"].keys() == {"small", "large"}


@pytest.mark.parametrize(
    "row", ["{", '{"id": 1}', '{"prompt": 3}', '{"messages": [{"role": "nobody", "content": "x"}]}']
)
def test_a_batch_row_that_cannot_be_used_is_named_and_nothing_is_written(
    document: Path, tmp_path: Path, row: str
) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text('{"prompt": "fine"}\n' + row + "\n")
    done = run(document, "route", "--batch", str(source), "--out", str(target))
    assert (done.exit_code, f"{source}:2: " in done.stderr, target.exists()) == (1, True, False)


# ── the books ─────────────────────────────────────────────────────────────────────────────────────────


def test_explain_shows_six_stages_that_add_up_and_why_the_primary_did_not_answer(document: Path) -> None:
    request_id = told(document, "ask", "shaky", "hi")["request_id"]
    text = run(document, "explain", request_id).stdout
    stages = ("classification", "matching", "selection", "execution", "validation", "assembly")
    assert all(f"\n{number} {stage}" in text for number, stage in enumerate(stages, start=1))
    assert "the primary did not: broken@sim: Overloaded 500; the fallback took" in text
    assert "small at sim answered" in text
    receipt = told(document, "explain", request_id)
    assert sum(receipt["times"].values()) == pytest.approx(receipt["total_ms"], abs=0.01)
    assert [attempt["status"] for attempt in receipt["attempts"]] == ["failed", "succeeded"]


def test_explain_without_an_id_is_about_the_latest_request(document: Path) -> None:
    assert "no ledger" in run(document, "explain").stderr
    told(document, "ask", SIMPLE)
    latest = told(document, "ask", COMPLEX)["request_id"]
    assert told(document, "explain")["request_id"] == latest
    unknown = run(document, "explain", "req_0")
    assert (unknown.exit_code, "req_0" in unknown.stderr) == (1, True)


def test_savings_have_a_baseline_a_mix_and_cost_latency_and_quality_side_by_side(document: Path) -> None:
    for prompt in (SIMPLE, SIMPLE, COMPLEX):
        told(document, "ask", prompt)
    found = told(document, "savings")
    assert (found["requests"], [group["baseline"] for group in found["baselines"]]) == (3, ["large"])
    assert found["saved_usd"] > 0
    assert {part["name"]: part["requests"] for part in found["tiers"]} == {"simple": 2, "complex": 1}
    assert {part["name"]: part["requests"] for part in found["mix"]} == {"small": 2, "large": 1}
    for line in (*found["routes"], *found["models"]):
        assert line.keys() >= {"name", "calls", "errors", "cost_usd", "saved_usd", "p50_ms", "p95_ms", "quality"}
    text = run(document, "savings", "--since", "1h").stdout
    assert "at the baseline large" in text
    assert "unknown" in text
    assert told(document, "savings", "--since", "2999-01-01")["requests"] == 0
    assert "-3.3 points" in run(document, "savings", "--target", "70/20/10").stdout
    assert run(document, "savings", "--target", "70/30").exit_code == 2


def test_savings_blend_a_mix_of_the_documents_models(document: Path) -> None:
    found = told(document, "savings", "--mix", "80/20", "--models", "small,large")
    assert (found["input_usd"], found["baseline"], found["saved_input_share"]) == (0.62, "large", 0.752)
    assert run(document, "savings", "--mix", "80/20", "--models", "small,nobody").exit_code == 1


def test_models_show_price_facts_and_what_was_observed(document: Path) -> None:
    told(document, "ask", SIMPLE)
    small = next(model for model in told(document, "models") if model["model"] == "small")
    assert (small["price"]["rates"]["input"], small["tags"], small["observed"]["calls"]) == (0.15, ["fast"], 1)
    text = run(document, "models").stdout
    assert "0.15" in text
    assert "unknown" in text


def test_books_that_balance_verify_and_books_that_do_not_exit_1_with_every_finding(
    document: Path, tmp_path: Path
) -> None:
    ids = [told(document, "ask", SIMPLE)["request_id"] for _ in range(2)]
    assert told(document, "ledger", "verify") == {"ok": True, "requests": 2, "findings": []}
    with sqlite3.connect(tmp_path / "books.db") as connection:
        connection.execute("UPDATE requests SET cost_nanos = cost_nanos + 1")
    connection.close()
    done = run(document, "ledger", "verify", "--json")
    findings = json.loads(done.stdout)["findings"]
    assert (done.exit_code, {finding["request_id"] for finding in findings}) == (1, set(ids))
    assert all(request_id in run(document, "ledger", "verify").stderr for request_id in ids)


def test_the_ledger_is_exported_as_json_lines_and_as_focus_csv(document: Path, tmp_path: Path) -> None:
    told(document, "ask", "shaky", "hi")
    (line,) = run(document, "ledger", "export", "--json").stdout.splitlines()
    row = json.loads(line)
    assert row.keys() >= {
        *("request_id", "client_request_id", "time", "tenant", "team", "user", "route", "model", "cost_usd", "state"),
        "attempts",
    }
    assert len(row["attempts"]) == 2
    table = list(csv.DictReader(io.StringIO(run(document, "ledger", "export", "--focus").stdout)))
    assert {cell["BillingCurrency"] for cell in table} == {"USD"}
    target = tmp_path / "out.csv"
    assert run(document, "ledger", "export", "--focus", "--out", str(target)).exit_code == 0
    assert target.read_text().startswith("BilledCost,")
    assert run(document, "ledger", "export", "--until", "2000-01-01").stdout == ""


def test_recover_finds_nothing_where_every_process_ended_well(document: Path) -> None:
    assert run(document, "ledger", "recover").exit_code == 1
    told(document, "ask", SIMPLE)
    assert told(document, "ledger", "recover")["requests"] == 0


def test_doctor_says_what_is_wrong_and_what_is_well(document: Path, tmp_path: Path) -> None:
    told(document, "ask", SIMPLE)
    found = told(document, "doctor")
    assert found["ok"]
    assert {finding["check"] for finding in found["findings"]} >= {"python", "document", "store", "prices", "port"}
    document.write_text(
        DOCUMENT.replace("price: {input: 5.00, output: 20.00}, ", "") + "limits: {per_user_daily_usd: 5}\n"
    )
    done = run(document, "doctor")
    assert (done.exit_code, "no price is known of broken" in done.stdout) == (1, True)
    document.write_text(DOCUMENT + "providers2: 1\nkeys: [{name: a, key: {env: UNSET_IN_TESTS}}]\n")
    done = run(document, "doctor")
    assert (done.exit_code, "UNSET_IN_TESTS" in done.stdout) == (1, True)


# ── beside a running server ───────────────────────────────────────────────────────────────────────────


@pytest.fixture
def server(document: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "polyroute", "serve", "-c", str(document), "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["address"]
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 0


def test_verbs_work_through_a_server_and_beside_it(document: Path, server: str) -> None:
    whole = told(document, "ask", "shaky", "hi", "--url", server)
    assert (whole["model"], whole["attempts"], whole["output"][:9]) == ("small", 2, "This is a")
    streamed = run(document, "ask", "shaky", "hi", "--stream", "--url", f"{server}/v1")
    assert (streamed.exit_code, "simulated answer of small" in streamed.stdout) == (0, True)
    assert "cost $" in streamed.stderr
    remote, local = told(document, "route", COMPLEX, "--url", server), told(document, "route", COMPLEX)
    assert {**remote, "candidates": []} == {**local, "candidates": []}
    assert told(document, "explain", whole["request_id"])["model"] == "small"
    assert told(document, "ledger", "verify")["requests"] == 2
    unknown = run(document, "ask", "nobody", "hi", "--url", server)
    assert (unknown.exit_code, "404" in unknown.stderr) == (1, True)


def test_where_no_server_is_the_message_names_the_address(document: Path) -> None:
    done = run(document, "ask", "hi", "--url", "http://127.0.0.1:1")
    assert (done.exit_code, "http://127.0.0.1:1" in done.stderr, "Traceback" in done.output) == (1, True, False)


def test_a_taken_port_is_one_message(document: Path, server: str) -> None:
    port = server.rpartition(":")[2]
    done = run(document, "serve", "--port", port)
    assert (done.exit_code, f"127.0.0.1:{port}" in done.stderr, "--port 0" in done.stderr) == (1, True, True)
