"""Which caller holds a presented key. Keys are kept as SHA-256 only; a lookup never depends on parts of a key.

The digest of the whole key finds its entry in a dictionary. Timing tells at most how a digest compares, and
nobody can steer a digest towards another; the admin key's digest is compared in constant time all the same.
"""

import hashlib
import hmac
from collections.abc import Iterable
from datetime import datetime

from msgspec import Struct

from polyroute.errors import ConfigError, Problem, Unauthenticated
from polyroute.types.access import Caller


class KeyEntry(Struct, frozen=True, kw_only=True):
    """One key that was issued: whose it is and until when."""

    digest: bytes  # of the whole key, by `digest_key`
    caller: Caller
    expires_at: datetime | None = None  # aware UTC
    is_revoked: bool = False


def digest_key(key: str) -> bytes:
    # Headers arrive as Latin-1 text and documents as Unicode; surrogates cannot be in any issued key.
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


_EMPTY = digest_key("")


class KeyRing:
    """Every key that may be presented."""

    def __init__(self, entries: Iterable[KeyEntry] = (), *, admin_digest: bytes | None = None) -> None:
        """Raises ConfigError where two entries share one key, or a key is empty."""
        self._entries: dict[bytes, KeyEntry] = {}
        self._admin_digest = admin_digest
        problems = []
        for entry in entries:
            name = entry.caller.key_id or "?"
            if entry.digest == _EMPTY:
                problems.append(Problem(path=f"keys.{name}", message="the key is empty", fix="set its variable"))
            elif entry.digest in self._entries or entry.digest == admin_digest:
                other = self._entries.get(entry.digest)
                whose = f"key `{other.caller.key_id}`" if other else "the admin key"
                problems.append(
                    Problem(path=f"keys.{name}", message=f"it is the same as {whose}", fix="give it its own")
                )
            else:
                self._entries[entry.digest] = entry
        if admin_digest == _EMPTY:
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

    def authenticate(self, presented: str | None, now: datetime) -> Caller:
        """Raises Unauthenticated."""
        if not presented:
            raise Unauthenticated(
                "no API key was given: send it as `Authorization: Bearer KEY`,"
                " or in `x-api-key`, `api-key` or `x-goog-api-key`"
            )
        digest = digest_key(presented)
        entry = self._entries.get(digest)
        if entry is None:
            if self._admin_digest is not None and hmac.compare_digest(digest, self._admin_digest):
                return _ADMIN
            raise Unauthenticated("the API key is not known here: check that it is whole and meant for this gateway")
        if entry.is_revoked:
            raise Unauthenticated(f"the API key `{entry.caller.key_id}` was revoked: ask for another")
        if entry.expires_at is not None and now >= entry.expires_at:
            raise Unauthenticated(
                f"the API key `{entry.caller.key_id}` expired at {entry.expires_at:%Y-%m-%d %H:%M} UTC"
            )
        return entry.caller


_ADMIN = Caller(user="admin", key_id="admin", role="admin")
