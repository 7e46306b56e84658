"""Keys of providers that are given while the gateway runs: kept sealed, shown never, used in place of the document's.

Which providers there are is the document's business. Each method asks whether its actor may, and leaves its trace.
"""

from base64 import b64decode, b64encode
from collections.abc import Callable
from datetime import datetime

from msgspec import Struct, json
from msgspec.structs import replace

from polyroute.authorisation import NOBODYS, authorise
from polyroute.errors import InvalidRequest, StoreError, UnknownObject, Unsupported
from polyroute.ports import Records, Seal
from polyroute.types.access import Caller
from polyroute.types.records import Act, Change, Put, Record, Remove

_TENANT = "default"
_LONGEST_KEY = 8192
_HINT, _HINT_FROM = 4, 16  # characters shown, of keys with so many at least
NO_SEAL = (
    "provider keys are kept sealed, and there is no key to seal them with: install 'polyroute[seal]' and export "
    "POLYROUTE_SEAL_KEY, 32 random bytes in base64 (`openssl rand -base64 32`)"
)


class SealedKey(Struct, frozen=True, kw_only=True):
    """A provider's key as it is kept."""

    sealed: str  # base64
    seal_key: str  # which key sealed it
    hint: str  # its last characters
    set_at: datetime
    set_by: str


class ShownKey(Struct, frozen=True, kw_only=True):
    """A provider's key as its managers see it."""

    provider: str
    hint: str
    seal_key: str
    set_at: datetime
    set_by: str


class ProviderKeys:
    """Synchronous: a server calls it from a thread. Raises StoreError where the store cannot be used."""

    def __init__(self, records: Records, seal: Seal | None, utc_now: Callable[[], datetime]) -> None:
        """`seal`: None where the process has no key to seal with."""
        self._records = records
        self._seal = seal
        self._utc_now = utc_now

    def put(self, actor: Caller, provider: str, key: str) -> ShownKey:
        """Raises Forbidden, InvalidRequest, Conflict, or Unsupported where nothing can be sealed here."""
        authorise(actor, "providers:write", NOBODYS)
        seal = self._need_seal()
        if not 0 < len(key) <= _LONGEST_KEY or not (key.isascii() and key.isprintable()) or key != key.strip():
            raise InvalidRequest(
                f"`key` must be 1 to {_LONGEST_KEY} printable ASCII characters without spaces around them", field="key"
            )
        kept = SealedKey(
            sealed=b64encode(seal.seal(key.encode(), provider)).decode(),
            seal_key=seal.key_id,
            hint=key[-_HINT:] if len(key) >= _HINT_FROM else "",
            set_at=self._utc_now(),
            set_by=actor.key_id or actor.user,
        )
        found = self._records.find("provider", provider)
        self._change(actor, "providers:set_key", provider, [_put(provider, kept, found)], {"hint": kept.hint})
        return _shown(provider, kept)

    def every(self, actor: Caller) -> list[ShownKey]:
        authorise(actor, "providers:read", NOBODYS)
        return [_shown(record.id, _read(record)) for record in self._records.every("provider")]

    def forget(self, actor: Caller, provider: str) -> None:
        """The document's key, if it has one, is used again."""
        authorise(actor, "providers:write", NOBODYS)
        found = self._records.find("provider", provider)
        if found is None:
            raise UnknownObject(f"no key was given for the provider `{provider[:80]}`")
        gone = Remove(kind="provider", id=provider, version=found.version)
        self._change(actor, "providers:forget_key", provider, [gone], {})

    def reseal(self, actor: Caller) -> list[str]:
        """Every key under the first seal key; the providers whose key was under another. All or none."""
        authorise(actor, "providers:write", NOBODYS)
        seal = self._need_seal()
        old = [
            (record, kept)
            for record in self._records.every("provider")
            if (kept := _read(record)).seal_key != seal.key_id
        ]
        changes: list[Change] = []
        for record, kept in old:
            sealed = seal.seal(_unsealed(seal, record.id, kept), record.id)
            fresh = replace(kept, sealed=b64encode(sealed).decode(), seal_key=seal.key_id)
            changes.append(_put(record.id, fresh, record))
        names = [record.id for record, _ in old]
        if changes:
            self._change(actor, "providers:reseal", "*", changes, {"providers": names, "seal_key": seal.key_id})
        return names

    def revealed(self) -> dict[str, str]:
        """By provider: for the gateway's own use. Raises StoreError naming the first that cannot be opened."""
        records = self._records.every("provider")
        if not records:
            return {}
        if self._seal is None:
            raise StoreError(f"the key of `{records[0].id}` cannot be opened: {NO_SEAL}")
        return {record.id: _unsealed(self._seal, record.id, _read(record)).decode() for record in records}

    def _need_seal(self) -> Seal:
        if self._seal is None:
            raise Unsupported(NO_SEAL)
        return self._seal

    def _change(self, actor: Caller, action: str, name: str, changes: list[Change], detail: dict[str, object]) -> None:
        act = Act(
            at=self._utc_now(),
            actor=actor.key_id or actor.user,
            role=actor.role,
            action=action,
            kind="provider",
            id=name,
            tenant=_TENANT,
            detail=detail,
        )
        self._records.change(changes, act)


def _unsealed(seal: Seal, provider: str, kept: SealedKey) -> bytes:
    try:
        return seal.unseal(b64decode(kept.sealed), provider, kept.seal_key)
    except StoreError as exc:
        fix = f"add that key to POLYROUTE_SEAL_KEY, or set this one again: `polyroute providers set-key {provider}`"
        raise StoreError(f"the key of `{provider}` cannot be opened: {exc.message} ({fix})") from exc


def _read(record: Record) -> SealedKey:
    return json.decode(record.body, type=SealedKey)


def _put(provider: str, kept: SealedKey, found: Record | None) -> Put:
    version = 0 if found is None else found.version
    return Put(kind="provider", id=provider, tenant=_TENANT, body=json.encode(kept), version=version)


def _shown(provider: str, kept: SealedKey) -> ShownKey:
    return ShownKey(provider=provider, hint=kept.hint, seal_key=kept.seal_key, set_at=kept.set_at, set_by=kept.set_by)
