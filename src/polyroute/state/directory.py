"""Keys, users, teams and tenants: made, changed, ended. Each method asks whether its actor may, and leaves its trace.

A key is 256 random bits, so its keyed hash needs no salt and no slow function. It can never hold more than its maker:
no higher role, no other team than its maker reaches, no model its maker may not ask for.
"""

from collections.abc import Callable
from datetime import datetime
from hmac import compare_digest
from typing import Literal, TypeVar

from msgspec import Struct, ValidationError, convert, json, to_builtins
from msgspec.structs import replace

from polyroute.authorisation import Action, Resource, allowed, authorise, may_grant
from polyroute.errors import Forbidden, InvalidRequest, UnknownObject
from polyroute.ports import Records
from polyroute.types.access import Caller, Role
from polyroute.types.identity import Account, KeyRecord, Metadata, Money, Pace, shown
from polyroute.types.nesting import beyond
from polyroute.types.records import Act, Change, Kind, Put, Record, Remove

PREFIX = "sk-poly-"
AccountKind = Literal["user", "team", "tenant"]

_T = TypeVar("_T")
_MAX_NAME = 100
_READ: dict[AccountKind, Action] = {"user": "users:read", "team": "teams:read", "tenant": "tenants:read"}
_WRITE: dict[AccountKind, Action] = {"user": "users:write", "team": "teams:write", "tenant": "tenants:write"}


class KeyOrder(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody asks for who makes a key."""

    name: str | None = None
    tenant: str | None = None  # None: the maker's
    team: str | None = None
    user: str | None = None  # None: the key's name
    role: Role = "member"
    models: tuple[str, ...] | None = None
    budget: Money = Money()
    limits: Pace = Pace()
    metadata: Metadata = {}
    expires: datetime | None = None


class KeyChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What may be changed of a key. None: as it is."""

    models: tuple[str, ...] | None = None
    budget: Money | None = None
    limits: Pace | None = None
    metadata: Metadata | None = None
    expires: datetime | None = None


class Issued(Struct, frozen=True, kw_only=True):
    """A key at the one moment it can be seen."""

    record: KeyRecord
    key: str

    def shown(self) -> dict[str, object]:
        return {**shown(self.record), "key": self.key}


class Directory:
    """Synchronous: a server calls it from a thread."""

    def __init__(
        self,
        records: Records,
        *,
        digest: Callable[[str], bytes],
        utc_now: Callable[[], datetime],
        new_id: Callable[[str], str],
        new_secret: Callable[[], str],
    ) -> None:
        """`digest`: a key's keyed hash. `new_id` takes a prefix. `new_secret`: 256 random bits as text."""
        self._records = records
        self._digest = digest
        self._utc_now = utc_now
        self._new_id = new_id
        self._new_secret = new_secret

    # ── keys ──────────────────────────────────────────────────────────────────────────────────────────

    def create_key(self, actor: Caller, order: KeyOrder) -> Issued:
        """Raises Forbidden, InvalidRequest or Conflict."""
        key_id, now = self._new_id("key"), self._utc_now()
        name = _name(order.name or key_id, "name")
        tenant, team = _name(order.tenant or actor.tenant, "tenant"), _name(order.team or actor.team, "team")
        user = _name(order.user or name, "user")
        authorise(actor, "keys:write", Resource(tenant=tenant, team=team, user=user))
        if not may_grant(actor, order.role):
            raise Forbidden(f"a key cannot hold more than its maker: the role `{order.role}` reaches further")
        if order.expires is not None and order.expires <= now:
            raise InvalidRequest("`expires` lies in the past", field="expires")
        key = PREFIX + self._new_secret()
        record = KeyRecord(
            id=key_id,
            name=name,
            hint=key[-4:],
            digest=self._digest(key).hex(),
            tenant=tenant,
            team=team,
            user=user,
            role=order.role,
            models=_within(actor, order.models),
            budget=self._within(_money(order.budget), tenant, team=team, user=user),
            limits=_pace(order.limits),
            metadata=order.metadata,
            created_at=now,
            created_by=actor.key_id or actor.user,
            expires_at=order.expires,
        )
        self._write(actor, "keys:create", [_put_key(record, 0)], record.id, tenant, _told(record))
        return Issued(record=record, key=key)

    def keys(self, actor: Caller) -> list[KeyRecord]:
        """Those within the actor's reach, by id."""
        found = (json.decode(record.body, type=KeyRecord) for record in self._records.every("key"))
        return [key for key in found if allowed(actor, "keys:read", _whose(key))]

    def key(self, actor: Caller, key_id: str) -> KeyRecord:
        """Raises UnknownObject, also for a key out of reach: the two look the same."""
        return self._key(actor, key_id, "keys:read")[0]

    def presented(self, actor: Caller, key: str) -> KeyRecord | None:
        """The record of a key itself, where it is within reach."""
        digest = self._digest(key).hex()
        return next((found for found in self.keys(actor) if compare_digest(found.digest, digest)), None)

    def change_key(self, actor: Caller, key_id: str, change: KeyChange) -> KeyRecord:
        found, version = self._key(actor, key_id, "keys:write")
        if actor.key_id == key_id and actor.role != "admin":
            raise Forbidden("a key cannot change what it may do itself: ask an administrator")
        if change.expires is not None and change.expires <= self._utc_now():
            raise InvalidRequest("`expires` lies in the past: revoke the key instead", field="expires")
        whose = (found.tenant, found.team, found.user)
        changed = replace(
            found,
            models=found.models if change.models is None else _within(actor, change.models),
            budget=found.budget if change.budget is None else self._within(_money(change.budget), *whose),
            limits=found.limits if change.limits is None else _pace(change.limits),
            metadata=found.metadata if change.metadata is None else change.metadata,
            expires_at=change.expires or found.expires_at,
        )
        self._write(actor, "keys:change", [_put_key(changed, version)], key_id, found.tenant, _builtins(change))
        return changed

    def rotate_key(self, actor: Caller, key_id: str) -> Issued:
        """A new secret for the same key; the old one ends at once."""
        found, version = self._key(actor, key_id, "keys:write")
        if found.revoked_at is not None:
            raise InvalidRequest(f"the key `{key_id}` was revoked: make a new one")
        key = PREFIX + self._new_secret()
        fresh = replace(found, digest=self._digest(key).hex(), hint=key[-4:])
        self._write(actor, "keys:rotate", [_put_key(fresh, version)], key_id, found.tenant, {"hint": fresh.hint})
        return Issued(record=fresh, key=key)

    def revoke_key(self, actor: Caller, key_id: str) -> KeyRecord:
        """To revoke twice is to revoke once."""
        found, version = self._key(actor, key_id, "keys:write")
        if found.revoked_at is not None:
            return found
        revoked = replace(found, revoked_at=self._utc_now())
        self._write(actor, "keys:revoke", [_put_key(revoked, version)], key_id, found.tenant, {})
        return revoked

    # ── users, teams, tenants ─────────────────────────────────────────────────────────────────────────

    def accounts(self, actor: Caller, kind: AccountKind) -> list[Account]:
        found = (json.decode(record.body, type=Account) for record in self._records.every(kind))
        return [account for account in found if allowed(actor, _READ[kind], _belongs(kind, account))]

    def account(self, actor: Caller, kind: AccountKind, tenant: str, name: str) -> Account:
        """Raises UnknownObject, also where it is out of reach."""
        record = self._records.find(kind, _place(kind, tenant, name))
        account = None if record is None else json.decode(record.body, type=Account)
        if account is None or not allowed(actor, _READ[kind], _belongs(kind, account)):
            raise UnknownObject(f"there is no {kind} `{name}`")
        return account

    def put_account(self, actor: Caller, kind: AccountKind, account: Account) -> Account:
        """Made, or changed as a whole. Raises Forbidden or InvalidRequest."""
        authorise(actor, _WRITE[kind], _belongs(kind, account))
        _name(account.id, "id"), _name(account.tenant, "tenant"), _money(account.budget), _pace(account.limits)
        if not 1 <= account.weight <= 1000:
            raise InvalidRequest("`weight` must be between 1 and 1000", field="weight")
        place = _place(kind, account.tenant, account.id)
        found = self._records.find(kind, place)
        if kind != "tenant":
            self._within(account.budget, account.tenant, team=account.team if kind == "user" else None)
        put = Put(
            kind=kind,
            id=place,
            tenant=account.tenant,
            body=json.encode(account),
            version=0 if found is None else found.version,
        )
        act = f"{kind}s:{'create' if found is None else 'change'}"
        self._write(actor, act, [put], place, account.tenant, _builtins(account))
        return account

    def remove_account(self, actor: Caller, kind: AccountKind, tenant: str, name: str) -> None:
        account = self.account(actor, kind, tenant, name)
        authorise(actor, _WRITE[kind], _belongs(kind, account))
        place = _place(kind, tenant, name)
        record = self._records.find(kind, place)
        if record is not None:
            gone = Remove(kind=kind, id=place, version=record.version)
            self._write(actor, f"{kind}s:remove", [gone], place, tenant, {})

    def allow(
        self,
        actor: Caller,
        kind: str,
        tenant: str,
        name: str,
        *,
        budget: Money | None = None,
        limits: Pace | None = None,
    ) -> dict[str, object]:
        """Another budget or other limits, the rest as it is; an account that is not there yet is made. As shown."""
        if kind == "key":
            return shown(self.change_key(actor, name, KeyChange(budget=budget, limits=limits)))
        account_kind = next((known for known in _READ if known == kind), None)
        if account_kind is None:
            raise InvalidRequest(
                f"a {kind[:40]} has its budget and limits in the document; here those of a key, user, team or tenant"
                " are set",
                field="kind",
            )
        record = self._records.find(account_kind, _place(account_kind, tenant, name))
        account = (
            Account(id=name, tenant=name if kind == "tenant" else tenant) if record is None else read_account(record)
        )
        changed = replace(account, budget=budget or account.budget, limits=limits or account.limits)
        return _builtins(self.put_account(actor, account_kind, changed))

    def _within(self, budget: Money, tenant: str, team: str | None = None, user: str | None = None) -> Money:
        """A part may not be allowed more than the whole it is in. Raises InvalidRequest."""
        wholes: list[tuple[AccountKind, str | None]] = [("user", user), ("team", team), ("tenant", tenant)]
        for kind, name in wholes:
            record = None if name is None else self._records.find(kind, _place(kind, tenant, name))
            found = None if record is None else beyond(budget, parent := read_account(record).budget)
            if found is not None:
                short, long = found
                raise InvalidRequest(
                    f"`budget.{short}` of {getattr(budget, short)} is more than {kind} `{name}` may spend itself"
                    f" ({long} {getattr(parent, long)})",
                    field=f"budget.{short}",
                )
        return budget

    def _key(self, actor: Caller, key_id: str, action: Action) -> tuple[KeyRecord, int]:
        record = self._records.find("key", key_id)
        key = None if record is None else json.decode(record.body, type=KeyRecord)
        if record is None or key is None or not allowed(actor, "keys:read", _whose(key)):
            raise UnknownObject(f"there is no key `{key_id}`")
        authorise(actor, action, _whose(key))
        if not may_grant(actor, key.role):
            raise Forbidden(f"the key `{key_id}` holds more than yours")
        return key, record.version

    def _write(
        self,
        actor: Caller,
        action: str,
        changes: list[Change],
        name: str,
        tenant: str,
        detail: dict[str, object],
    ) -> None:
        kind: Kind = changes[0].kind
        act = Act(
            at=self._utc_now(),
            actor=actor.key_id or actor.user,
            role=actor.role,
            action=action,
            kind=kind,
            id=name,
            tenant=tenant,
            detail=detail,
        )
        self._records.change(changes, act)


def read_key(record: Record) -> KeyRecord:
    return json.decode(record.body, type=KeyRecord)


def read_account(record: Record) -> Account:
    return json.decode(record.body, type=Account)


def taken(kind: type[_T], body: object) -> _T:
    """A caller's JSON as `kind`. Raises InvalidRequest naming the field."""
    try:
        return convert(body, kind, strict=False)
    except ValidationError as exc:
        message, _, where = str(exc).partition(" - at `$.")
        field = where.rstrip("`") or None
        raise InvalidRequest(f"`{field}`: {message}" if field else message, field=field) from None


def _put_key(record: KeyRecord, version: int) -> Put:
    return Put(kind="key", id=record.id, tenant=record.tenant, body=json.encode(record), version=version)


def _whose(key: KeyRecord) -> Resource:
    return Resource(tenant=key.tenant, team=key.team, user=key.user)


def _belongs(kind: AccountKind, account: Account) -> Resource:
    match kind:
        case "user":
            return Resource(tenant=account.tenant, team=account.team or "default", user=account.id)
        case "team":
            return Resource(tenant=account.tenant, team=account.id)
        case "tenant":
            return Resource(tenant=account.id)


def _place(kind: AccountKind, tenant: str, name: str) -> str:
    """Two tenants may each have a team of one name."""
    return name if kind == "tenant" else f"{tenant}/{name}"


def _name(value: str, field: str) -> str:
    if not value or len(value) > _MAX_NAME or not value.isprintable() or "/" in value:
        raise InvalidRequest(f"`{field}` must be 1 to {_MAX_NAME} printable characters without `/`", field=field)
    return value


def _within(actor: Caller, models: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """What a key may ask for: no model that its maker may not."""
    if actor.models is None:
        return models
    if models is None:
        return tuple(sorted(actor.models))
    if beyond := sorted(set(models) - actor.models):
        raise Forbidden(f"a key cannot hold more than its maker: you may not ask for `{beyond[0]}`")
    return models


def _money(budget: Money) -> Money:
    for field in budget.__struct_fields__:
        amount = getattr(budget, field)
        if amount is not None and (not amount.is_finite() or amount < 0 or amount > 10**9):
            raise InvalidRequest(f"`budget.{field}` must lie between 0 and 1000000000", field=f"budget.{field}")
    return budget


def _pace(limits: Pace) -> Pace:
    for field in limits.__struct_fields__:
        count = getattr(limits, field)
        if count is not None and not 0 < count <= 10**12:
            raise InvalidRequest(f"`limits.{field}` must be a positive number", field=f"limits.{field}")
    return limits


def _told(record: KeyRecord) -> dict[str, object]:
    """For the audit log: without the hash, which is nobody's business."""
    return {name: value for name, value in _builtins(record).items() if name != "digest"}


def _builtins(value: Struct) -> dict[str, object]:
    found: dict[str, object] = to_builtins(value)
    return found
