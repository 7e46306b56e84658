"""The verb `economics`: what is charged. Calculators read their own files and need no document."""

from decimal import Decimal
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from polyroute.cli.keys import dollars
from polyroute.cli.shell import DebugOption, JsonOption, print_json, print_table, say, told
from polyroute.config import yaml12
from polyroute.economics.tariffs import Line, Tariff, Terms, problems
from polyroute.economics.tariffs import invoice as billed
from polyroute.economics.tariffs import quote as quoted
from polyroute.errors import ConfigError, InvalidRequest, Problem
from polyroute.types.money import format_usd

economics = typer.Typer(help="Price what customers use: invoices and quotes, exact to the cent.", no_args_is_help=True)


@economics.command()
def invoice(
    tariff: Annotated[Path, typer.Option(help="The tariff: fee, allowance, unit price, discounts.", metavar="FILE")],
    usage_tokens: Annotated[list[int], typer.Option(help="Tokens of a month; repeated, of several months.")],
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """The bill of one month, or of several, by a three-part tariff."""
    with told(debug=debug):
        known = _tariff(tariff)
        bills = [billed(known, tokens) for tokens in usage_tokens]
    total = sum((bill.total_usd for bill in bills), Decimal(0))
    if as_json:
        print_json(bills[0] if len(bills) == 1 else {"total_usd": total, "months": bills})
        return
    for number, bill in enumerate(bills, start=1):
        month = f"month {number}: " if len(bills) > 1 else ""
        say(f"{month}{bill.tokens:,} tokens, {bill.schedule}")
        print_table(("line", "tokens", "USD per million", "USD"), map(_row, bill.lines))
        other = "by agreement" if bill.other_schedule_usd is None else f"${bill.other_schedule_usd}"
        say(f"total ${bill.total_usd}; by the other schedule {other}\n")
    if len(bills) > 1:
        say(f"all months ${total}")


@economics.command()
def quote(
    unit_price: Annotated[str, typer.Option(help="US dollars per million tokens.")],
    usage_tokens: Annotated[int, typer.Option(help="Tokens a month, estimated.")],
    platform_fee: Annotated[str, typer.Option(help="US dollars a month.")] = "0",
    discount: Annotated[str, typer.Option(help="From 0 to 1; 0.15 is 15 % off.")] = "0",
    sla_premium: Annotated[str, typer.Option(help="US dollars a month.")] = "0",
    criticality: Annotated[str, typer.Option(help="Multiplies the SLA premium.")] = "1",
    services: Annotated[str, typer.Option(help="US dollars of professional services.")] = "0",
    cost: Annotated[str | None, typer.Option(help="What serving it costs, US dollars a month: for the margin.")] = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """An enterprise's price, with its effective price per million tokens and its margin."""
    with told(debug=debug):
        found = quoted(
            Terms(
                platform_fee_usd=_amount(platform_fee, "--platform-fee"),
                usage_tokens=usage_tokens,
                unit_price_usd_per_million=_amount(unit_price, "--unit-price"),
                discount=_amount(discount, "--discount"),
                sla_premium_usd=_amount(sla_premium, "--sla-premium"),
                criticality=_amount(criticality, "--criticality"),
                services_usd=_amount(services, "--services"),
                cost_usd=dollars(cost, "--cost"),
            )
        )
    if as_json:
        print_json(found)
        return
    print_table(("line", "tokens", "USD per million", "USD"), map(_row, found.lines))
    effective = found.effective_usd_per_million
    say(f"total ${found.total_usd}" + ("" if effective is None else f", ${effective:.4f} per million tokens in all"))
    if found.margin is not None:
        say(f"margin {found.margin:.1%}")
    say(found.formula)


def _amount(text: str, option: str) -> Decimal:
    found = dollars(text, option)
    assert found is not None  # there is a text
    return found


def _row(line: Line) -> tuple[str, ...]:
    tokens = "" if line.tokens is None else f"{line.tokens:,}"
    price = "" if line.usd_per_million is None else f"${format_usd(line.usd_per_million)}"
    return (line.what, tokens, price, f"${line.amount_usd}")


def _tariff(path: Path) -> Tariff:
    """JSON, or YAML. Raises ConfigError with every problem."""
    found: list[Problem] = []
    tree = yaml12.parse(path.read_text(encoding="utf-8"), file=str(path), env={}, problems=found)
    if found:
        raise ConfigError(found)
    if not isinstance(tree, dict):
        raise InvalidRequest(
            f"{path} is no tariff: {{platform_fee_usd, allowance_tokens, unit_price_usd_per_million, …}}"
        )
    try:
        tariff = msgspec.convert(_listed(tree), Tariff, strict=False)
    except msgspec.ValidationError as fault:
        message, _, where = str(fault).partition(" - at `$")
        raise ConfigError([Problem(path=where.strip("`.") or "tariff", message=message, file=str(path))]) from fault
    if found := [msgspec.structs.replace(problem, file=str(path)) for problem in problems(tariff)]:
        raise ConfigError(found)
    return tariff


def _listed(tree: dict[str, object]) -> dict[str, object]:
    """A band whose `discount` is `custom` has none in the list."""
    bands = tree.get("discounts")
    if not isinstance(bands, list):
        return tree
    plain = [
        {**band, "discount": None} if isinstance(band, dict) and band.get("discount") == "custom" else band
        for band in bands
    ]
    return {**tree, "discounts": plain}
