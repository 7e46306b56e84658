"""Secrets at rest: AES-256-GCM under a key that is in the environment and never in the database.

Each sealing has a fresh random nonce of 96 bits (NIST SP 800-38D, 8.2.2: fewer than 2^32 under one key), and is bound
to the name of what it belongs to, so that a row moved to another name opens no more. Of several keys the first seals
and all open: that is how keys are changed.
"""

import hashlib
import os
from base64 import b64decode
from binascii import Error as NotBase64

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from polyroute.errors import StoreError

_KEY_BYTES, _NONCE_BYTES = 32, 12
_FIX = "32 random bytes in base64, as `openssl rand -base64 32` prints them"


class AesGcmSeal:
    """Fulfils the port `Seal`."""

    def __init__(self, keys: str) -> None:
        """`keys`: base64 of 32 bytes; several stand apart by commas. Raises ValueError, without the keys."""
        self._keys: dict[str, AESGCM] = {}
        for at, written in enumerate(keys.split(","), start=1):
            try:
                key = b64decode(written.strip(), validate=True)
            except (NotBase64, ValueError) as exc:
                raise ValueError(f"seal key {at} is not base64: it must be {_FIX}") from exc
            if len(key) != _KEY_BYTES or not any(key):
                raise ValueError(f"seal key {at} has {len(key)} bytes: it must be {_FIX}")
            self._keys[hashlib.sha256(b"polyroute seal " + key).hexdigest()[:8]] = AESGCM(key)
        self.key_id = next(iter(self._keys))

    def __repr__(self) -> str:
        return f"<seal {self.key_id}>"

    def seal(self, secret: bytes, name: str) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._keys[self.key_id].encrypt(nonce, secret, name.encode())

    def unseal(self, sealed: bytes, name: str, key_id: str) -> bytes:
        key = self._keys.get(key_id)
        if key is None:
            raise StoreError(f"it was sealed under the key {key_id}, which POLYROUTE_SEAL_KEY does not hold")
        try:
            return key.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], name.encode())
        except (InvalidTag, ValueError) as exc:
            raise StoreError("it was changed in the store since it was sealed") from exc
