"""A changed document takes the place of the one in force, while requests go on.

It comes by its file (looked at every second, or at SIGHUP) or by the admin API, which writes the file too. It is read,
checked and built whole before it counts; a document with a mistake changes nothing and is told. A request keeps the
document it began under. What cannot change under way is the server's address and the store.
"""

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from msgspec.structs import replace

from polyroute.config.check import check_start
from polyroute.config.load import Loaded, read, reads
from polyroute.config.masked import mask_problems, masked
from polyroute.config.reach import reach_problems
from polyroute.config.replacing import may_replace, replace_text
from polyroute.config.snapshot import Snapshot
from polyroute.errors import ConfigError, Conflict, StoreError, WorkerFailed
from polyroute.server.app import App
from polyroute.server.bus import CHANGED
from polyroute.server.desk import InForce
from polyroute.state.documents import DocumentHistory, KeptDocument
from polyroute.types.access import Caller
from polyroute.wiring import access
from polyroute.wiring.build import Built, assemble
from polyroute.wiring.checking import standing_problems
from polyroute.wiring.classifiers import learned
from polyroute.wiring.prompts import missing_prompts
from polyroute.wiring.upkeep import restore_budgets

LOOK_S = 1.0
Stamp = tuple[int, int] | None
FILE = Caller(user="file", key_id="file", role="admin")  # whoever can write the document's file

_log = logging.getLogger("polyroute.reload")


class Desk:
    """The document in force of one running gateway. One change at a time."""

    def __init__(self, app: App, loaded: Loaded, env: Mapping[str, str], built: Built) -> None:
        self.loaded = loaded
        self._app = app
        self._env = env
        self._built = built
        self._post = built.foundation.post
        self._stamps = _stamps(loaded)
        self._one_at_a_time = asyncio.Lock()
        self._policy = built.snapshot.digest
        self._since: datetime = built.services.utc_now()
        self._app.services = replace(built.services, config=self)
        self.history = DocumentHistory(built.foundation.records, built.services.utc_now)

    async def begin(self) -> None:
        await self._note(FILE, "config:start")

    def shown(self) -> InForce:
        return InForce(policy=self._policy, since=self._since, texts=masked(self.loaded))

    async def check(self, text: str) -> str:
        """Its policy. Raises ConfigError."""
        return Snapshot.of((await asyncio.to_thread(self._checked_from_afar, text)).document).digest

    async def put(self, actor: Caller, text: str, *, instead_of: str | None = None) -> str:
        """Its policy, in force. Raises ConfigError, or Conflict where it cannot be kept or is not what was expected."""
        await self.look()  # another worker may have put one in force
        async with self._one_at_a_time:
            self._expect(instead_of)
            fresh = await asyncio.to_thread(self._checked_from_afar, text)
            return await self._write(actor, "config:put", fresh, text)

    async def rollback(self, actor: Caller, policy: str) -> str:
        """As `put`, of a document that was in force. Raises UnknownObject."""
        async with self._one_at_a_time:
            kept = await asyncio.to_thread(self.history.find, policy)
            fresh = await asyncio.to_thread(self._checked, kept.text)
            expect_same(fresh, kept)
            return await self._write(actor, "config:rollback", fresh, kept.text)

    async def look(self, *, asked: bool = False) -> None:
        """Takes the file's new version, if there is one or somebody asked; what is wrong with it goes into the log."""
        async with self._one_at_a_time:
            if not asked and self._stamps == _stamps(self.loaded):
                return
            stamps = _stamps(self.loaded)
            try:
                fresh = await asyncio.to_thread(self._read)
                after = assemble(fresh, self._env, self._built.foundation)
                await self._force(FILE, "config:reload", fresh, after, stamps)
            except ConfigError as exc:
                self._stamps = stamps
                self._say(logging.ERROR, "the document was not taken: %s", exc)
            except (StoreError, WorkerFailed) as exc:  # the next look tries again
                _log.error("the document was not taken yet: %s", exc)

    def _expect(self, policy: str | None) -> None:
        if policy is not None and policy != self._policy:
            raise Conflict(f"the document in force is {self._policy}, not {policy[:40]}: read it again")

    def _checked_from_afar(self, text: str) -> Loaded:
        """Raises ConfigError, also where it would read more of this machine than the document in force."""
        fresh = self._checked(text)
        if problems := reach_problems(self.loaded, fresh):
            raise ConfigError(fresh.placed(problems))
        return fresh

    def _checked(self, text: str) -> Loaded:
        """Raises ConfigError."""
        before = self.loaded
        fresh = reads(text, self._env, folder=before.folder, file=before.file.name)
        fresh = self._as_it_runs(fresh)
        problems = (
            *mask_problems(fresh),
            *standing_problems(fresh, self._env),
            *missing_prompts(fresh.document, self._built.foundation.records),
        )
        if problems:
            raise ConfigError(fresh.placed(problems))
        return fresh

    async def _write(self, actor: Caller, action: str, fresh: Loaded, text: str) -> str:
        after, file = assemble(fresh, self._env, self._built.foundation), self.loaded.file
        if not may_replace(file):
            raise Conflict(f"this process may not write {file.name}: deploy the document as you deploy the gateway")
        try:
            await asyncio.to_thread(replace_text, file, text)
        except OSError as exc:
            raise Conflict(f"{file.name} cannot be written: {exc.strerror}") from exc
        policy = await self._force(actor, action, fresh, after, _stamps(fresh))
        if self._post is not None:
            self._post.bus.tell_others(CHANGED)
        return policy

    async def _force(self, actor: Caller, action: str, fresh: Loaded, after: Built, stamps: Mapping[str, Stamp]) -> str:
        """Raises StoreError or WorkerFailed, and then the document before stays in force."""
        foundation = self._built.foundation
        await learned(fresh.document, after.services.sorter.local)
        foundation.accounts.allow(access.allowances(fresh.document, foundation.managed))
        await restore_budgets(foundation)
        self._app.services = replace(after.services, config=self)
        self._policy, self._since = after.snapshot.digest, after.services.utc_now()
        # What was written while it was read is looked at again; a file that it includes anew is known from now on.
        self.loaded, self._stamps = fresh, {**_stamps(fresh), **{f: s for f, s in stamps.items() if f in fresh.texts}}
        self._say(logging.WARNING, "the document was taken: policy %s", self._policy)
        if self._post is not None:
            self._post.line.changed()
        await self._note(actor, action)
        return self._policy

    async def _note(self, actor: Caller, action: str) -> None:
        try:
            await asyncio.to_thread(self.history.note, actor, action, self._policy, masked(self.loaded))
        except StoreError as exc:
            _log.warning("the history of documents lacks %s: %s", self._policy, exc)

    def _say(self, level: int, words: str, value: object) -> None:
        """What all workers of a gateway would say alike, one of them says."""
        _log.log(level if self._post is None or self._post.leads else logging.INFO, words, value)

    def _read(self) -> Loaded:
        """The document anew. Raises ConfigError."""
        fresh = self._as_it_runs(read(self.loaded.file, self._env))
        if problems := check_start(fresh.document, self._env):
            raise ConfigError(fresh.placed(problems))
        return fresh

    def _as_it_runs(self, fresh: Loaded) -> Loaded:
        """With the server and store that are there."""
        before = self.loaded.document
        return replace(fresh, document=replace(fresh.document, server=before.server, store=before.store))


class Wake:
    """What makes `follow` look before its time."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._is_asked = False

    def ask(self) -> None:
        """For the document, changed or not."""
        self._is_asked = True
        self._event.set()

    def tell(self) -> None:
        """Something may have changed."""
        self._event.set()

    async def wait(self) -> bool:
        """Whether somebody asked."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._event.wait(), LOOK_S)
        is_asked, self._is_asked = self._is_asked, False
        self._event.clear()
        return is_asked


async def follow(desk: Desk, app: App, wake: Wake) -> None:
    """Puts each new version of the document in force, and keys that anybody managed, until cancelled."""
    await desk.begin()
    while True:
        is_asked = await wake.wait()
        await app.services.catch_up()
        await desk.look(asked=is_asked)


def expect_same(fresh: Loaded, kept: KeptDocument) -> None:
    """Raises Conflict where the files that the text includes are not those of before."""
    texts = masked(fresh)
    changed = [name for name, text in kept.texts.items() if text != kept.text and texts.get(name) != text]
    if changed:
        raise Conflict(f"{kept.policy} cannot be restored: {', '.join(changed)} changed since; restore that first")


def _stamps(loaded: Loaded) -> dict[str, Stamp]:
    """When each of the document's files was last written, and its size; None where it is gone."""
    return {file: _stamp(Path(file)) for file in loaded.texts}


def _stamp(path: Path) -> Stamp:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size
