"""docs/http.md explains every header the server sends or reads, and tells its bounds as the code has them."""

import re
from pathlib import Path

from polyroute.server import protocol, strict_json

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "http.md").read_text()
SOURCES = [path.read_text() for path in (ROOT / "src" / "polyroute" / "server").glob("*.py")]


def test_every_header_of_ours_is_explained() -> None:
    named = {name for source in SOURCES for name in re.findall(r"\bx-polyroute-[a-z0-9-]+[a-z0-9]", source)}
    assert len(named) > 10
    assert sorted(name for name in named if f"`{name}`" not in PAGE) == []


def test_the_bounds_are_those_of_the_code() -> None:
    told = " ".join(PAGE.split())
    assert f"within {protocol.HEAD_S:g} seconds and {protocol.MAX_HEAD_BYTES // 1024} KiB" in told
    assert f"at least every {protocol.BODY_S:g} seconds" in told
    assert f"may be {strict_json.MAX_DEPTH} levels deep" in told
    assert f"closed after {protocol.IDLE_S:g} seconds" in told
