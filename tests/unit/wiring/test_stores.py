import sys
from pathlib import Path

import pytest

from polyroute.config.document import Document, Store
from polyroute.errors import StoreError
from polyroute.wiring.stores import open_store


def document(database: str) -> Document:
    return Document(store=Store(database=database))


def test_a_file_is_found_beside_the_document(tmp_path: Path) -> None:
    store = open_store(document("sqlite:///books.db"), tmp_path)
    assert (str(store), store.is_remote, store.version()) == (str(tmp_path / "books.db"), False, 0)


def test_journals_of_a_server_lie_beside_the_document_one_folder_per_database(tmp_path: Path) -> None:
    one, other = [open_store(document(f"postgresql://ann:pw@db:5433/{name}"), tmp_path) for name in ("a", "b")]
    assert one.is_remote
    assert one.beside.parent == other.beside.parent == tmp_path
    assert one.beside != other.beside
    assert "pw" not in f"{one} {one.beside}"


def test_a_driver_that_is_not_installed_is_named_with_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith(("psycopg", "polyroute.stores.postgres"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StoreError, match=r"polyroute\[postgres\]"):
        open_store(document("postgresql://db/books"), tmp_path)
