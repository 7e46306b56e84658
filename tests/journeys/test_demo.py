"""`polyroute demo`, with a few prompts: a real gateway, real HTTP, figures from its ledger."""

import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


def demo(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "polyroute",
        "demo",
        "--folder",
        str(folder),
        "--port",
        "0",
        "--limit",
        "10",
        *words,
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def verified(folder: Path) -> Any:
    command = [sys.executable, "-m", "polyroute", "ledger", "verify", "--json", "-c", str(folder / "polyroute.yaml")]
    return json.loads(subprocess.run(command, capture_output=True, text=True, timeout=60).stdout)


@pytest.mark.parametrize("client", ["builtin", "openai"])
def test_the_demo_shows_three_policies_from_books_that_balance(tmp_path: Path, client: str) -> None:
    done = demo(tmp_path, "--once", "--json", "--client", client)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["simulated"], told["prompts"]) == (True, 10)
    strong, cheap, routed = told["policies"]
    assert [policy["name"] for policy in (strong, cheap, routed)] == ["always-strong", "always-cheap", "routed"]
    assert {policy["requests"] for policy in told["policies"]} == {10}
    assert {policy["baseline"] for policy in told["policies"]} == {"demo-strong"}
    assert cheap["usd_per_million_requests"] < routed["usd_per_million_requests"] < strong["usd_per_million_requests"]
    assert (strong["saved_usd"], routed["saved_usd"] > 0) == (0, True)
    assert all(0 < policy["p50_ms"] <= policy["p95_ms"] for policy in told["policies"])
    assert all(policy["quality"]["of"] == 10 for policy in told["policies"])
    assert verified(tmp_path) == {"ok": True, "requests": 30, "findings": []}


def test_every_screen_says_that_the_models_are_simulated_and_a_second_run_starts_afresh(tmp_path: Path) -> None:
    assert demo(tmp_path, "--once").returncode == 0
    done = demo(tmp_path, "--once")
    assert done.returncode == 0, done.stderr
    assert "SIMULATED" in done.stderr
    assert "Simulated" in done.stdout
    assert "Baseline: demo-strong" in done.stdout
    assert "30 of 30" in done.stderr  # progress as plain lines in a pipe
    assert "\x1b" not in done.stdout + done.stderr
    assert verified(tmp_path)["requests"] == 30
    assert "SIMULATED" in (tmp_path / "polyroute.yaml").read_text()


def test_a_taken_port_is_told_before_anything_is_thrown_away(tmp_path: Path) -> None:
    (tmp_path / "polyroute.db").write_text("mine")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = demo(tmp_path, "--once", "--port", str(taken.getsockname()[1]))
    assert (done.returncode, "--port 0" in done.stderr, "Traceback" in done.stderr) == (1, True, False)
    assert (tmp_path / "polyroute.db").read_text() == "mine"
