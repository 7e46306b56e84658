"""docs/mission.md keeps its promises: every row once, and nothing works without proof."""

import ast
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
STATES = {"works", "partly", "this issue", "planned"}


class Row(NamedTuple):
    id: str
    what: str
    state: str
    test: str
    command: str


def rows() -> list[Row]:
    lines = (ROOT / "docs" / "mission.md").read_text().splitlines()
    return [Row(*(cell.strip() for cell in line.strip("|").split("|"))) for line in lines if line.startswith("| M")]


def names_in(tree: ast.Module) -> set[str]:
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    return {node.name for node in ast.walk(tree) if isinstance(node, kinds)}


def test_every_row_is_there_once_and_in_order() -> None:
    assert [row.id for row in rows()] == [f"M{number:03}" for number in range(1, 161)]


def test_every_row_says_what_it_is_and_how_it_stands() -> None:
    assert [row for row in rows() if not row.what or row.state not in STATES] == []


def unproven(row: Row) -> list[str]:
    """What is missing to believe that `row` works."""
    missing = [] if row.command else ["a command"]
    for reference in row.test.replace("`", "").split(","):
        file, *names = reference.strip().split("::")
        path = ROOT / file
        if not file or not path.is_file():
            missing.append(f"the file of {reference!r}")
        elif path.suffix == ".py" and not {name.partition("[")[0] for name in names} <= names_in(
            ast.parse(path.read_text())
        ):
            missing.append(f"the test {reference}")
    return missing


def test_a_row_that_works_names_a_test_that_exists_and_a_command() -> None:
    assert {row.id: unproven(row) for row in rows() if row.state in {"works", "partly"} and unproven(row)} == {}


def test_a_row_that_works_partly_says_what_is_missing() -> None:
    assert [row.id for row in rows() if (row.state == "partly") != ("missing:" in row.what)] == []


def test_a_row_without_proof_would_be_found() -> None:
    row = Row("M001", "something", "works", "`tests/docs/test_mission.py::test_that_nobody_wrote`", "")
    assert unproven(row) == ["a command", "the test tests/docs/test_mission.py::test_that_nobody_wrote"]
