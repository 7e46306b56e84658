"""The verb `config`: the document as it may be shown, those that were in force, what differs, and the way back.

It reads the document's file and the store directly, also beside a running gateway, which takes a changed file within
two seconds.
"""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from difflib import unified_diff
from typing import Annotated

import typer
from msgspec import Struct

from polyroute.cli.keys import OPERATOR
from polyroute.cli.shell import ConfigOption, DebugOption, JsonOption, document_path, print_json, print_table, say, told
from polyroute.config.load import Loaded, read, reads
from polyroute.config.masked import mask_problems, masked
from polyroute.config.replacing import replace_text
from polyroute.config.snapshot import Snapshot
from polyroute.errors import ConfigError
from polyroute.state.documents import DocumentHistory
from polyroute.wiring import stores
from polyroute.wiring.checking import standing_problems
from polyroute.wiring.prompts import missing_prompts
from polyroute.wiring.reload import expect_same

config = typer.Typer(
    help="Show the document; list, compare and restore those that were in force.", no_args_is_help=True
)

PolicyArgument = Annotated[str, typer.Argument(metavar="POLICY", help="As `config history` shows it.")]


class _Desk(Struct, frozen=True):
    loaded: Loaded
    history: DocumentHistory
    records: stores.ClosableRecords


@contextmanager
def _desk(file: ConfigOption, debug: bool) -> Iterator[_Desk]:
    with told(debug=debug):
        loaded = read(document_path(file), os.environ)
        with closing(stores.open_records(stores.open_store(loaded.document, loaded.folder))) as records:
            yield _Desk(loaded, DocumentHistory(records, lambda: datetime.now(UTC)), records)


@config.command()
def show(config: ConfigOption = None, as_json: JsonOption = False, debug: DebugOption = False) -> None:
    """The document and what it includes, secrets as they are named, never their values."""
    with told(debug=debug):
        loaded = read(document_path(config), os.environ)
        policy, texts = Snapshot.of(loaded.document).digest, masked(loaded)
    if as_json:
        print_json({"policy": policy, "texts": texts})
        return
    say(f"# policy {policy}")
    for name, text in texts.items():
        say(f"# {name}\n{text.rstrip()}")


@config.command()
def history(config: ConfigOption = None, as_json: JsonOption = False, debug: DebugOption = False) -> None:
    """The documents that were in force on this store, the newest first."""
    with _desk(config, debug) as desk:
        found = desk.history.every()
    if as_json:
        print_json([{"policy": kept.policy, "since": kept.since, "by": kept.by} for kept in found])
    else:
        print_table(("policy", "since, UTC", "by"), [(k.policy, f"{k.since:%Y-%m-%d %H:%M:%S}", k.by) for k in found])


@config.command()
def diff(
    policy: PolicyArgument,
    other: Annotated[
        str | None, typer.Argument(metavar="OTHER", help="A second one; else the document's file.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """What differs between a document that was in force and another, line by line."""
    with _desk(config, debug) as desk:
        old = desk.history.find(policy).texts
        new = masked(desk.loaded) if other is None else desk.history.find(other).texts
    lines: list[str] = []
    for name in dict.fromkeys((*old, *new)):
        before, after = old.get(name, "").splitlines(), new.get(name, "").splitlines()
        lines += unified_diff(before, after, f"{name} of {policy}", f"{name} of {other or 'now'}", lineterm="", n=2)
    if as_json:
        print_json({"same": not lines, "diff": lines})
    else:
        say("\n".join(lines) or "they say the same")


@config.command()
def rollback(
    policy: PolicyArgument, config: ConfigOption = None, as_json: JsonOption = False, debug: DebugOption = False
) -> None:
    """Write a document that was in force into the file again; what the file holds now is kept as FILE.before."""
    with _desk(config, debug) as desk:
        kept, before = desk.history.find(policy), desk.loaded
        fresh = reads(kept.text, os.environ, folder=before.folder, file=before.file.name)
        problems = (
            *mask_problems(fresh),
            *standing_problems(fresh, os.environ),
            *missing_prompts(fresh.document, desk.records),
        )
        if problems:
            raise ConfigError(fresh.placed(problems))
        expect_same(fresh, kept)
        replace_text(before.file, kept.text)
        desk.history.note(OPERATOR, "config:rollback", policy, kept.texts)
    if as_json:
        print_json({"policy": policy, "file": str(before.file)})
    else:
        say(f"{before.file} is {policy} again; running gateways take it within 2 s")
