"""The verb `what-if`: past traffic at another price: what it would have cost, and where it would have gone."""

import os
from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated

import typer
from msgspec import convert
from msgspec.structs import replace

from polyroute.catalog.cards import Catalogue
from polyroute.catalog.pricing import price_at
from polyroute.cli.moments import moment
from polyroute.cli.replay import foreseen, show
from polyroute.cli.shell import ConfigOption, DebugOption, JsonOption, document_path, print_json, told
from polyroute.config import document as settings
from polyroute.config.load import Loaded, read
from polyroute.config.resolve import deployments
from polyroute.config.suggest import Vocabulary
from polyroute.errors import InvalidRequest
from polyroute.types.cards import Deployment, Price, Rates

what_if = typer.Typer(help="Past traffic under other circumstances: cost and choices.", no_args_is_help=True)


@what_if.callback()
def _what_if() -> None:
    """Past traffic under other circumstances: cost and choices."""


@what_if.command()
def price(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="As the document names it, or its provider does.")],
    change: Annotated[str, typer.Argument(metavar="CHANGE", help="x2, x0.5 or +20%.")],
    since: Annotated[
        str, typer.Option(help="Requests of the last 24h, 7d, … or since a date (UTC).", metavar="WHEN")
    ] = "30d",
    config: ConfigOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Multiply a model's price: what past requests would have cost, and where they would have gone."""
    factor, start = _factor(change), moment(since)
    with told(debug=debug):
        loaded = read(document_path(config), os.environ)
        changed = repriced(loaded, model, factor, datetime.now(UTC).date())
        found = foreseen(changed, config, start, f"the books, as decided and paid, before {model} costs x{factor}")
    if as_json:
        print_json(found)
    else:
        show(found)


def _factor(written: str) -> Decimal:
    try:
        if written[:1] in ("x", "×"):
            factor = Decimal(written[1:])
        elif written[-1:] == "%":
            factor = 1 + Decimal(written[:-1]) / 100
        else:
            factor = Decimal("NaN")
    except InvalidOperation:
        factor = Decimal("NaN")
    if not factor.is_finite() or factor < 0 or factor > 1_000_000:
        raise typer.BadParameter(f"`{written}` is no change of a price: x2, x0.5 or +20%")
    return factor


def repriced(loaded: Loaded, name: str, factor: Decimal, today: date) -> Loaded:
    """The same document with that model's price multiplied everywhere. Raises InvalidRequest."""
    document = loaded.document
    found = deployments(document, Catalogue())
    meant = [one for one in found if name in (one.model, one.upstream_model, one.card.id)]
    if not meant:
        names = {one.model for one in found} | {one.upstream_model for one in found}
        raise InvalidRequest(f"there is no model `{name}` in the document; {Vocabulary(sorted(names)).fix(name) or ''}")
    if unpriced := [one.id for one in meant if price_at(one.card, today) is None]:
        raise InvalidRequest(f"the price of {', '.join(unpriced)} is not known: say it in the document")
    models = dict(document.models)
    for model in dict.fromkeys(one.model for one in meant):
        places = [one for one in found if one.model == model]
        models[model] = _repriced(document.models.get(model), places, meant, factor, today)
    return replace(loaded, document=replace(document, models=models))


def _repriced(
    written: str | settings.Model | None,
    places: list[Deployment],
    meant: Iterable[Deployment],
    factor: Decimal,
    today: date,
) -> settings.Model:
    changed = {one.id for one in meant}
    prices = [_scaled(price_at(one.card, today), factor) if one.id in changed else None for one in places]
    if not isinstance(written, settings.Model):
        first = places[0]
        return settings.Model(provider=first.provider, model=first.upstream_model, price=prices[0])
    if not written.deployments:
        return replace(written, price=prices[0])
    placements = tuple(
        placement if new is None else replace(placement, price=new)
        for placement, new in zip(written.deployments, prices, strict=True)
    )
    return replace(written, deployments=placements)


def _scaled(price: Price | None, factor: Decimal) -> settings.PerToken | None:
    if price is None:
        return None
    tiers = [
        {"above_input_tokens": tier.above_input_tokens, **_times(tier.rates, factor, settings.Tier)}
        for tier in price.tiers
    ]
    rates = price.rates
    image: object = {kind: amount * factor for kind, amount in rates.images.items()} or (
        None if rates.image is None else rates.image * factor
    )
    return convert(
        {**_times(rates, factor, settings.PerToken), "image": image, "tiers": tiers}, settings.PerToken, strict=False
    )


def _times(rates: Rates, factor: Decimal, kind: type[settings.PerToken | settings.Tier]) -> dict[str, object]:
    """The rates that `kind` has a field for."""
    amounts = ((name, getattr(rates, name, None)) for name in kind.__struct_fields__)
    return {name: amount * factor for name, amount in amounts if isinstance(amount, Decimal)}
