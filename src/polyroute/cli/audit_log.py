"""The verb `audit-log`: who did what to keys, teams, prompts and reviews, and whether the log is whole."""

from typing import Annotated

import typer
from msgspec.structs import asdict

from polyroute.cli.shell import ConfigOption, DebugOption, JsonOption, fail, print_json, print_table, say, told
from polyroute.cli.store import open_records
from polyroute.stores.records.chain import check

audit_log = typer.Typer(help="Show who managed what, and check that the log is whole.", no_args_is_help=True)


@audit_log.command("list")
def list_entries(
    after: Annotated[int, typer.Option(help="Only entries after this one.")] = 0,
    limit: Annotated[int, typer.Option(help="At most so many.")] = 100,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Who did what, in order."""
    with told(debug=debug), open_records(config) as records:
        found = [(entry, entry.act) for entry in records.entries(after=after, limit=limit)]
    if as_json:
        print_json([{"seq": entry.seq, "hash": entry.hash.hex(), **asdict(act)} for entry, act in found])
    else:
        rows = [
            (str(entry.seq), f"{act.at:%Y-%m-%d %H:%M:%S}", act.actor, act.action, act.id, act.tenant)
            for entry, act in found
        ]
        print_table(("entry", "UTC", "who", "did", "to", "tenant"), rows)


@audit_log.command()
def verify(
    head: Annotated[str | None, typer.Option(help="The last hash as noted before; it must be in the log.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Check every link of the chain. Exit 1 where one is broken."""
    with told(debug=debug), open_records(config) as records:
        audit = check(records, noted=head)
    if as_json:
        print_json({"whole": audit.whole, **asdict(audit)})
        if not audit.whole:
            raise typer.Exit(1)
    elif audit.fault is not None:
        fail(audit.fault)
    else:
        say(f"the audit log is whole: {audit.entries} entries, head {audit.head}")
