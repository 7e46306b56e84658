"""The verb `migrate`: the database's schema, brought to the version that this Polyroute wants, or back."""

from typing import Annotated

import typer

from polyroute.cli.shell import ConfigOption, DebugOption, JsonOption, print_json, say, told
from polyroute.cli.store import store_of


def migrate(
    to: Annotated[int | None, typer.Option("--to", help="This version; else the newest. 0 is empty.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Change nothing; exit 1 where it is another version.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Bring the database's schema forward or back. A gateway that starts does the first by itself.

    Going back loses what only the newer version keeps. It is all or nothing, also where a gateway starts meanwhile.
    """
    with told(debug=debug):
        store = store_of(config)
        before, aim = store.version(), store.newest if to is None else to
        if not check:
            store.migrate(to)
        after = store.version()
    if as_json:
        print_json({"ok": after == aim, "before": before, "version": after, "newest": store.newest})
    elif check:
        say(f"{store} has version {after}; {'as it should be' if after == aim else f'wanted: {aim}'}")
    else:
        say(f"{store} has version {after}" + (f", before {before}" if before != after else ""))
    if after != aim:
        raise typer.Exit(1)
