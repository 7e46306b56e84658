"""On the real store: what is managed is what the file holds."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from polyroute.errors import InvalidRequest, StoreError, UnknownObject
from polyroute.prompts.registry import LOOK_S, Registry
from polyroute.prompts.shelf import Actor, Shelf
from polyroute.stores.records.sqlite import SqliteRecords
from polyroute.types.prompts import Prompt, Variant, Wordings

ANN = Actor(name="ann", role="admin", now=datetime(2026, 3, 1, tzinfo=UTC))


def words(text: str) -> Wordings:
    return Wordings(variants={"default": Variant(system=text)})


@pytest.fixture
def records(tmp_path: Path) -> Iterator[SqliteRecords]:
    with SqliteRecords(tmp_path / "books.db") as opened:
        yield opened


def test_versions_are_numbered_and_never_change(records: SqliteRecords) -> None:
    shelf = Shelf(records)
    assert [shelf.add("p", words(text), (), ANN) for text in ("one", "two", "three")] == [1, 2, 3]
    kept = shelf.find("p")
    assert kept is not None
    assert [v.wordings.variants["default"].system for v in kept.versions.values()] == ["one", "two", "three"]
    assert {(v.by, v.at) for v in kept.versions.values()} == {("ann", ANN.now)}


def test_a_rollback_moves_a_label_and_both_moves_are_kept(records: SqliteRecords) -> None:
    shelf = Shelf(records)
    shelf.add("p", words("one"), ["live"], ANN)
    shelf.add("p", words("two"), ["live"], ANN)
    kept = shelf.point("p", "live", 1, ANN)
    assert kept.labels == {"live": 1}
    assert [(m.before, m.version) for m in kept.moves] == [(None, 1), (1, 2), (2, 1)]
    assert [entry.act.action for entry in records.entries()] == ["prompts:add", "prompts:add", "prompts:label"]
    assert shelf.unpoint("p", "live", ANN).labels == {}


def test_what_cannot_be_is_refused_and_leaves_nothing(records: SqliteRecords) -> None:
    shelf = Shelf(records)
    with pytest.raises(InvalidRequest):
        shelf.add("a b", words("x"), (), ANN)
    with pytest.raises(InvalidRequest):
        shelf.add("p", words("{{x}}"), (), ANN)
    with pytest.raises(InvalidRequest):
        shelf.add("p", words("x"), ["3"], ANN)
    with pytest.raises(UnknownObject):
        shelf.point("p", "live", 1, ANN)
    shelf.add("p", words("x"), (), ANN)
    with pytest.raises(InvalidRequest, match="no version 2"):
        shelf.point("p", "live", 2, ANN)
    with pytest.raises(UnknownObject, match="no label"):
        shelf.unpoint("p", "live", ANN)
    assert [entry.act.action for entry in records.entries()] == ["prompts:add"]


def test_another_processs_change_is_noticed_after_a_second(records: SqliteRecords, tmp_path: Path) -> None:
    now_s = [0.0]
    registry = Registry({}, records, lambda: now_s[0])
    with SqliteRecords(tmp_path / "books.db") as other:
        Shelf(other).add("p", words("one"), (), ANN)
        assert registry.find("p").id == "p@1"
        Shelf(other).add("p", words("two"), (), ANN)
        assert registry.find("p").id == "p@1"
        now_s[0] += LOOK_S
        assert registry.find("p").id == "p@2"
        Shelf(other).add("p", words("three"), (), ANN)
        registry.refresh()
        assert registry.find("p").id == "p@3"


def test_the_documents_prompt_hides_a_managed_one(records: SqliteRecords) -> None:
    Shelf(records).add("p", words("managed"), (), ANN)
    registry = Registry({"p": Prompt(versions={"7": words("declared")})}, records, lambda: 0.0)
    assert registry.find("p").id == "p@7"


def test_a_store_that_fails_leaves_what_was_known(records: SqliteRecords, monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = [0.0]
    Shelf(records).add("p", words("one"), (), ANN)
    registry = Registry({}, records, lambda: now_s[0])
    registry.find("p")

    def broken() -> int:
        raise StoreError("the disk is gone")

    monkeypatch.setattr(records, "generation", broken)
    now_s[0] += 10
    assert registry.find("p").id == "p@1"
    with pytest.raises(LookupError, match="there is no prompt `q`"):
        registry.find("q")
