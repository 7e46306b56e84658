"""HashiCorp Vault, and OpenBao: secrets of a KV engine, version 2, over its HTTP API.

Source: developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2, "Read secret version", and /vault/api-docs, "Error
response" and "Headers". Asked with a token while a document is read, never on a request's way; blocking. Follows no
redirect: a standby that sends one on is told to the reader.
"""

import http.client
import ssl
from collections.abc import Mapping
from urllib.parse import quote

import msgspec
from msgspec import Struct

from polyroute.errors import StoreError
from polyroute.providers.transport.address import Address, parse_url

_PATIENCE_S = 5.0
_MAX_BYTES = 1_000_000  # Vault's own bound for a secret's entry, with its default storage
_REDIRECTS = (301, 302, 303, 307, 308)


class _Entry(Struct):
    data: dict[str, object] | None = None  # null: that version was deleted


class _Answer(Struct):
    data: _Entry | None = None
    errors: tuple[str, ...] = ()


class Vault:
    """Fulfils the port `Secrets`."""

    def __init__(
        self, *, address: str, token: str, namespace: str | None = None, authorities: str | None = None
    ) -> None:
        """`authorities`: a file of certificates beyond the system's own. Raises ValueError for no address."""
        self._address = parse_url(address.rstrip("/"))
        self._headers = {"x-vault-token": token, "x-vault-request": "true", "accept": "application/json"}
        if namespace is not None:
            self._headers["x-vault-namespace"] = namespace
        self._authorities = authorities

    def __repr__(self) -> str:
        return f"<Vault at {self._address.authority}>"

    def fields(self, path: str) -> Mapping[str, str]:
        status, body = self._get(path.strip("/"))
        where = f"{path} in Vault at {self._address.authority}"
        try:
            answer = msgspec.json.decode(body, type=_Answer)
        except msgspec.DecodeError as exc:
            raise StoreError(f"Vault at {self._address.authority} answers what is no answer of Vault's") from exc
        if status == 200:
            if answer.data is None or answer.data.data is None:
                fix = "a KV engine of version 2 has `data` in its paths: secret/data/NAME"
                raise ValueError(f"the secret {where} holds nothing ({fix})")
            return {name: value for name, value in answer.data.data.items() if isinstance(value, str)}
        told = "; ".join(answer.errors)[:200]
        if status == 404:
            gone = "its last version was deleted" if answer.data is not None else "its path holds no secret"
            raise ValueError(f"the secret {where} is not there: {told or gone}")
        if status == 403:
            raise ValueError(f"the secret {where} may not be read with this token: {told or 'permission denied'}")
        if status in _REDIRECTS:
            raise StoreError(f"Vault at {self._address.authority} sends elsewhere: name the active node's address")
        raise StoreError(f"Vault at {self._address.authority} answers {status}: {told or 'no reason given'}")

    def _get(self, path: str) -> tuple[int, bytes]:
        root = self._address.target.rstrip("/")
        try:
            connection = self._connection(self._address)
            try:
                connection.request("GET", f"{root}/v1/{quote(path)}", headers=self._headers)
                reply = connection.getresponse()
                body = reply.read(_MAX_BYTES + 1)
            finally:
                connection.close()
        except (OSError, http.client.HTTPException) as exc:
            reason = getattr(exc, "strerror", None) or str(exc) or type(exc).__name__
            raise StoreError(f"Vault at {self._address.authority} cannot be asked: {reason}") from exc
        except ValueError as exc:  # a token or a path that no header or request line can carry
            raise ValueError(f"Vault cannot be asked for {path}: it or the token holds what HTTP cannot carry") from exc
        if len(body) > _MAX_BYTES:
            raise StoreError(f"Vault at {self._address.authority} answers more than {_MAX_BYTES} bytes")
        return reply.status, body

    def _connection(self, address: Address) -> http.client.HTTPConnection:
        host, port = address.origin.host, address.origin.port
        if not address.origin.is_tls:
            return http.client.HTTPConnection(host, port, timeout=_PATIENCE_S)
        tls = ssl.create_default_context(cafile=self._authorities)
        return http.client.HTTPSConnection(host, port, timeout=_PATIENCE_S, context=tls)
