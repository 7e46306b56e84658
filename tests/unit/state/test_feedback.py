from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from polyroute.errors import Forbidden
from polyroute.state.feedback import FeedbackBook, FeedbackOrder
from polyroute.stores.records.sqlite import SqliteRecords
from polyroute.testing.stores import a_settlement
from polyroute.types.access import Caller
from polyroute.types.receipt import Receipt

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ANN = Caller(user="ann", team="red", tenant="acme", key_id="k1")
ROOT = Caller(user="root", role="admin")


@pytest.fixture
def notes(tmp_path: Path) -> Iterator[SqliteRecords]:
    with SqliteRecords(tmp_path / "books.db") as opened:
        yield opened


def a_receipt(name: str = "req_1") -> Receipt:
    return replace(a_settlement(name).receipt, caller=ANN)


def order(score: float, comment: str | None = None) -> FeedbackOrder:
    return FeedbackOrder(receipt="req_1", score=score, comment=comment)


def book(notes: SqliteRecords, now: datetime = NOON) -> FeedbackBook:
    return FeedbackBook(notes, lambda: now, 3600.0)


def test_of_one_caller_on_one_receipt_the_last_word_counts(notes: SqliteRecords) -> None:
    feedback = book(notes)
    feedback.give(ANN, a_receipt(), order(0.1, "meh"))
    feedback.give(ROOT, a_receipt(), order(0.5))
    feedback.give(ANN, a_receipt(), order(0.9))
    assert [(said.user, said.score, said.comment) for said in feedback.of("req_1")] == [
        ("root", 0.5, None),
        ("ann", 0.9, None),
    ]
    feedback.give(ANN, a_receipt("req_0"), order(1))
    assert [(name, len(said)) for name, said in feedback.every()] == [("req_0", 1), ("req_1", 2)]
    assert feedback.of("req_2") == ()


def test_feedback_goes_when_its_time_is_over(notes: SqliteRecords) -> None:
    book(notes).give(ANN, a_receipt(), order(0.1))
    later = book(notes, NOON + timedelta(hours=1))
    assert later.of("req_1") == ()
    assert dict(later.every()) == {}
    later.give(ANN, a_receipt(), order(0.2))
    assert [said.score for said in later.of("req_1")] == [0.2]


def test_nobody_speaks_on_an_answer_out_of_reach(notes: SqliteRecords) -> None:
    for stranger in (replace(ANN, user="bob"), replace(ANN, tenant="other"), Caller(role="viewer")):
        with pytest.raises(Forbidden):
            book(notes).give(stranger, a_receipt(), order(0.1))
    assert book(notes).of("req_1") == ()


def test_a_receipt_kept_for_ever_keeps_its_feedback(notes: SqliteRecords) -> None:
    feedback = FeedbackBook(notes, lambda: NOON, 1e12)
    feedback.give(ANN, a_receipt(), order(0.1))
    assert len(feedback.of("req_1")) == 1
