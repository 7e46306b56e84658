"""An OpenID Connect issuer: its keys, fetched and kept, and the signatures of its tokens.

Sources: OpenID Connect Discovery 1.0, 4; RFC 7517 (JWK), RFC 7515 (JWS), RFC 8725 (best current practices): algorithms
from a fixed list of asymmetric ones, each only with its own kind of key; keys from the issuer's own set alone, never
from the token (`jku`, `jwk`, `x5u` mean nothing here). A token that names an unknown key makes the set be fetched
again, at most twice a minute; a set that is old is fetched anew, and used on for a day while that fails.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

import jwt
import msgspec
from msgspec import Struct

from polyroute.errors import ProviderError, StoreError, Unauthenticated
from polyroute.ports import Transport
from polyroute.types.cards import Deadlines

_ALGORITHMS = {"RS256": ("RSA", None), "ES256": ("EC", "P-256"), "EdDSA": ("OKP", "Ed25519")}
_DISCOVERY = "/.well-known/openid-configuration"
_DEADLINES = Deadlines(connect_s=3.0, first_token_s=5.0, between_tokens_s=5.0, total_s=5.0)
_MAX_BYTES = 262_144
_MAX_KEYS = 100
_LEAST_RSA_BITS = 2048  # RFC 7518, 3.3
_FRESH_S = 3600.0
_STALE_S = 86_400.0
_PAUSE_S = 30.0  # between two fetches

_log = logging.getLogger(__name__)


class _Key(Struct, frozen=True):
    key: jwt.PyJWK
    algorithm: str


class _Keys(Struct, frozen=True):
    by_id: Mapping[str, _Key]
    fetched_at: float  # monotonic


class Issuer:
    """Fulfils the port `TokenIssuer`."""

    def __init__(
        self, issuer: str, transport: Transport, monotonic: Callable[[], float], *, jwks_url: str | None = None
    ) -> None:
        """`jwks_url`: where its keys are; None: as its discovery document says."""
        self._issuer = issuer
        self._transport = transport
        self._monotonic = monotonic
        self._jwks_url = jwks_url
        self._keys: _Keys | None = None
        self._may_fetch_at = float("-inf")
        self._fetching = asyncio.Lock()
        self._jws = jwt.PyJWS(algorithms=list(_ALGORITHMS))

    async def claims(self, token: str) -> Mapping[str, object]:
        header = _header(token)
        key = await self._key_for(header)
        try:
            payload = self._jws.decode(token, key.key, algorithms=[key.algorithm])
            claims: Any = msgspec.json.decode(payload)
        except (jwt.InvalidTokenError, msgspec.DecodeError, ValueError) as exc:
            raise Unauthenticated("the token's signature is not its issuer's, or it was changed") from exc
        if not isinstance(claims, dict):
            raise Unauthenticated("the token holds no claims")
        return claims

    async def _key_for(self, header: Mapping[str, object]) -> _Key:
        """Raises Unauthenticated or StoreError."""
        algorithm = header.get("alg")
        if not isinstance(algorithm, str) or algorithm not in _ALGORITHMS:
            raise Unauthenticated(f"the token's algorithm must be one of {', '.join(_ALGORITHMS)}")
        if "crit" in header:
            raise Unauthenticated("the token asks for an extension (`crit`) that is not known here")
        name = header.get("kid")
        keys = await self._current()
        found = _pick(keys, name, algorithm)
        if found is None and (fresh := await self._fetched(keys)) is not keys:
            found = _pick(fresh, name, algorithm)
        if found is None:
            raise Unauthenticated("the token is signed with a key that its issuer does not list")
        return found

    async def _current(self) -> _Keys:
        keys = self._keys
        if keys is not None and self._monotonic() - keys.fetched_at < _FRESH_S:
            return keys
        return await self._fetched(keys)

    async def _fetched(self, seen: _Keys | None) -> _Keys:
        """Newer keys than `seen`, or `seen` where there are none to be had now. One fetch at a time."""
        async with self._fetching:
            if self._keys is not seen and self._keys is not None:
                return self._keys
            now = self._monotonic()
            if now >= self._may_fetch_at:
                self._may_fetch_at = now + _PAUSE_S
                try:
                    self._keys = _Keys(by_id=await self._fetch(), fetched_at=now)
                except (StoreError, ProviderError) as fault:
                    _log.warning("the keys of the issuer %s cannot be fetched: %s", self._issuer, fault)
            keys = self._keys
            if keys is None or now - keys.fetched_at > _STALE_S:
                raise StoreError("the issuer of tokens cannot be asked for its keys: try again")
            return keys

    async def _fetch(self) -> Mapping[str, _Key]:
        url = self._jwks_url or await self._discovered()
        listed = (await self._get(url)).get("keys")
        if not isinstance(listed, list):
            raise StoreError("it answers what is no set of keys")
        found: dict[str, _Key] = {}
        for at, written in enumerate(listed[:_MAX_KEYS]):
            key = _usable(written)
            if key is not None:
                found[key.key.key_id or f" {at}"] = key
        if not found:
            raise StoreError(f"none of its keys can be used: they must be for {', '.join(_ALGORITHMS)}")
        return found

    async def _discovered(self) -> str:
        told = await self._get(self._issuer.rstrip("/") + _DISCOVERY)
        url = told.get("jwks_uri")
        if told.get("issuer") != self._issuer:
            raise StoreError("its discovery document names another issuer")
        if not isinstance(url, str) or (self._issuer.startswith("https:") and not url.startswith("https:")):
            raise StoreError("its discovery document names no place of its keys")
        return url

    async def _get(self, url: str) -> dict[str, object]:
        """Raises StoreError or ProviderError. No redirect is followed."""
        try:
            reply = await self._transport.get(url, {"accept": "application/json"}, _DEADLINES)
        except ValueError as exc:
            raise StoreError(f"its address is none: {exc}") from exc
        try:
            if reply.status != 200:
                raise StoreError(f"it answers {reply.status}")
            body = b""
            async for piece in reply.chunks():
                body += piece
                if len(body) > _MAX_BYTES:
                    raise StoreError(f"it answers more than {_MAX_BYTES} bytes")
        finally:
            reply.close()
        try:
            told = msgspec.json.decode(body, type=dict[str, Any])
        except msgspec.DecodeError as exc:
            raise StoreError("it answers what is no JSON object") from exc
        return told


def _header(token: str) -> Mapping[str, object]:
    try:
        header: Mapping[str, object] = jwt.get_unverified_header(token)
    except (jwt.InvalidTokenError, ValueError) as exc:
        raise Unauthenticated("the token is not in the form of a signed token") from exc
    return header


def _pick(keys: _Keys, name: object, algorithm: str) -> _Key | None:
    if name is None:  # allowed where it leaves no doubt
        fitting = [key for key in keys.by_id.values() if key.algorithm == algorithm]
        return fitting[0] if len(fitting) == 1 else None
    found = keys.by_id.get(name) if isinstance(name, str) else None
    return found if found is not None and found.algorithm == algorithm else None


def _usable(written: object) -> _Key | None:
    """A public key for one of our algorithms, by its own kind rather than by what a token says."""
    if not isinstance(written, dict) or written.get("use", "sig") != "sig":
        return None
    kind = (written.get("kty"), written.get("crv"))
    for algorithm, wanted in _ALGORITHMS.items():
        if kind == wanted and written.get("alg", algorithm) == algorithm:
            try:
                key = jwt.PyJWK(written, algorithm=algorithm)
            except (jwt.PyJWTError, ValueError):
                return None
            return (
                None
                if getattr(key.key, "key_size", _LEAST_RSA_BITS) < _LEAST_RSA_BITS and wanted[0] == "RSA"
                else _Key(key, algorithm)
            )
    return None
