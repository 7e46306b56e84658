"""The short form; `./dev soak simulation` is the long one. In processes of their own, which end without closing."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

SEED = int(os.environ.get("POLYROUTE_SIMULATION_SEED", str(random.SystemRandom().randrange(1 << 30))))


def simulation(*options: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.simulation", "--jobs", "1", "--json", *options]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2], timeout=600)
    assert ran.stdout, ran.stderr
    told: dict[str, Any] = json.loads(ran.stdout)
    assert ran.returncode == 0, ran.stderr
    return told


def test_nothing_is_lost_doubled_or_overspent_in_any_history() -> None:
    told = simulation("--seed", str(SEED), "--count", "100")
    assert told["histories"] == 100
    assert told["broken"] == []


def test_seeded_bugs_are_found() -> None:
    told = simulation("--mutants", "--count", "150")
    assert told["bugs"] >= 30
    assert told["missed"] == []
