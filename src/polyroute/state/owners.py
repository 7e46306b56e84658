"""Who made what providers keep: by the ids that went out with an answer, who asked for it and where it lies.

An id is looked for among those of its tenant: another tenant's and one that nobody made are the same nothing. What is
noted is known here at once and in the store soon after, without anybody waiting for it; another process finds it there.
A process that is killed in between loses the last moments' notes: their ids are then nobody's.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import islice

from msgspec import MsgspecError, Struct, json
from msgspec.structs import replace

from polyroute.errors import StoreError
from polyroute.ports import Notes

KEPT_FOR = timedelta(days=30)  # as OpenAI keeps responses: "Your data", application state
_GATHER_S = 0.1  # notes of this long are one write: a commit costs as much as a hundred notes
_GRACE_S = 0.25  # for another process's note on its way into the store
_PAUSE_S = 1.0  # between tries, where the store is away
_MOST_KNOWN = 20_000
_MOST_WAITING = 100_000
_BATCH = 1_000
_ALIAS = b"="  # the note of an item: whose it is stands under its answer's id

_LOG = logging.getLogger(__name__)


class Owner(Struct, frozen=True, kw_only=True, array_like=True):
    """Whose an answer is, and the provider that keeps it."""

    tenant: str
    team: str
    user: str
    provider: str
    deployment: str
    answer_id: str  # the provider's
    request_id: str
    is_estimated: bool = False  # its provider went on with it: what it took in the end is not in the books yet


_encode = json.Encoder().encode
_decode = json.Decoder(Owner).decode


class Owners:
    """Used from one event loop at a time."""

    def __init__(self, notes: Notes, utc_now: Callable[[], datetime]) -> None:
        self._notes = notes
        self._utc_now = utc_now
        self._known: OrderedDict[tuple[str, str], Owner] = OrderedDict()  # a plain one is slow to lose its first
        self._waiting: dict[tuple[str, str], bytes] = {}  # for the store
        self._writing: asyncio.Task[None] | None = None

    def note(self, owner: Owner, ids: Sequence[str]) -> None:
        """`ids` are its own and those of its items."""
        alias = _ALIAS + owner.answer_id.encode()
        for name in ids:
            place = (owner.tenant, name)
            self._known[place] = owner
            self._known.move_to_end(place)
            self._waiting[place] = _encode(owner) if name == owner.answer_id else alias
        while len(self._known) > _MOST_KNOWN:
            self._known.popitem(last=False)
        while len(self._waiting) > _MOST_WAITING:
            del self._waiting[next(iter(self._waiting))]
        if self._writing is None or self._writing.done():
            self._writing = asyncio.get_running_loop().create_task(self._write(), name="polyroute-owners")

    async def until_written(self, patience_s: float) -> None:
        """Until everything noted is in the store, or for so long."""
        if self._writing is not None and not self._writing.done():
            await asyncio.wait([self._writing], timeout=patience_s)

    async def aclose(self, patience_s: float = 2.0) -> None:
        await self.until_written(patience_s)
        if self._waiting:
            _LOG.warning("%d ids of kept answers could not be written down; they are nobody's now", len(self._waiting))
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.gather(self._writing, return_exceptions=True)

    async def find(self, tenant: str, ids: Sequence[str]) -> dict[str, Owner]:
        """Those of `ids` that somebody of the tenant made. Raises StoreError where that cannot be told."""
        found = {name: owner for name in ids if (owner := self._known.get((tenant, name))) is not None}
        missing = [name for name in ids if name not in found]
        if missing:
            found |= await self._look(tenant, missing)
        if missing := [name for name in missing if name not in found]:
            await asyncio.sleep(_GRACE_S)
            found |= await self._look(tenant, missing)
        return found

    async def settled(self, owner: Owner) -> Owner:
        """Its true cost is in the books."""
        told = replace(owner, is_estimated=False)
        place = (owner.tenant, owner.answer_id)
        self._known[place] = told
        until = self._utc_now() + KEPT_FOR
        await self.until_written(_PAUSE_S)
        await asyncio.to_thread(
            lambda: self._notes.swap(_space(owner.tenant), owner.answer_id, _encode(owner), _encode(told), until=until)
        )
        return told

    async def drop(self, owner: Owner) -> None:
        """Its provider keeps it no longer."""
        place = (owner.tenant, owner.answer_id)
        await self.until_written(_PAUSE_S)
        for known in [known for known, one in self._known.items() if one.answer_id == owner.answer_id]:
            del self._known[known]
        self._waiting.pop(place, None)
        await asyncio.to_thread(self._notes.drop, _space(owner.tenant), owner.answer_id)

    async def _look(self, tenant: str, ids: Sequence[str]) -> dict[str, Owner]:
        space, now = _space(tenant), self._utc_now()
        rows = await asyncio.to_thread(lambda: self._notes.look(space, ids, now=now))
        answers = {name: body[1:].decode() for name, body in rows.items() if body.startswith(_ALIAS)}
        if further := [answer for answer in dict.fromkeys(answers.values()) if answer not in rows]:
            rows |= await asyncio.to_thread(lambda: self._notes.look(space, further, now=now))
        owners = {name: owner for name, body in rows.items() if (owner := _read(body)) is not None}
        found = {name: owner for name in ids if (owner := owners.get(answers.get(name, name))) is not None}
        self._known.update({(tenant, name): owner for name, owner in found.items()})
        return found

    async def _write(self) -> None:
        """Until nothing waits."""
        is_told = False
        await asyncio.sleep(_GATHER_S)
        while self._waiting:
            batch = dict(islice(self._waiting.items(), _BATCH))
            spaces: dict[str, dict[str, bytes]] = {}
            for (tenant, name), body in batch.items():
                spaces.setdefault(_space(tenant), {})[name] = body
            now = self._utc_now()
            try:
                for space, bodies in spaces.items():
                    await asyncio.to_thread(self._notes.keep_all, space, bodies, now=now, until=now + KEPT_FOR)
            except StoreError as fault:
                if not is_told:
                    _LOG.warning("ids of kept answers wait to be written down: %s", fault)
                is_told = True
                await asyncio.sleep(_PAUSE_S)
                continue
            for place, body in batch.items():
                if self._waiting.get(place) == body:
                    del self._waiting[place]


def _space(tenant: str) -> str:
    return f"owner/{tenant}"


def _read(body: bytes) -> Owner | None:
    if body.startswith(_ALIAS):
        return None
    try:
        return _decode(body)
    except MsgspecError:
        return None
