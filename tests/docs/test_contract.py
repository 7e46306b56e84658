"""The import contract bites: each kind of forbidden import, added to a copy of the package, breaks it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def check(copy: Path) -> str:
    """What the contract says of the package under `copy`."""
    environment = {**os.environ, "PYTHONPATH": str(copy / "src"), "NO_COLOR": "1"}
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    return subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, timeout=120).stdout


@pytest.mark.parametrize(
    ("file", "line", "broken"),
    [
        pytest.param("types/money.py", "import polyroute.ports", "floors below", id="a floor above"),
        pytest.param(
            "stages/matching/__init__.py", "import polyroute.stages.selection", "sibling stage", id="a sibling stage"
        ),
        pytest.param("errors.py", "import socket", "no network", id="the network among the words"),
        pytest.param("misc.py", "", "floors below", id="a module on no floor"),
    ],
)
def test_a_forbidden_import_breaks_the_contract(file: str, line: str, broken: str, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__", "data", "*.pyc"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / "src" / "polyroute" / file).open("a") as module:
        module.write(f"{line}\n")
    verdicts = [verdict for verdict in check(tmp_path).splitlines() if " BROKEN" in verdict]
    assert any(broken in verdict for verdict in verdicts), verdicts
