from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest

from polyroute.errors import UnknownObject
from polyroute.state.documents import MOST_KEPT, DocumentHistory
from polyroute.stores.records.sqlite import SqliteRecords
from polyroute.types.access import Caller

ANN = Caller(user="ann", role="admin")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def records(tmp_path: Path) -> Iterator[SqliteRecords]:
    with SqliteRecords(tmp_path / "books.db") as opened:
        yield opened


@pytest.fixture
def history(records: SqliteRecords) -> DocumentHistory:
    seconds = count()
    return DocumentHistory(records, lambda: NOON + timedelta(seconds=next(seconds)))


def test_each_document_is_kept_once_by_its_policy(history: DocumentHistory, records: SqliteRecords) -> None:
    for policy in ("a", "b", "b", "a"):
        history.note(ANN, "config:put", policy, {"polyroute.yaml": f"# {policy}"})
    assert [kept.policy for kept in history.every()] == ["a", "b"]
    acts = [entry.act for entry in records.entries()]
    assert [(act.actor, act.id, act.detail["before"]) for act in acts] == [
        ("ann", "a", None), ("ann", "b", "a"), ("ann", "a", "b"),
    ]  # fmt: skip


def test_the_oldest_go_when_there_are_many(history: DocumentHistory) -> None:
    for number in range(MOST_KEPT + 3):
        history.note(ANN, "config:put", f"p{number}", {"polyroute.yaml": ""})
    assert len(history.every()) == MOST_KEPT
    assert history.find("p3").policy == "p3"
    with pytest.raises(UnknownObject):
        history.find("p2")
