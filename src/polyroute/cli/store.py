"""The books that a document names, read directly: also beside a running gateway."""

import os
from pathlib import Path

from polyroute.cli.shell import document_path
from polyroute.config.load import read
from polyroute.stores.sqlite.books import Books
from polyroute.wiring.build import database_path


def books_file(config: Path | None) -> Path:
    """Raises ConfigError."""
    loaded = read(document_path(config), os.environ)
    return database_path(loaded.document, loaded.folder)


def open_books(config: Path | None) -> Books:
    """Raises ConfigError, or StoreError where there are no books yet."""
    return Books(books_file(config))
