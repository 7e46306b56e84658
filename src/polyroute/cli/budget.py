"""The verb `budget`: what may be spent, what is spent and what is left. Also beside a running gateway."""

import os
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated

import typer

from polyroute.cli.keys import OPERATOR, dollars
from polyroute.cli.shell import ConfigOption, DebugOption, JsonOption, document_path, print_json, print_table, say, told
from polyroute.cli.store import open_directory, store_of
from polyroute.config.load import read
from polyroute.state.accounts.accounts import Accounts
from polyroute.state.accounts.standing import BudgetLine, all_budgets
from polyroute.types.identity import Money
from polyroute.types.money import format_usd
from polyroute.wiring import access, stores

budget = typer.Typer(help="Show and set what may be spent.", no_args_is_help=True)


@budget.command()
def show(
    kind: Annotated[str | None, typer.Option(help="Only of keys, users, teams, tenants, models, …: `team`.")] = None,
    name: Annotated[str | None, typer.Option(help="Only of this one.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Every budget with what is spent and left, from the books. What calls under way hold is not in them."""
    with told(debug=debug):
        loaded, now = read(document_path(config), os.environ), datetime.now(UTC)
        store = store_of(config)
        managed = None
        if store.version():
            with closing(stores.open_records(store)) as records:
                managed = access.Managed(records)
                managed.refresh()
        accounts = Accounts(access.allowances(loaded.document, managed))
        if store.version():
            with store.open_books() as books:
                for period, start in accounts.windows(now).items():
                    accounts.restore(period, books.spent_since(start), now)
    lines = [line for line in all_budgets(accounts, now) if _is_wanted(line, kind, name)]
    if as_json:
        print_json(lines)
        return
    columns = ("budget", "of", "limit", "spent", "left", "used", "until")
    print_table(columns, map(_row, lines))
    if not lines:
        say("no budget: `limits`, `teams`, `keys`, `models` and `providers` of the document may have one")


@budget.command("set")
def set_budget(
    kind: Annotated[str, typer.Argument(help="key, user, team or tenant.")],
    name: Annotated[str, typer.Argument(help="Whose; of a key its id.")],
    tenant: Annotated[str, typer.Option(help="Whose user or team it is.")] = "default",
    daily_usd: Annotated[str | None, typer.Option(help="Per UTC day.")] = None,
    weekly_usd: Annotated[str | None, typer.Option(help="Per ISO week.")] = None,
    monthly_usd: Annotated[str | None, typer.Option(help="Per calendar month.")] = None,
    total_usd: Annotated[str | None, typer.Option(help="Ever.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Give a key, user, team or tenant another budget, in place of the one it has. Without amounts it has none."""
    with told(debug=debug), open_directory(config) as directory:
        money = Money(
            daily_usd=dollars(daily_usd, "--daily-usd"),
            weekly_usd=dollars(weekly_usd, "--weekly-usd"),
            monthly_usd=dollars(monthly_usd, "--monthly-usd"),
            total_usd=dollars(total_usd, "--total-usd"),
        )
        changed = directory.allow(OPERATOR, kind, tenant, name, budget=money)
    if as_json:
        print_json(changed)
    else:
        say(f"{kind} `{name}` has its budget; running servers keep to it within 2 s")


def _is_wanted(line: BudgetLine, kind: str | None, name: str | None) -> bool:
    return kind in (None, line.owner.kind) and name in (None, line.owner.id)


def _row(line: BudgetLine) -> tuple[str, ...]:
    owner = line.owner
    whose = owner.id if owner.tenant in (None, "default", owner.id) else f"{owner.tenant}/{owner.id}"
    until = "ever" if line.resets_at is None else f"{line.resets_at:%Y-%m-%d}"
    return (line.name, f"{owner.kind} {whose}", *map(_usd, (line.limit_usd, line.spent_usd, line.remaining_usd)),
            f"{line.spent_share:.0%}", until)  # fmt: skip


def _usd(amount: Decimal) -> str:
    return f"${format_usd(amount)}"
