"""The verb `overrides`: opened in the store directly. A running server takes a change within 2 s."""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from msgspec import Struct

from polyroute.cli.keys import OPERATOR, expiry
from polyroute.cli.shell import (
    ConfigOption,
    DebugOption,
    JsonOption,
    document_path,
    print_json,
    print_table,
    say,
    told,
)
from polyroute.config.document import Document
from polyroute.config.layer import Difference, Laid, differences
from polyroute.config.load import read
from polyroute.config.yaml12 import parse
from polyroute.errors import ConfigError, InvalidRequest, Problem
from polyroute.ports import Records
from polyroute.state.directory import taken
from polyroute.state.overrides import Override, OverrideOrder, Overrides
from polyroute.types.encoding import to_json
from polyroute.wiring import stores
from polyroute.wiring.overrides import layer_problems

overrides = typer.Typer(help="List, show, set, compare and remove what holds for one tenant.", no_args_is_help=True)

TenantArgument = Annotated[str, typer.Argument(metavar="TENANT")]


class _Desk(Struct, frozen=True):
    document: Document
    records: Records
    overrides: Overrides

    def laid(self, override: Override) -> Laid:
        return layer_problems(self.document, override.tenant, override.layer, self.records)


@contextmanager
def _desk(config: ConfigOption, debug: bool) -> Iterator[_Desk]:
    with told(debug=debug):
        loaded = read(document_path(config), os.environ)
        store = stores.open_store(loaded.document, loaded.folder)
        with closing(stores.open_records(store)) as records:
            yield _Desk(loaded.document, records, Overrides(records, lambda: datetime.now(UTC)))


@overrides.command("list")
def list_overrides(config: ConfigOption = None, as_json: JsonOption = False, debug: DebugOption = False) -> None:
    """Every tenant's override, the expired ones too."""
    with _desk(config, debug) as desk:
        found = desk.overrides.every(OPERATOR)
    now = datetime.now(UTC)
    if as_json:
        print_json([_shown(override, now) for override in found])
        return
    rows = [(o.tenant, o.owner, o.state(now), f"{o.expires_at:%Y-%m-%d %H:%M} UTC", ", ".join(o.layer)) for o in found]
    print_table(("tenant", "owner", "state", "ends", "says"), rows)


@overrides.command()
def show(
    tenant: TenantArgument, config: ConfigOption = None, as_json: JsonOption = False, debug: DebugOption = False
) -> None:
    """One tenant's override as it was given."""
    with _desk(config, debug) as desk:
        found = desk.overrides.find(OPERATOR, tenant)
    now = datetime.now(UTC)
    if as_json:
        print_json(_shown(found, now))
        return
    say(f"{found.tenant}: {found.state(now)}, ends {found.expires_at:%Y-%m-%d %H:%M} UTC; {found.owner} answers for it")
    say(f"set by {found.made_by} at {found.made_at:%Y-%m-%d %H:%M} UTC")
    say(to_json(found.layer).decode())


@overrides.command("set")
def set_override(
    tenant: TenantArgument,
    file: Annotated[Path, typer.Option(help="YAML or JSON of {routes, limits, policy}.", metavar="FILE")],
    owner: Annotated[str, typer.Option(help="Who answers for it.")],
    expires: Annotated[str, typer.Option(help="After so long, as 12h, 30d or 8w; or a date.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Lay something over the document for one tenant, in place of what was laid there before."""
    with _desk(config, debug) as desk:
        problems: list[Problem] = []
        raw = parse(file.read_text(encoding="utf-8"), file=str(file), env={}, problems=problems, marks=None)
        if problems:
            raise ConfigError(problems)
        if not isinstance(raw, dict):
            raise InvalidRequest(f"{file} is no mapping of routes, limits and policy")
        ends = expiry(expires)
        assert ends is not None  # it was given
        order = taken(OverrideOrder, {**raw, "owner": owner, "expires": ends})
        desk.overrides.checked(tenant, order)
        laid = layer_problems(desk.document, tenant, order.layer, desk.records)
        if laid.problems:
            raise ConfigError(laid.problems)
        made = desk.overrides.put(OPERATOR, tenant, order)
    if as_json:
        print_json(_shown(made, datetime.now(UTC)))
    else:
        _tell(differences(desk.document, laid, tenant))


@overrides.command()
def diff(
    tenant: TenantArgument, config: ConfigOption = None, as_json: JsonOption = False, debug: DebugOption = False
) -> None:
    """What a tenant's override makes other than the document. Exit 1 where it does not fit the document any more."""
    with _desk(config, debug) as desk:
        laid = desk.laid(desk.overrides.find(OPERATOR, tenant))
        found = differences(desk.document, laid, tenant)
        if laid.problems:
            raise ConfigError(laid.problems)
    if as_json:
        print_json(found)
    else:
        _tell(found)


@overrides.command()
def remove(
    tenant: TenantArgument, config: ConfigOption = None, as_json: JsonOption = False, debug: DebugOption = False
) -> None:
    """Take a tenant's override away."""
    with _desk(config, debug) as desk:
        desk.overrides.remove(OPERATOR, tenant)
    if as_json:
        print_json({"tenant": tenant, "removed": True})
    else:
        say(f"{tenant} has no override; running servers go by the document within 2 s")


def _shown(override: Override, now: datetime) -> dict[str, object]:
    return {
        "tenant": override.tenant,
        "owner": override.owner,
        "state": override.state(now),
        "expires_at": override.expires_at,
        "made_at": override.made_at,
        "made_by": override.made_by,
        **override.layer,
    }


def _tell(found: tuple[Difference, ...]) -> None:
    for difference in found:
        base, override = to_json(difference.base).decode(), to_json(difference.override).decode()
        say(f"{difference.path}: {base} → {override}")
    if not found:
        say("nothing is other than in the document")
