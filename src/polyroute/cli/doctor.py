"""The verb `doctor`: looks for what would keep the gateway from working here, and for what gives way first under load.

Calls nobody but with `--online`, and then only opens a connection to each provider's address. Writes nothing.
"""

import asyncio
import os
import shutil
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

import typer
from msgspec import Struct
from msgspec.structs import asdict, replace

import polyroute
from polyroute.catalog.cards import Catalogue
from polyroute.catalog.pricing import price_at
from polyroute.cli.headroom import Ceiling, Machine, headroom
from polyroute.cli.shell import ConfigOption, DebugOption, JsonOption, document_path, print_json, print_table, say
from polyroute.config.check import check_start
from polyroute.config.document import Document
from polyroute.config.load import Loaded, read
from polyroute.config.resolve import deployments
from polyroute.config.sources import file_of, secrets_of
from polyroute.errors import ConfigError, StoreError
from polyroute.providers import anthropic, openai
from polyroute.providers.transport.address import Address, parse_url
from polyroute.server.overload.descriptors import obtainable
from polyroute.server.protocol import MAX_CONNECTIONS
from polyroute.server.serve import listen
from polyroute.stores.store import Store
from polyroute.wiring.stores import open_store

_PATIENCE_S = 5.0
_ADDRESSES = {"openai": openai.BASE_URL, "anthropic": anthropic.BASE_URL}  # where a provider gives none


class Finding(Struct, frozen=True, kw_only=True):
    """What one look has shown. "warn" may be meant so; "fail" keeps the gateway from working."""

    check: str
    state: Literal["ok", "warn", "fail"]
    message: str


def doctor(
    online: Annotated[bool, typer.Option("--online", help="Also whether the providers' addresses answer.")] = False,
    times: Annotated[
        float, typer.Option("--times", help="Also what gives way first at so many times the load in the books.", min=1)
    ] = 5.0,
    days: Annotated[float, typer.Option("--days", help="The load of the last so many days.", min=0.01)] = 7.0,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Look for what would keep the gateway from working here, and what gives way first as the load grows.

    Exit 1 where something keeps it from working.
    """
    findings = list(_examine(document_path(config), online=online))
    is_well = all(finding.state != "fail" for finding in findings)
    ceilings = _ceilings(document_path(config), days)
    breaking = [c for c in ceilings if c.multiple is not None and c.multiple < times]
    if as_json:
        load = {"times": times, "days": days, "first": next(iter(breaking), None), "ceilings": ceilings}
        print_json({"ok": is_well, "findings": findings, "load": load})
    else:
        for finding in findings:
            say(f"{finding.state:<4}  {finding.check}: {finding.message}")
        if ceilings:
            _tell_load(ceilings, breaking, times, days)
    if not is_well:
        raise typer.Exit(1)


def _examine(path: Path, *, online: bool) -> Iterator[Finding]:
    yield _python()
    try:
        loaded = read(path, os.environ)
    except ConfigError as exc:
        yield from (_fail("document", str(problem)) for problem in exc.problems)
        return
    yield _ok("document", f"{path} is sound")
    for problem in loaded.placed(check_start(loaded.document, os.environ)):
        yield _fail("start", str(problem))
    yield from _secret_files(loaded)
    yield from _store(loaded)
    yield from _prices(loaded.document)
    yield _port(loaded)
    if online:
        yield from asyncio.run(_reach(loaded.document))


def _ceilings(path: Path, days: float) -> list[Ceiling]:
    """Nothing where there are no books to read the load from: the findings say why."""
    try:
        loaded = read(path, os.environ)
        store = open_store(loaded.document, loaded.folder)
        if not store.version():
            return []
        with store.open_books() as books:
            entries = list(books.entries(datetime.now(UTC) - timedelta(days=days)))
    except (ConfigError, StoreError):
        return []
    machine = Machine(connections=MAX_CONNECTIONS, descriptors=obtainable())
    if not store.is_remote:
        file = store.beside
        size = sum(part.stat().st_size for part in file.parent.glob(f"{file.name}*") if part.is_file())
        machine = replace(machine, store_bytes=size, free_bytes=shutil.disk_usage(file.parent).free)
    return headroom(loaded.document, entries, machine)


def _tell_load(ceilings: list[Ceiling], breaking: list[Ceiling], times: float, days: float) -> None:
    if breaking:
        first = breaking[0]
        load = f"{times:g} times the load of {days:g} days"
        say(f"\nAt {load}, {first.what} gives way first: at {first.multiple:g} times.")
    else:
        say(f"\nNothing that is known gives way at {times:g} times the load of {days:g} days.")
    rows = [
        (
            c.what,
            "unknown" if c.multiple is None else f"{c.multiple:,.2f}",
            c.peak,
            c.limit,
            "breaks" if c in breaking else "",
            c.note,
        )
        for c in ceilings
    ]
    print_table(("what", "times", "busiest", "ceiling", f"at {times:g}x", ""), rows)


def _python() -> Finding:
    return _ok("python", f"{'.'.join(map(str, sys.version_info[:3]))}, polyroute {polyroute.__version__}")


def _secret_files(loaded: Loaded) -> Iterator[Finding]:
    for file in sorted({file for secret in secrets_of(loaded.document) if (file := file_of(secret)) is not None}):
        mode = (loaded.folder / file).stat().st_mode & 0o777
        if mode & 0o077:
            yield _warn("secrets", f"{file} can be read by others than its owner (mode {mode:o}): chmod 600 {file}")


def _store(loaded: Loaded) -> Iterator[Finding]:
    try:
        store = open_store(loaded.document, loaded.folder)
        file = store.beside  # or, of a server, what its journals on this machine are named after
        if not os.access(file.parent, os.W_OK):
            yield _fail("store", f"the folder {file.parent} is not there or cannot be written")
        elif not (version := store.version()):
            yield _ok("store", f"{store} is made at the first start")
        elif file.exists() and not os.access(file, os.W_OK):
            yield _fail("store", f"{file} cannot be written; check its owner and permissions")
        elif version < store.newest:
            yield _ok("store", f"{store} has version {version} and is brought to {store.newest} at the next start")
        else:
            yield from _books(store)
    except StoreError as exc:
        yield _fail("store", exc.message)


def _books(store: Store) -> Iterator[Finding]:
    with store.open_books() as books:
        findings = books.verify()
    left_open = [finding for finding in findings if finding.kind == "left_open"]
    if left_open:
        yield _warn(
            "store", f"{len(left_open)} requests of a dead process are open; `polyroute ledger recover` closes them"
        )
    if len(findings) > len(left_open):
        yield _fail("store", f"{len(findings) - len(left_open)} findings; `polyroute ledger verify` lists them")
    elif not left_open:
        yield _ok("store", f"{store} can be written, and its books balance")


def _prices(document: Document) -> Iterator[Finding]:
    today = datetime.now(UTC).date()
    unknown = sorted({d.model for d in deployments(document, Catalogue()) if price_at(d.card, today) is None})
    has_budget = any(value is not None for name, value in asdict(document.limits).items() if name.endswith("_usd"))
    if not unknown:
        yield _ok("prices", "every model has a price")
    elif has_budget:
        fix = "a budget applies, so their requests answer 402; give `price:` of each"
        yield _fail("prices", f"no price is known of {', '.join(unknown)}: {fix}")
    else:
        yield _warn("prices", f"no price is known of {', '.join(unknown)}: their cost is counted as unknown")


def _port(loaded: Loaded) -> Finding:
    server = loaded.document.server
    try:
        listen(server.host, server.port).close()
    except OSError as exc:
        return _warn("port", f"{server.host}:{server.port}: {exc.strerror}; is a gateway serving there already?")
    return _ok("port", f"{server.host}:{server.port} is free")


async def _reach(document: Document) -> list[Finding]:
    looks = []
    for name, provider in document.providers.items():
        address = provider.base_url or _ADDRESSES.get(provider.dialect)
        if address is not None:
            looks.append(_connect(name, parse_url(address.replace("{model}", "model"))))
    return list(await asyncio.gather(*looks))


async def _connect(name: str, address: Address) -> Finding:
    origin, check = address.origin, f"provider {name}"
    try:
        async with asyncio.timeout(_PATIENCE_S):
            _, writer = await asyncio.open_connection(origin.host, origin.port, ssl=origin.is_tls or None)
    except TimeoutError:
        return _fail(check, f"{address.authority} cannot be reached within {_PATIENCE_S:g} s")
    except OSError as exc:
        return _fail(check, f"{address.authority} cannot be reached: {exc.strerror or exc}")
    writer.close()
    return _ok(check, f"{address.authority} answers")


def _ok(check: str, message: str) -> Finding:
    return Finding(check=check, state="ok", message=message)


def _warn(check: str, message: str) -> Finding:
    return Finding(check=check, state="warn", message=message)


def _fail(check: str, message: str) -> Finding:
    return Finding(check=check, state="fail", message=message)
