from pathlib import Path

import pytest

from polyroute.errors import StoreError
from polyroute.stores.postgres.connection import SCHEMA as POSTGRES
from polyroute.stores.schema import Schema
from polyroute.stores.sqlite.files import SCHEMA as SQLITE


@pytest.fixture
def schema(tmp_path: Path) -> Schema:
    for number in (1, 2):
        (tmp_path / f"000{number}_step.up.sql").write_text(f"up {number}")
        (tmp_path / f"000{number}_step.down.sql").write_text(f"down {number}")
    return Schema(tmp_path)


@pytest.mark.parametrize(
    ("version", "to", "steps"),
    [
        (0, None, [("up 1", 1), ("up 2", 2)]),
        (1, 2, [("up 2", 2)]),
        (2, 2, []),
        (2, 0, [("down 2", 1), ("down 1", 0)]),
    ],
)
def test_steps_lead_both_ways(schema: Schema, version: int, to: int | None, steps: list[tuple[str, int]]) -> None:
    assert [(step.script, step.version) for step in schema.steps(version, to, of="it")] == steps


@pytest.mark.parametrize(("version", "to", "says"), [(3, None, "newer Polyroute"), (1, 3, "no version 3")])
def test_where_no_step_leads(schema: Schema, version: int, to: int | None, says: str) -> None:
    with pytest.raises(StoreError, match=says):
        list(schema.steps(version, to, of="it"))


def test_both_databases_have_the_same_versions() -> None:
    assert POSTGRES.newest == SQLITE.newest
