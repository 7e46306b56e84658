"""The books that a document names, read directly: also beside a running gateway."""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from polyroute.cli.shell import document_path
from polyroute.config.document import Retention
from polyroute.config.load import read
from polyroute.ports import Records
from polyroute.state.directory import Directory
from polyroute.state.feedback import FeedbackBook
from polyroute.stores.books import Books
from polyroute.stores.store import Store
from polyroute.types.receipt import Feedback
from polyroute.wiring import stores
from polyroute.wiring.access import key_digest
from polyroute.wiring.build import directory


def store_of(config: Path | None) -> Store:
    """Raises ConfigError, or StoreError where its driver is not installed."""
    loaded = read(document_path(config), os.environ)
    return stores.open_store(loaded.document, loaded.folder)


def retention_of(config: Path | None) -> Retention:
    return read(document_path(config), os.environ).document.store.retention


def open_books(config: Path | None) -> Books:
    """Raises ConfigError, or StoreError where there are no books yet."""
    return store_of(config).open_books()


@contextmanager
def open_records(config: Path | None) -> Iterator[Records]:
    """Raises ConfigError or StoreError."""
    with closing(stores.open_records(store_of(config))) as records:
        yield records


@contextmanager
def open_feedback(config: Path | None) -> Iterator[FeedbackBook]:
    """Raises ConfigError or StoreError."""
    with closing(stores.open_records(store_of(config))) as notes:
        yield FeedbackBook(notes, lambda: datetime.now(UTC), retention_of(config).receipts_s)


def feedback_of(config: Path | None, request_id: str) -> tuple[Feedback, ...]:
    """What was said of one receipt."""
    with open_feedback(config) as book:
        return book.of(request_id)


@contextmanager
def open_directory(config: Path | None) -> Iterator[Directory]:
    """Raises ConfigError or StoreError."""
    store = store_of(config)
    with closing(stores.open_records(store)) as records:
        yield directory(records, key_digest(store.beside, os.environ))
