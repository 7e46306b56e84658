"""Managed keys of providers taken into force: whoever has one is built with it, and built anew when it changes.

A call under way keeps the adapter it began with. Keys that cannot be opened stop the start; later they are told in the
log, and what was in force stays.
"""

import asyncio
import logging
from collections.abc import Mapping
from importlib import import_module

from msgspec.structs import replace

from polyroute.config import document as settings
from polyroute.config.secret import Secret
from polyroute.errors import ConfigError, Problem, StoreError
from polyroute.ports import Provider, Records, Seal
from polyroute.state.provider_keys import ProviderKeys
from polyroute.wiring.providers import Workshop, build_provider, build_providers

SEAL_KEY = "POLYROUTE_SEAL_KEY"
_log = logging.getLogger(__name__)


def open_seal(env: Mapping[str, str]) -> Seal | None:
    """None where there is no key to seal with. Raises ConfigError for one that is none."""
    keys = env.get(SEAL_KEY)
    if not keys:
        return None
    try:
        seal: Seal = import_module("polyroute.stores.seal").AesGcmSeal(keys)
    except ModuleNotFoundError as exc:
        fix = "pip install 'polyroute[seal]'"
        raise ConfigError(
            [Problem(path=SEAL_KEY, message="sealing needs a library that is not here", fix=fix)]
        ) from exc
    except ValueError as exc:
        raise ConfigError([Problem(path=SEAL_KEY, message=str(exc))]) from exc
    return seal


class Drawer:
    """The managed keys as they were when last read. One for a gateway's whole life."""

    def __init__(self, records: Records, keys: ProviderKeys) -> None:
        self._records = records
        self._keys = keys
        self._generation = -1
        self.keys: Mapping[str, str] = {}

    def open(self) -> None:
        """At start. A store that is away is asked again later. Raises ConfigError where a key does not open."""
        try:
            generation = self._records.generation()
        except StoreError as fault:
            _log.warning("the managed keys of providers cannot be read yet: %s", fault)
            return
        try:
            self.keys = self._keys.revealed()
        except StoreError as exc:
            raise ConfigError([Problem(path="providers", message=exc.message)]) from exc
        self._generation = generation

    def refresh(self) -> None:
        """Reads them where anything changed. Synchronous."""
        try:
            generation = self._records.generation()
            if generation != self._generation:
                self._generation = generation  # what is wrong is told once for each change
                self.keys = self._keys.revealed()
        except StoreError as fault:
            _log.warning("the managed keys of providers stay as they were: %s", fault)


class KeyedProviders:
    """The adapters of one document."""

    def __init__(self, shop: Workshop, drawer: Drawer) -> None:
        """Raises ConfigError as `build_providers` does."""
        self._shop = shop
        self._drawer = drawer
        self._used = dict(drawer.keys)
        given = shop.document.providers
        keyed = {name: _keyed(provider, self._used.get(name)) for name, provider in given.items()}
        self.providers: dict[str, Provider] = build_providers(
            replace(shop, document=replace(shop.document, providers=keyed))
        )
        for name, provider in given.items():
            if provider.managed_key and name not in self._used:
                _log.warning("providers.%s has no key yet: `polyroute providers set-key %s`", name, name)

    async def refresh(self) -> None:
        await asyncio.to_thread(self._drawer.refresh)
        fresh = self._drawer.keys
        for name, provider in self._shop.document.providers.items():
            key = fresh.get(name)
            if key != self._used.get(name):
                try:
                    built = build_provider(name, _keyed(provider, key), self._shop)
                except ValueError as exc:
                    _log.error("providers.%s keeps its old key: %s", name, exc)
                    continue
                if built is not None:
                    self.providers[name] = built
        self._used = dict(fresh)


def _keyed(provider: settings.Provider, key: str | None) -> settings.Provider:
    return provider if key is None else replace(provider, api_key=Secret(key, name="managed"))
