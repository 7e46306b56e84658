"""Overrides as they are kept: one layer over the document for each tenant that has one, with its owner and its end.

Whether a layer fits the document is `config.layer`'s to know, and asked before it is put here.
"""

from collections.abc import Callable
from datetime import datetime

from msgspec import Struct, json

from polyroute.authorisation import Action, Resource, allowed, authorise
from polyroute.errors import InvalidRequest, UnknownObject
from polyroute.ports import Records
from polyroute.types.access import Caller
from polyroute.types.records import Act, Change, Kind, Put, Record, Remove

_KIND: Kind = "override"
_READ: Action = "config:read"
_WRITE: Action = "config:write"
_MAX_NAME = 100
_MAX_LAYER_BYTES = 256_000


class OverrideOrder(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody asks for who lays something over the document."""

    owner: str  # who answers for it
    expires: datetime
    routes: dict[str, dict[str, object]] = {}
    limits: dict[str, object] = {}
    policy: dict[str, object] = {}

    @property
    def layer(self) -> dict[str, object]:
        sections = {"routes": self.routes, "limits": self.limits, "policy": self.policy}
        return {name: section for name, section in sections.items() if section}


class Override(Struct, frozen=True, kw_only=True):
    tenant: str
    owner: str
    layer: dict[str, object]
    expires_at: datetime
    made_at: datetime
    made_by: str

    def state(self, now: datetime) -> str:
        return "expired" if self.expires_at <= now else "active"


class Overrides:
    """Synchronous: a server calls it from a thread. Raises StoreError where the store cannot be used."""

    def __init__(self, records: Records, utc_now: Callable[[], datetime]) -> None:
        self._records = records
        self._utc_now = utc_now

    def every(self, actor: Caller) -> list[Override]:
        """By tenant; expired ones too."""
        found = map(read_override, self._records.every(_KIND))
        return [override for override in found if allowed(actor, _READ, Resource(tenant=override.tenant))]

    def find(self, actor: Caller, tenant: str) -> Override:
        """Raises UnknownObject, also where it is out of reach."""
        record = self._records.find(_KIND, tenant)
        if record is None or not allowed(actor, _READ, Resource(tenant=tenant)):
            raise UnknownObject(f"the tenant `{tenant[:_MAX_NAME]}` has no override")
        return read_override(record)

    def put(self, actor: Caller, tenant: str, order: OverrideOrder) -> Override:
        """In place of the one before. Raises Forbidden or InvalidRequest."""
        now = self._utc_now()
        authorise(actor, _WRITE, Resource(tenant=tenant))
        expires_at = self.checked(tenant, order)
        made = Override(
            tenant=tenant,
            owner=order.owner,
            layer=order.layer,
            expires_at=expires_at,
            made_at=now,
            made_by=actor.key_id or actor.user,
        )
        record = self._records.find(_KIND, tenant)
        body, version = json.encode(made), 0 if record is None else record.version
        put = Put(kind=_KIND, id=tenant, tenant=tenant, body=body, version=version)
        detail = {"owner": made.owner, "expires_at": made.expires_at, "layer": made.layer}
        self._write(actor, "overrides:set", put, tenant, detail)
        return made

    def remove(self, actor: Caller, tenant: str) -> None:
        authorise(actor, _WRITE, Resource(tenant=tenant))
        self.find(actor, tenant)
        record = self._records.find(_KIND, tenant)
        if record is not None:
            self._write(actor, "overrides:remove", Remove(kind=_KIND, id=tenant, version=record.version), tenant, {})

    def checked(self, tenant: str, order: OverrideOrder) -> datetime:
        """When it ends. Raises InvalidRequest where tenant, owner or end cannot be."""
        for field, name in (("tenant", tenant), ("owner", order.owner)):
            if not 0 < len(name) <= _MAX_NAME or not name.isprintable():
                raise InvalidRequest(f"`{field}` must be a name of 1 to {_MAX_NAME} characters", field=field)
        if order.expires.tzinfo is None:
            raise InvalidRequest("`expires` must say its time zone, as 2027-01-31T00:00:00Z", field="expires")
        if order.expires <= self._utc_now():
            raise InvalidRequest("`expires` lies in the past", field="expires")
        if not order.layer:
            raise InvalidRequest("the override says nothing: give `routes`, `limits` or `policy`", field="routes")
        if len(json.encode(order.layer)) > _MAX_LAYER_BYTES:
            raise InvalidRequest(f"an override holds at most {_MAX_LAYER_BYTES} bytes", field="routes")
        return order.expires

    def _write(self, actor: Caller, action: str, change: Change, tenant: str, detail: dict[str, object]) -> None:
        act = Act(
            at=self._utc_now(),
            actor=actor.key_id or actor.user,
            role=actor.role,
            action=action,
            kind=_KIND,
            id=tenant,
            tenant=tenant,
            detail=detail,
        )
        self._records.change([change], act)


def read_override(record: Record) -> Override:
    return json.decode(record.body, type=Override)
