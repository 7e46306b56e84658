"""The verb `keys`: the keys of callers, opened in the store directly. A running server takes a change within 2 s."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated

import typer

from polyroute.authorisation import ROLES
from polyroute.cli.shell import ConfigOption, DebugOption, JsonOption, print_json, print_table, say, told
from polyroute.cli.store import open_directory
from polyroute.errors import InvalidRequest
from polyroute.state.directory import Directory, Issued, KeyOrder
from polyroute.types.access import Caller, Role
from polyroute.types.identity import KeyRecord, Money, Pace, shown

keys = typer.Typer(help="Make, list, rotate and end callers' keys.", no_args_is_help=True)

OPERATOR = Caller(user="operator", key_id="command line", role="admin")  # who can write the store's file is one
_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="As `keys list` shows it.")]


@contextmanager
def _directory(config: ConfigOption, debug: bool) -> Iterator[Directory]:
    with told(debug=debug), open_directory(config) as found:
        yield found


@keys.command("list")
def list_keys(config: ConfigOption = None, as_json: JsonOption = False, debug: DebugOption = False) -> None:
    """Every key that was made here; the document's own are in the document."""
    with _directory(config, debug) as directory:
        found = directory.keys(OPERATOR)
    if as_json:
        print_json(list(map(shown, found)))
    else:
        now = datetime.now(UTC)
        columns = ("id", "name", "ends in", "tenant", "team", "user", "role", "state")
        rows = [(k.id, k.name, k.hint, k.tenant, k.team, k.user, k.role, _state(k, now)) for k in found]
        print_table(columns, rows)


@keys.command()
def create(
    name: Annotated[str | None, typer.Option(help="Shown in lists.")] = None,
    team: Annotated[str | None, typer.Option(help="Who pays.")] = None,
    user: Annotated[str | None, typer.Option(help="Who calls; else the key's name.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Whose data must stay apart.")] = None,
    role: Annotated[str, typer.Option(help="member, team_admin, viewer or admin.")] = "member",
    model: Annotated[list[str] | None, typer.Option(help="A route or model it may ask for; repeat. Else all.")] = None,
    daily_usd: Annotated[str | None, typer.Option(help="The most it may spend per UTC day.")] = None,
    monthly_usd: Annotated[str | None, typer.Option(help="The most it may spend per calendar month.")] = None,
    per_minute: Annotated[int | None, typer.Option(help="Requests in any minute.")] = None,
    tokens_per_minute: Annotated[int | None, typer.Option(help="Tokens in any minute.")] = None,
    expires: Annotated[str | None, typer.Option(help="After so long, as 12h, 30d or 8w; or a date.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Make a key. It is shown this once and kept as a hash."""
    with _directory(config, debug) as directory:
        order = KeyOrder(
            name=name,
            tenant=tenant,
            team=team,
            user=user,
            role=_role(role),
            models=tuple(model) if model else None,
            budget=Money(
                daily_usd=dollars(daily_usd, "--daily-usd"), monthly_usd=dollars(monthly_usd, "--monthly-usd")
            ),
            limits=Pace(per_minute=per_minute, tokens_per_minute=tokens_per_minute),
            expires=expiry(expires),
        )
        issued = directory.create_key(OPERATOR, order)
    _tell(issued, as_json)


@keys.command()
def rotate(
    key_id: IdArgument, config: ConfigOption = None, as_json: JsonOption = False, debug: DebugOption = False
) -> None:
    """Give a key a new secret; the old one ends."""
    with _directory(config, debug) as directory:
        issued = directory.rotate_key(OPERATOR, key_id)
    _tell(issued, as_json)


@keys.command()
def revoke(
    key_id: IdArgument, config: ConfigOption = None, as_json: JsonOption = False, debug: DebugOption = False
) -> None:
    """End a key, for good."""
    with _directory(config, debug) as directory:
        revoked = directory.revoke_key(OPERATOR, key_id)
    if as_json:
        print_json(shown(revoked))
    else:
        say(f"{revoked.id} is revoked; running servers refuse it within 2 s")


def _tell(issued: Issued, as_json: bool) -> None:
    if as_json:
        print_json(issued.shown())
    else:
        say(issued.key)
        typer.echo(f"{issued.record.id}: shown this once, keep it safe", err=True)


def _state(key: KeyRecord, now: datetime) -> str:
    if key.revoked_at is not None:
        return f"revoked {key.revoked_at:%Y-%m-%d}"
    if key.expires_at is None:
        return "valid"
    return f"{'expired' if key.expires_at <= now else 'valid until'} {key.expires_at:%Y-%m-%d %H:%M} UTC"


def _role(given: str) -> Role:
    found = next((role for role in ROLES if role == given), None)
    if found is None:
        raise InvalidRequest(f"--role must be {', '.join(ROLES[:-1])} or {ROLES[-1]}, got {given[:40]!r}", field="role")
    return found


def dollars(given: str | None, option: str) -> Decimal | None:
    if given is None:
        return None
    if not given.replace(".", "", 1).isdecimal():
        raise InvalidRequest(f"{option} must be an amount of dollars such as 20 or 0.50, got {given[:40]!r}")
    return Decimal(given)


def expiry(given: str | None) -> datetime | None:
    """`30d` from now, or a date or time; without a zone it is UTC."""
    if given is None:
        return None
    if given[-1:] in _UNITS and given[:-1].isdecimal() and len(given) < 8:
        return datetime.now(UTC) + int(given[:-1]) * _UNITS[given[-1]]
    try:
        at = datetime.fromisoformat(given)
    except ValueError:
        raise InvalidRequest(f"--expires must be as 12h, 30d, 8w or 2027-01-31, got {given[:40]!r}") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
