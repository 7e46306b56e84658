"""A changed document takes the place of the one in force, while requests go on.

It is read, checked and built whole before it counts; a document with a mistake changes nothing and is told in the log.
A request keeps the document it began under. What cannot change under way is the server's address and the store.
"""

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from pathlib import Path

from msgspec.structs import replace

from polyroute.config.check import check_start
from polyroute.config.load import Loaded, read
from polyroute.errors import ConfigError, StoreError
from polyroute.server.app import App
from polyroute.wiring import access
from polyroute.wiring.build import Built, assemble
from polyroute.wiring.upkeep import restore_budgets

LOOK_S = 1.0

_log = logging.getLogger("polyroute.reload")


async def follow(app: App, loaded: Loaded, env: Mapping[str, str], built: Built, asked: asyncio.Event) -> None:
    """Puts each new version of the document in force, and keys that anybody managed, until cancelled.

    `asked` demands a look at the document at once.
    """
    while True:
        stamps = _stamps(loaded)
        while not asked.is_set() and _stamps(loaded) == stamps:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asked.wait(), LOOK_S)
            await app.services.refresh()
        asked.clear()
        loaded = await take(app, loaded, env, built)


async def take(app: App, loaded: Loaded, env: Mapping[str, str], built: Built) -> Loaded:
    """The document now in force: the file's new version, or `loaded` still, with what is wrong in the log."""
    try:
        fresh = await asyncio.to_thread(_read, loaded, env)
        after = assemble(fresh, env, built.foundation)
        built.foundation.accounts.allow(access.allowances(fresh.document, built.foundation.managed))
        await restore_budgets(built.foundation)
    except (ConfigError, StoreError) as exc:
        _log.error("the document was not taken: %s", exc)
        return loaded
    app.services = after.services
    _log.warning("the document was taken: policy %s", after.snapshot.digest)
    return fresh


def _read(before: Loaded, env: Mapping[str, str]) -> Loaded:
    """The document anew, its server and store as they run. Raises ConfigError."""
    fresh = read(before.file, env)
    document = replace(fresh.document, server=before.document.server, store=before.document.store)
    if problems := check_start(document, env):
        raise ConfigError(fresh.placed(problems))
    return replace(fresh, document=document)


def _stamps(loaded: Loaded) -> dict[str, tuple[int, int] | None]:
    """When each of the document's files was last written, and its size; None where it is gone."""
    return {file: _stamp(Path(file)) for file in loaded.texts}


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size
