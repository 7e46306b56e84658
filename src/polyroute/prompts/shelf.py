"""Prompts that are managed while the gateway runs: versions are added, labels move, nothing is ever changed.

Each prompt is one managed record; each act leaves who did it and when, in the record and in the audit log. Who may
do it is the door's business; prompts that the document declares are not here.
"""

from collections.abc import Iterable
from datetime import datetime

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from polyroute.errors import Conflict, InvalidRequest, UnknownObject
from polyroute.ports import Records
from polyroute.prompts.compiled import problems_in
from polyroute.types.prompts import Kept, KeptVersion, Move, Wordings
from polyroute.types.records import Act, Kind, Put, Record

_KIND: Kind = "prompt"
_TENANT = "default"
_MARKS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:+-")
_LONGEST_NAME = 128
_MOST_MOVES = 1000  # kept with the prompt; the audit log keeps them all

_decode = msgspec.json.Decoder(Kept).decode
_encode = msgspec.json.Encoder(order="deterministic").encode


class Actor(Struct, frozen=True, kw_only=True):
    """Who does it."""

    name: str
    role: str
    now: datetime


class Shelf:
    """Synchronous; a server calls it from a thread. Raises StoreError where the store cannot be used."""

    def __init__(self, records: Records) -> None:
        self._records = records

    def every(self) -> dict[str, Kept]:
        return {record.id: _decode(record.body) for record in self._records.every(_KIND)}

    def find(self, name: str) -> Kept | None:
        record = self._records.find(_KIND, name)
        return None if record is None else _decode(record.body)

    def add(self, name: str, wordings: Wordings, labels: Iterable[str], actor: Actor) -> int:
        """The new version's number. Raises InvalidRequest with the first thing wrong."""
        _check_name("name", name)
        labels = tuple(labels)
        for label in labels:
            _check_label(label)
        if problem := next(problems_in(wordings, ""), None):
            at = problem.path.removeprefix(".")
            raise InvalidRequest(f"`{at}` {problem.message}" + (f" ({problem.fix})" if problem.fix else ""), field=at)
        record = self._records.find(_KIND, name)
        kept = Kept(versions={}, labels={}) if record is None else _decode(record.body)
        number = max(map(int, kept.versions), default=0) + 1
        made = KeptVersion(wordings=wordings, at=actor.now, by=actor.name)
        kept = replace(kept, versions={**kept.versions, str(number): made})
        for label in labels:
            kept = _moved(kept, label, number, actor)
        self._write(name, kept, record, actor, "add", {"version": number, "labels": list(labels)})
        return number

    def point(self, name: str, label: str, version: int, actor: Actor) -> Kept:
        """Sets or moves a label: a rollback is this."""
        _check_label(label)
        record, kept = self._known(name)
        if str(version) not in kept.versions:
            raise InvalidRequest(
                f"`{name}` has no version {version}; it has {', '.join(kept.versions)}",
                field="version",
                code="invalid_value",
            )
        before = kept.labels.get(label)
        kept = _moved(kept, label, version, actor)
        self._write(name, kept, record, actor, "label", {"label": label, "version": version, "before": before})
        return kept

    def unpoint(self, name: str, label: str, actor: Actor) -> Kept:
        record, kept = self._known(name)
        before = kept.labels.get(label)
        if before is None:
            raise UnknownObject(f"the prompt `{name}` has no label `{label[:80]}`")
        kept = _moved(kept, label, None, actor)
        self._write(name, kept, record, actor, "unlabel", {"label": label, "before": before})
        return kept

    def _known(self, name: str) -> tuple[Record, Kept]:
        record = self._records.find(_KIND, name)
        if record is None:
            raise UnknownObject(f"there is no managed prompt `{name[:80]}`")
        return record, _decode(record.body)

    def _write(
        self, name: str, kept: Kept, record: Record | None, actor: Actor, did: str, detail: dict[str, object]
    ) -> None:
        version = 0 if record is None else record.version
        put = Put(kind=_KIND, id=name, tenant=_TENANT, body=_encode(kept), version=version)
        act = Act(
            at=actor.now,
            actor=actor.name,
            role=actor.role,
            action=f"prompts:{did}",
            kind=_KIND,
            id=name,
            tenant=_TENANT,
            detail=detail,
        )
        try:
            self._records.change([put], act)
        except Conflict:
            raise Conflict(f"the prompt `{name}` was changed at the same moment: do it again") from None


def _moved(kept: Kept, label: str, version: int | None, actor: Actor) -> Kept:
    labels = {name: number for name, number in kept.labels.items() if name != label}
    if version is not None:
        labels[label] = version
    move = Move(label=label, version=version, before=kept.labels.get(label), at=actor.now, by=actor.name)
    return replace(kept, labels=labels, moves=(*kept.moves, move)[-_MOST_MOVES:])


def _check_label(label: str) -> None:
    _check_name("label", label)
    if label.isdigit():
        raise InvalidRequest(f"`{label}` is a version's number, and cannot be a label", field="label")


def _check_name(field: str, name: str) -> None:
    if not 0 < len(name) <= _LONGEST_NAME or not _MARKS.issuperset(name):
        raise InvalidRequest(
            f"`{name[:_LONGEST_NAME]}` cannot be a {field}: letters, digits and . _ : + - only",
            field=field,
            code="invalid_value",
        )
