"""The verb `providers`: keys of providers that are kept sealed, in the store directly. A running server takes a change
within 2 s.

A key is never an argument: arguments are seen by every process of the machine.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Annotated

import typer
from msgspec import Struct

from polyroute.cli.keys import OPERATOR
from polyroute.cli.shell import ConfigOption, DebugOption, JsonOption, document_path, print_json, print_table, say, told
from polyroute.config.load import read
from polyroute.errors import UnknownObject
from polyroute.state.provider_keys import ProviderKeys
from polyroute.wiring import stores
from polyroute.wiring.build import provider_keys
from polyroute.wiring.provider_keys import open_seal
from polyroute.wiring.providers import keyed_providers

providers = typer.Typer(help="Give providers' keys, kept sealed; list and forget them.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(metavar="PROVIDER", help="As the document names it.")]


class _Desk(Struct, frozen=True):
    keys: ProviderKeys
    sources: dict[str, str]  # of the document's keys, by provider


@contextmanager
def _desk(config: ConfigOption, debug: bool) -> Iterator[_Desk]:
    with told(debug=debug):
        loaded = read(document_path(config), os.environ)
        seal = open_seal(os.environ)
        with closing(stores.open_records(stores.open_store(loaded.document, loaded.folder))) as records:
            yield _Desk(provider_keys(records, seal), keyed_providers(loaded.document))


@providers.command("set-key")
def set_key(
    name: NameArgument, config: ConfigOption = None, as_json: JsonOption = False, debug: DebugOption = False
) -> None:
    """Give a provider's key: typed unseen, or on standard input. It takes the place of the document's."""
    with _desk(config, debug) as desk:
        if name not in desk.sources:
            raise UnknownObject(f"the document declares no provider `{name}` that takes a key")
        key = typer.prompt("key", hide_input=True) if sys.stdin.isatty() else sys.stdin.readline().strip()
        shown = desk.keys.put(OPERATOR, name, key)
    if as_json:
        print_json(shown)
    else:
        say(f"{name} has its key; running servers use it within 2 s")


@providers.command("list")
def list_providers(config: ConfigOption = None, as_json: JsonOption = False, debug: DebugOption = False) -> None:
    """The providers that take a key, and where it comes from."""
    with _desk(config, debug) as desk:
        managed = {key.provider: key for key in desk.keys.every(OPERATOR)}
        names = {**desk.sources, **dict.fromkeys(managed, "sealed")}
    if as_json:
        print_json([managed.get(name) or {"provider": name, "key": source} for name, source in names.items()])
        return
    rows = []
    for name, source in names.items():
        key = managed.get(name)
        by = () if key is None else (key.hint, key.seal_key, f"{key.set_at:%Y-%m-%d %H:%M}", key.set_by)
        rows.append((name, source, *(by or ("", "", "", ""))))
    print_table(("provider", "key", "ends in", "sealed under", "since", "by"), rows)


@providers.command()
def forget(
    name: NameArgument, config: ConfigOption = None, as_json: JsonOption = False, debug: DebugOption = False
) -> None:
    """Forget a key that was given here; the document's is used again."""
    with _desk(config, debug) as desk:
        desk.keys.forget(OPERATOR, name)
    if as_json:
        print_json({"provider": name, "forgotten": True})
    else:
        say(f"the key of {name} is forgotten")


@providers.command()
def reseal(config: ConfigOption = None, as_json: JsonOption = False, debug: DebugOption = False) -> None:
    """Seal every key under the first of POLYROUTE_SEAL_KEY, after which the others can go."""
    with _desk(config, debug) as desk:
        names = desk.keys.reseal(OPERATOR)
    if as_json:
        print_json({"resealed": names})
    else:
        say(f"{len(names)} keys are sealed anew")
