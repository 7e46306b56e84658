"""Python in the documents compiles, and runs where it says that it does (a block that opens with ```python run)."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
BLOCK = re.compile(r"^```python(?P<run> run)?\n(?P<code>.*?)^```", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    place: str
    code: str
    runs: bool


def blocks() -> list[Block]:
    found = []
    for page in PAGES:
        text = page.read_text()
        for match in BLOCK.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            found.append(Block(f"{page.relative_to(ROOT)}:{line}", match["code"], runs=match["run"] is not None))
    return found


@pytest.mark.parametrize("block", blocks(), ids=lambda block: block.place)
def test_every_block_compiles(block: Block) -> None:
    compile(block.code, block.place, "exec")


def test_every_block_marked_as_runnable_runs(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    failed: dict[str, str] = {}
    for block in blocks():
        if block.runs:
            command = [sys.executable, "-c", block.code]
            done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
            failed |= {block.place: done.stderr} if done.returncode else {}
    assert failed == {}
