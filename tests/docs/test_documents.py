"""Every `polyroute.yaml` shown in the documentation loads and passes the check."""

import re
from pathlib import Path

import pytest

from polyroute.config.check import check
from polyroute.config.load import read

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
BLOCK = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)
SHOWN = [
    pytest.param(block, id=f"{page.relative_to(ROOT)}-{number}")
    for page in PAGES
    for number, block in enumerate(BLOCK.findall(page.read_text()))
]


@pytest.mark.parametrize("text", SHOWN)
def test_a_document_that_is_shown_is_accepted(text: str, tmp_path: Path) -> None:
    file = tmp_path / "polyroute.yaml"
    file.write_text(text)
    environment = {name: f"the value of {name}" for name in re.findall(r"env: (\w+)", text)}
    assert check(read(file, environment).document) == ()
