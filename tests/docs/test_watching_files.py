"""The files for those who watch: every metric and label in them is one that the gateway offers."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import re2
import yaml

from polyroute.telemetry.figures import Buckets
from polyroute.telemetry.metrics import Metrics

DEPLOY = Path(__file__).parents[2] / "deploy"
BOARD, RULES = DEPLOY / "grafana" / "polyroute.json", DEPLOY / "prometheus" / "alerts.yaml"


def offered() -> dict[str, set[str]]:
    """Every name as Prometheus sees it, with its labels."""
    found: dict[str, set[str]] = {}
    for figure in Metrics().figures():
        labels = set(figure.labels)
        if isinstance(figure, Buckets):
            found[f"{figure.name}_bucket"] = labels | {"le"}
            found[f"{figure.name}_sum"] = found[f"{figure.name}_count"] = labels
        else:
            found[figure.name if figure.is_gauge else f"{figure.name}_total"] = labels
    return found


def expressions(file: Path) -> Iterator[str]:
    if file == BOARD:
        board = json.loads(file.read_text())
        yield from (target["expr"] for panel in board["panels"] for target in panel["targets"])
        yield from (entry["query"] for entry in board["templating"]["list"] if entry["type"] == "query")
    else:
        for group in yaml.safe_load(file.read_text())["groups"]:
            yield from (rule["expr"] for rule in group["rules"])


@pytest.mark.parametrize("file", [BOARD, RULES], ids=["board", "rules"])
def test_every_metric_in_it_exists_with_the_labels_it_is_asked_for(file: Path) -> None:
    known = offered()
    for expression in expressions(file):
        names = set(re2.findall(r"\b(polyroute_\w+|up)\b", expression))
        assert names
        assert names <= {*known, "up"}, expression
        labels = {"job", *(label for name in names for label in known.get(name, ()))}
        grouped = re2.findall(r"(?:by|on) \(([^)]*)\)", expression)
        asked = {label.strip() for group in grouped for label in group.split(",")}
        asked |= set(re2.findall(r"(\w+)=~?\"", expression))
        assert asked <= labels, expression


def test_the_board_shows_every_figure() -> None:
    shown = " ".join(expressions(BOARD))
    assert [figure.name for figure in Metrics().figures() if figure.name not in shown] == []


def test_the_boards_panels_do_not_overlap() -> None:
    places = [panel["gridPos"] for panel in json.loads(BOARD.read_text())["panels"]]
    cells = [(p["x"] + dx, p["y"] + dy) for p in places for dx in range(p["w"]) for dy in range(p["h"])]
    assert len(cells) == len(set(cells))


def test_every_rule_says_for_people_what_is_wrong() -> None:
    rules = [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
    assert all(rule["annotations"]["summary"] and rule["labels"]["severity"] for rule in rules)
