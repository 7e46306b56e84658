"""What was asked to go from caches, written down so that every process learns of it. Each a managed act, logged.

The last ones are kept, numbered; who has seen up to a number takes those that follow. Who missed some, because there
were too many since it looked, empties its cache. Synchronous: call it from a thread. Raises StoreError.
"""

from collections.abc import Callable
from datetime import datetime

from msgspec import Struct, json

from polyroute.authorisation import Resource, authorise
from polyroute.errors import Conflict, InvalidRequest
from polyroute.ports import Records
from polyroute.types.access import Caller
from polyroute.types.caching import Purge
from polyroute.types.records import Act, Kind, Put

_KIND: Kind = "setting"
_ID = "cache-purges"
_MOST = 50
_TRIES = 5
_KEY_CHARS = 64
_MOST_NAME = 200


class _Purges(Struct, frozen=True, kw_only=True):
    last: int = 0  # the number of the newest
    purges: tuple[Purge, ...] = ()  # up to it


class Purges:
    def __init__(self, records: Records, utc_now: Callable[[], datetime]) -> None:
        self._records = records
        self._utc_now = utc_now

    def ask(self, actor: Caller, what: Purge) -> int:
        """Its number. Raises Forbidden, or InvalidRequest for what no cache can hold."""
        authorise(actor, "cache:write", Resource(tenant=what.tenant))
        check(what)
        act = Act(
            at=self._utc_now(),
            actor=actor.key_id or actor.user,
            role=actor.role,
            action="cache:purge",
            kind=_KIND,
            id=_ID,
            tenant=what.tenant or "*",
            detail={"tenant": what.tenant, "route": what.route, "key": what.key},
        )
        for _ in range(_TRIES):
            record = self._records.find(_KIND, _ID)
            known = _Purges() if record is None else json.decode(record.body, type=_Purges)
            fresh = _Purges(last=known.last + 1, purges=(*known.purges, what)[-_MOST:])
            version = 0 if record is None else record.version
            try:
                self._records.change(
                    [Put(kind=_KIND, id=_ID, tenant="*", body=json.encode(fresh), version=version)], act
                )
            except Conflict:
                continue
            return fresh.last
        raise Conflict("others empty caches at this moment: try again")

    def last(self) -> int:
        return self._known().last

    def since(self, number: int) -> tuple[int, tuple[Purge, ...]]:
        """The newest number, and what was asked after `number`."""
        known = self._known()
        missed = known.last - number
        if missed > len(known.purges):
            return known.last, (Purge(),)
        return known.last, known.purges[len(known.purges) - missed :] if missed > 0 else ()

    def _known(self) -> _Purges:
        record = self._records.find(_KIND, _ID)
        return _Purges() if record is None else json.decode(record.body, type=_Purges)


def check(what: Purge) -> None:
    """Raises InvalidRequest, naming the field."""
    if what.key is not None:
        check_key(what.key)
    for field, name in (("tenant", what.tenant), ("route", what.route)):
        if name is not None and not 0 < len(name) <= _MOST_NAME:
            raise InvalidRequest(f"`{field}` must be a name of 1 to {_MOST_NAME} characters", field=field)


def check_key(key: str) -> None:
    if len(key) != _KEY_CHARS or not key.isalnum() or not set(key) <= set("0123456789abcdef"):
        raise InvalidRequest(
            f"a key of the cache is {_KEY_CHARS} hexadecimal digits, as a receipt's `cache_key` shows it", field="key"
        )
