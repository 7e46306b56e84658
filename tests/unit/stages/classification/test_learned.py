"""Classifiers learned from labelled texts."""

from pathlib import Path

import numpy as np
import orjson
import pytest

from polyroute.stages.classification.artifact import load, save
from polyroute.stages.classification.grams import BUCKETS, FORM, form, grams
from polyroute.stages.classification.learned import Learned, Lesson, learn
from polyroute.stages.classification.softmax import fit, probabilities, with_constant

REFUND = (
    "I want my money back",
    "refund my order please",
    "give me a refund",
    "return the payment to my card",
    "money back now",
)
CANCEL = ("cancel my subscription", "stop the service", "end my contract today", "close my account", "I cancel my plan")
BACKGROUND = (
    "how deep is the ocean",
    "why do cats purr",
    "write a poem about rain",
    "who won the cup",
    "what is a black hole",
)


def lesson(**changed: object) -> Lesson:
    texts = REFUND + CANCEL
    labels = ("refund",) * len(REFUND) + ("cancel",) * len(CANCEL)
    fields = {"texts": texts, "labels": labels, "background": BACKGROUND, **changed}
    return Lesson(**fields)  # type: ignore[arg-type]  # of many kinds


@pytest.fixture(scope="module")
def learned() -> Learned:
    return learn(lesson())


def test_a_text_near_an_example_gets_its_class(learned: Learned) -> None:
    found = learned.classed(["please refund the order", "cancel the subscription"], None)
    assert [label for label, _ in found] == ["refund", "cancel"]
    assert all(0 < score < 1 for _, score in found)


def test_a_text_far_from_every_class_has_none(learned: Learned) -> None:
    assert learned.classed(["why is the sky blue over Norway"], None)[0][0] is None


def test_who_may_not_reject_always_names_a_class() -> None:
    assert learn(lesson(rejects=False)).classed(["why is the sky blue"], None)[0][0] in {"refund", "cancel"}


def test_the_same_lesson_gives_the_same_file(tmp_path: Path) -> None:
    first, second = (save(learn(lesson()), {}, tmp_path / name) for name in ("one.json", "two.json"))
    assert first == second
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()


@pytest.mark.parametrize("uses_form", [False, True])
def test_what_is_read_back_says_the_same(tmp_path: Path, uses_form: bool) -> None:
    before = learn(lesson(uses_form=uses_form))
    save(before, {"rows": 10}, tmp_path / "it.json")
    after, told = load(tmp_path / "it.json")
    texts = ["refund", "cancel it", "what is a metaphor", ""]
    assert after.classed(texts, None) == before.classed(texts, None)
    assert told["told"] == {"rows": 10}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(b"", "no classifier", id="empty"),
        pytest.param(b"{", "no classifier", id="cut short"),
        pytest.param(b"[]", "is no polyroute-classifier", id="something else"),
        pytest.param(b'{"format": "other"}', "is no polyroute-classifier", id="another format"),
        pytest.param(b'{"format": "polyroute-classifier@2"}', "no classifier", id="without a hash"),
        pytest.param(b"\x80\x04K\x01.", "no classifier", id="a pickle"),
    ],
)
def test_a_file_that_is_no_classifier_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "it.json").write_bytes(content)
    with pytest.raises(ValueError, match=reason):
        load(tmp_path / "it.json")


def test_a_changed_file_is_refused(tmp_path: Path, learned: Learned) -> None:
    save(learned, {}, tmp_path / "it.json")
    content = orjson.loads((tmp_path / "it.json").read_bytes())
    (tmp_path / "it.json").write_bytes(orjson.dumps({**content, "floor": 0.0}))
    with pytest.raises(ValueError, match="not what its hash says"):
        load(tmp_path / "it.json")


def test_rows_of_no_class_are_rejected_when_they_come_again() -> None:
    outside = tuple(f"tell me about the refund policy of country number {n} in history class" for n in range(25))
    found = learn(lesson(outside=outside)).classed(list(outside), None)
    assert sum(label is None for label, _ in found) >= 20


def test_the_name_of_a_class_is_an_example_of_it() -> None:
    texts = ("xkcd qq", "zzyz", "wvu tt", "rstq")
    lesson = Lesson(texts=texts, labels=("card_arrival", "card_arrival", "exchange_rate", "exchange_rate"))
    assert learn(lesson).classed(["the arrival of a card", "the rate of exchange"], None)[0][0] == "card_arrival"
    assert learn(lesson).classed(["the rate of exchange"], None)[0][0] == "exchange_rate"


def test_a_class_of_one_example_can_be_learned() -> None:
    found = learn(lesson(texts=("refund me", "cancel it"), labels=("refund", "cancel"), background=()))
    assert found.classed(["refund me please"], None)[0][0] == "refund"


def test_vectors_are_looked_at_where_there_are_any() -> None:
    vectors = np.eye(10, 384, dtype="f4")
    vectors[:5, 0] = vectors[5:, 1] = 3
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    found = learn(lesson(vectors=vectors, name_vectors=np.zeros((2, 384), "f4"), background=()))
    assert found.classed(["xyz"], vectors[:1])[0][0] == "refund"
    assert found.classed(["xyz"], vectors[9:])[0][0] == "cancel"


def test_regression_finds_what_separates_the_rows() -> None:
    rows = np.random.default_rng(1).normal(size=(300, 4)).astype("f4")
    classes = 2 * (rows[:, 0] > 0).astype("i4") + (rows[:, 1] > 0)
    weights = fit(rows, classes, 4, penalty=0.01, steps=60)
    sure = probabilities(with_constant(rows) @ weights)
    assert (sure.argmax(1) == classes).mean() > 0.85
    assert np.allclose(sure.sum(1), 1, atol=1e-5)


@pytest.mark.parametrize("text", ["", " ", "a", "\ud800", "日本語のテキスト", "x" * 100_000, "'''"])
def test_every_text_has_grams_within_the_buckets_and_a_form(text: str) -> None:
    assert all(0 <= bucket < BUCKETS for bucket in grams(text))
    assert len(form(text)) == len(FORM)
    assert np.isfinite(form(text)).all()


def test_case_and_punctuation_do_not_count_in_spelling() -> None:
    assert grams("Where is MY order?!") == grams("where is my order")
