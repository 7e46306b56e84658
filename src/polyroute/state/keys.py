"""Which caller holds a presented key. Keys are kept as hashes only; a lookup never depends on parts of a key.

The digest of the whole key finds its entry in a dictionary. Timing tells at most how a digest compares, and
nobody can steer a digest towards another; the admin key's digest is compared in constant time all the same.
"""

import hashlib
import hmac
from collections.abc import Callable, Iterable
from datetime import datetime

from msgspec import Struct

from polyroute.errors import ConfigError, Forbidden, Problem, StoreError, Unauthenticated
from polyroute.types.access import Caller


class KeyEntry(Struct, frozen=True, kw_only=True):
    """One key that was issued: whose it is and until when."""

    digest: bytes  # of the whole key, by `digest_key`
    caller: Caller
    expires_at: datetime | None = None  # aware UTC
    is_revoked: bool = False
    blocked: str | None = None  # what of its owner is blocked: "team `x`"


Digest = Callable[[str], bytes]


def digest_key(key: str) -> bytes:
    # Headers arrive as Latin-1 text and documents as Unicode; surrogates cannot be in any issued key.
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def keyed_digest(pepper: bytes) -> Digest:
    """For digests that are stored: worth nothing to whoever has the store and not the pepper."""
    return lambda key: hmac.digest(pepper, key.encode("utf-8", "surrogatepass"), "sha256")


class KeyRing:
    """Every key that may be presented."""

    def __init__(
        self,
        entries: Iterable[KeyEntry] = (),
        *,
        admin_digest: bytes | None = None,
        digest: Digest = digest_key,
        is_whole: bool = True,
    ) -> None:
        """`digest` is the entries' own. `is_whole`: False while the store that has further keys cannot be read.

        Raises ConfigError where two entries share one key, or a key is empty.
        """
        self._digest = digest
        self._is_whole = is_whole
        empty = digest("")
        self._entries: dict[bytes, KeyEntry] = {}
        self._admin_digest = admin_digest
        problems = []
        for entry in entries:
            name = entry.caller.key_id or "?"
            if entry.digest == empty:
                problems.append(Problem(path=f"keys.{name}", message="the key is empty", fix="set its variable"))
            elif entry.digest in self._entries or entry.digest == admin_digest:
                other = self._entries.get(entry.digest)
                whose = f"key `{other.caller.key_id}`" if other else "the admin key"
                problems.append(
                    Problem(path=f"keys.{name}", message=f"it is the same as {whose}", fix="give it its own")
                )
            else:
                self._entries[entry.digest] = entry
        if admin_digest == empty:
            problems.append(
                Problem(path="POLYROUTE_ADMIN_KEY", message="the admin key is empty", fix="set or unset it")
            )
        if problems:
            raise ConfigError(problems)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def has_admin(self) -> bool:
        return self._admin_digest is not None

    def admin(self, presented: str | None) -> Caller | None:
        """The administrator, where it is the admin key; an open door knows nobody else."""
        if not presented or self._admin_digest is None:
            return None
        return _ADMIN if hmac.compare_digest(self._digest(presented), self._admin_digest) else None

    def authenticate(self, presented: str | None, now: datetime) -> Caller:
        """Raises Unauthenticated."""
        if not presented:
            raise Unauthenticated(
                "no API key was given: send it as `Authorization: Bearer KEY`,"
                " or in `x-api-key`, `api-key` or `x-goog-api-key`"
            )
        digest = self._digest(presented)
        entry = self._entries.get(digest)
        if entry is None:
            if self._admin_digest is not None and hmac.compare_digest(digest, self._admin_digest):
                return _ADMIN
            if not self._is_whole:
                raise StoreError("the API key is not known here, and the store of keys cannot be read: try again")
            raise Unauthenticated("the API key is not known here: check that it is whole and meant for this gateway")
        if entry.is_revoked:
            raise Unauthenticated(f"the API key `{entry.caller.key_id}` was revoked: ask for another")
        if entry.blocked is not None:
            raise Forbidden(f"the {entry.blocked} of the API key `{entry.caller.key_id}` is blocked")
        if entry.expires_at is not None and now >= entry.expires_at:
            raise Unauthenticated(
                f"the API key `{entry.caller.key_id}` expired at {entry.expires_at:%Y-%m-%d %H:%M} UTC"
            )
        return entry.caller


_ADMIN = Caller(user="admin", key_id="admin", role="admin")
