"""The verb `ledger prune`: what is past its retention deleted now, or counted. Also beside a running gateway."""

import asyncio
import os
from contextlib import closing
from datetime import UTC, datetime
from typing import Annotated

import typer

from polyroute.cli.shell import ConfigOption, DebugOption, JsonOption, document_path, fail, print_json, say, told
from polyroute.config.document import Retention
from polyroute.config.load import read
from polyroute.state.reviews import Reviews
from polyroute.stores.store import Store
from polyroute.wiring.retention import Tell, expire, goings, reviews_before
from polyroute.wiring.stores import open_records, open_store

_PROGRESS = 10_000  # rows between two lines that tell how far it has come


def prune(
    config: ConfigOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Delete nothing; say how many would go.")] = False,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Delete what is past `store.retention`, from the oldest on. A running gateway does so every hour."""
    with told(debug=debug):
        loaded = read(document_path(config), os.environ)
        store, retention = open_store(loaded.document, loaded.folder), loaded.document.store.retention
        if not store.version():
            fail(f"there is no ledger at {store}; start the gateway once, or name another in store.database")
        store.migrate()
        now = datetime.now(UTC)
        counts = _count(store, retention, now) if dry_run else asyncio.run(_prune(store, retention, now, _Progress()))
        if not counts:
            fail("another process is deleting now; its round ends by itself")
    if as_json:
        print_json({"dry_run": dry_run, "removed": counts})
    else:
        told_counts = ", ".join(f"{count} {what}" for what, count in counts.items())
        say(f"past their time: {told_counts}" if dry_run else f"deleted: {told_counts}")


def _count(store: Store, retention: Retention, now: datetime) -> dict[str, int]:
    with store.open_books() as books, closing(open_records(store)) as records:
        counts: dict[str, int] = {going.kind: books.past(going) for going in goings(retention, now)}
        counts["reviews"] = len(Reviews(records, lambda: now).over_before(reviews_before(retention, now)))
    return counts


async def _prune(store: Store, retention: Retention, now: datetime, tell: Tell) -> dict[str, int]:
    with closing(open_records(store)) as records:
        ledger = store.open_ledger("process")
        try:
            return await expire(retention, ledger, Reviews(records, lambda: now), now, anew=True, tell=tell)
        finally:
            await ledger.aclose()


class _Progress:
    """A line on stderr, now and then."""

    def __init__(self) -> None:
        self._told: dict[str, int] = {}

    def __call__(self, what: str, removed: int) -> None:
        if removed - self._told.get(what, 0) >= _PROGRESS:
            self._told[what] = removed
            typer.echo(f"deleted {removed} {what}", err=True)
