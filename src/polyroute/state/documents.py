"""The documents that were in force, by their policy: a record each, and an entry in the audit log for each taking.

What is kept is the text as it may be shown. Two gateways on one store that take the same document note it once.
"""

from collections.abc import Callable
from datetime import datetime

from msgspec import Struct, json

from polyroute.errors import Conflict, UnknownObject
from polyroute.ports import Records
from polyroute.types.access import Caller
from polyroute.types.records import Act, Change, Put, Record, Remove

MOST_KEPT = 100

_PREFIX, _TENANT = "document/", "default"


class KeptDocument(Struct, frozen=True, kw_only=True):
    policy: str
    since: datetime  # it came into force, last
    by: str
    texts: dict[str, str]  # by file; the document itself comes first

    @property
    def text(self) -> str:
        return next(iter(self.texts.values()))


class DocumentHistory:
    """Synchronous. Raises StoreError."""

    def __init__(self, records: Records, utc_now: Callable[[], datetime]) -> None:
        self._records = records
        self._utc_now = utc_now

    def every(self) -> list[KeptDocument]:
        """The newest first."""
        return [kept for _, kept in self._kept()]

    def find(self, policy: str) -> KeptDocument:
        """Raises UnknownObject."""
        record = self._records.find("setting", _PREFIX + policy)
        if record is None:
            raise UnknownObject(f"no document of policy `{policy[:80]}` was ever in force here")
        return json.decode(record.body, type=KeptDocument)

    def note(self, actor: Caller, action: str, policy: str, texts: dict[str, str]) -> None:
        """It is in force now."""
        kept = self._kept()
        if kept and kept[0][1].policy == policy:
            return
        now, by = self._utc_now(), actor.key_id or actor.user
        found = next((record for record, one in kept if one.policy == policy), None)
        body = json.encode(KeptDocument(policy=policy, since=now, by=by, texts=texts))
        version = 0 if found is None else found.version
        changes: list[Change] = [
            Put(kind="setting", id=_PREFIX + policy, tenant=_TENANT, body=body, version=version),
            *(
                Remove(kind="setting", id=record.id, version=record.version)
                for record, one in kept[MOST_KEPT - 1 :]
                if one.policy != policy
            ),
        ]
        before = kept[0][1].policy if kept else None
        act = Act(
            at=now, actor=by, role=actor.role, action=action, kind="setting", id=policy, detail={"before": before}
        )
        try:
            self._records.change(changes, act)
        except Conflict:
            return  # another gateway has just noted it

    def _kept(self) -> list[tuple[Record, KeptDocument]]:
        records = [record for record in self._records.every("setting") if record.id.startswith(_PREFIX)]
        found = [(record, json.decode(record.body, type=KeptDocument)) for record in records]
        return sorted(found, key=lambda pair: pair[1].since, reverse=True)
