"""Where a document's secrets are read: the environment, files beside it, a secret manager. All at load, none later.

A secret that cannot be read is a ValueError that names its place and never its value; loading gathers them all. Each
manager is asked once for each path, and not again in one load once it could not be reached. Blocking: a server reloads
in a thread.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, cast

import msgspec

from polyroute import plugins
from polyroute.config.document import Document, SecretManagers, VaultPlace
from polyroute.config.secret import Secret
from polyroute.config.yaml12 import FromEnv
from polyroute.errors import ConfigError, StoreError
from polyroute.ports import Secrets

_FILE = "file "  # begins the name of a secret that was read from one
_MAX_SECRET = 65536  # characters
_FORMS = "{env: NAME}, {file: PATH}, {vault: PATH#FIELD} or text in quotes"
_ADDRESS, _TOKEN, _NAMESPACE, _AUTHORITIES = (
    "VAULT_ADDR",
    "VAULT_TOKEN",
    "VAULT_NAMESPACE",
    "VAULT_CACERT",
)  # Vault's own


class _OpensVault(Protocol):
    def __call__(self, *, address: str, token: str, namespace: str | None, authorities: str | None) -> Secrets: ...


class SecretReader:
    """Of one load of one document."""

    def __init__(self, folder: Path, env: Mapping[str, str], managers: object = None) -> None:
        """Files are relative to `folder`; `managers` is the document's section `secrets` as it is written."""
        self._folder = folder
        self._env = env
        self._managers = managers
        self._vault: Secrets | None = None
        self._found: dict[str, Mapping[str, str]] = {}
        self._refused: dict[str, str] = {}  # paths, and why
        self._is_away: str | None = None

    def read(self, written: object) -> Secret:
        """Raises ValueError."""
        match written:
            case FromEnv():
                value, name = str(written), written.written
            case str():
                value, name = written, "literal"
            case {"file": str(path), **rest} if not rest:
                value, name = self._from_file(path), f"{_FILE}{path}"
            case {"vault": str(reference), **rest} if not rest:
                value, name = self._from_vault(reference), f"vault {reference}"
            case _:
                raise ValueError(f"must be {_FORMS}")
        if not value:
            raise ValueError(f"the secret from {name} is empty")
        if not (value.isascii() and value.isprintable()):
            raise ValueError(f"the secret from {name} holds characters that no header can carry")
        return Secret(value, name=name)

    def _from_file(self, path: str) -> str:
        try:
            with (self._folder / path).open(encoding="utf-8") as file:
                value = file.read(_MAX_SECRET + 1)
        except (OSError, UnicodeDecodeError) as exc:
            reason = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8"
            raise ValueError(f"the secret's file {path} cannot be read: {reason}") from exc
        if len(value) > _MAX_SECRET:
            raise ValueError(f"the secret's file {path} holds more than {_MAX_SECRET} characters")
        return value.strip()

    def _from_vault(self, reference: str) -> str:
        path, _, field = reference.partition("#")
        if not path or not field:
            raise ValueError(f"`{reference[:80]}` names no field: write {{vault: secret/data/NAME#FIELD}}")
        if path not in self._found:
            self._ask(path)
        if field not in self._found[path]:
            raise ValueError(f"the secret {path} in Vault has no field `{field[:80]}`")
        return self._found[path][field]

    def _ask(self, path: str) -> None:
        if why := self._is_away or self._refused.get(path):
            raise ValueError(why)
        try:
            if self._vault is None:
                self._vault = self._opened()
            self._found[path] = self._vault.fields(path)
        except ValueError as exc:
            self._refused[path] = str(exc)
            raise
        except StoreError as exc:
            self._is_away = exc.message
            raise ValueError(exc.message) from exc

    def _opened(self) -> Secrets:
        """Raises ValueError where the document and the environment do not say which Vault."""
        given, env = self._place(), self._env
        address = given.address or env.get(_ADDRESS)
        token = given.token.reveal() if given.token is not None else env.get(_TOKEN)
        if not address or not token:
            lack = "address" if not address else "token"
            variable = _ADDRESS if not address else _TOKEN
            raise ValueError(f"Vault's {lack} is not known: export {variable}, or set secrets.vault.{lack}")
        try:
            opens = cast("_OpensVault", plugins.find("polyroute.secrets", "vault", path="secrets.vault"))
        except ConfigError as exc:
            raise ValueError(str(exc)) from exc
        return opens(
            address=address,
            token=token,
            namespace=given.namespace or env.get(_NAMESPACE),
            authorities=env.get(_AUTHORITIES),
        )

    def _place(self) -> VaultPlace:
        """What is wrong in the section itself is told beside this; here it is only not known."""
        try:
            managers = msgspec.convert(self._managers or {}, SecretManagers, dec_hook=self._own_token)
        except msgspec.ValidationError as exc:
            message = str(exc).partition(" - at `$")[0]
            raise ValueError(f"Vault cannot be asked: {message}") from exc
        return managers.vault or VaultPlace()

    def _own_token(self, kind: type, written: Any) -> Any:
        if isinstance(written, dict) and "vault" in written:
            raise ValueError("Vault's own token cannot be in Vault")
        return self.read(written)


def secrets_of(document: Document) -> list[Secret]:
    """Every secret that `document` holds."""
    found: list[Secret] = []

    def note(value: object) -> object:
        if isinstance(value, Secret):
            found.append(value)
        return None

    msgspec.to_builtins(document, enc_hook=note)
    return found


def file_of(secret: Secret) -> str | None:
    """The file it was read from, relative to the document's folder."""
    return secret.name.removeprefix(_FILE) if secret.name.startswith(_FILE) else None
