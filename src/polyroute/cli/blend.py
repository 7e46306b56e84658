"""What a mix of models costs per million tokens, beside the same tokens at one baseline: `savings --mix`."""

import os
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path

import typer
from msgspec import Struct

from polyroute.catalog.cards import Catalogue
from polyroute.catalog.pricing import price_at
from polyroute.cli.shell import document_path, fail, print_table, say
from polyroute.config.load import read
from polyroute.config.resolve import deployments, implicit_deployment
from polyroute.types.cards import Rates
from polyroute.types.money import ZERO_USD, format_usd


class Priced(Struct, frozen=True, kw_only=True):
    """A model, or a bare price, with its rates."""

    name: str
    rates: Rates


class Blend(Struct, frozen=True, kw_only=True):
    """US dollars per million tokens. Shares of saving are of the baseline, signed, None where that is free."""

    mix: tuple[Decimal, ...]  # adds up to 1
    models: tuple[str, ...]
    input_usd: Decimal
    output_usd: Decimal
    baseline: str
    baseline_input_usd: Decimal
    baseline_output_usd: Decimal
    saved_input_share: Decimal | None
    saved_output_share: Decimal | None
    latency_ms: None = None  # a price list knows neither latency
    quality: None = None  # nor quality


def blend(weights: tuple[Decimal, ...], parts: tuple[Priced, ...], baseline: Priced | None) -> Blend:
    """`weights` in any unit: 60/30/10 and 6/3/1 are the same mix. `baseline`: else the dearest of `parts`. Pure."""
    total = sum(weights, ZERO_USD)
    shares = tuple(weight / total for weight in weights)
    against = baseline or max(parts, key=lambda part: (part.rates.output, part.rates.input))
    input_usd = sum((share * part.rates.input for share, part in zip(shares, parts, strict=True)), ZERO_USD)
    output_usd = sum((share * part.rates.output for share, part in zip(shares, parts, strict=True)), ZERO_USD)
    return Blend(
        mix=shares,
        models=tuple(part.name for part in parts),
        input_usd=input_usd,
        output_usd=output_usd,
        baseline=against.name,
        baseline_input_usd=against.rates.input,
        baseline_output_usd=against.rates.output,
        saved_input_share=_saved(input_usd, against.rates.input),
        saved_output_share=_saved(output_usd, against.rates.output),
    )


def _saved(amount: Decimal, baseline: Decimal) -> Decimal | None:
    return (baseline - amount) / baseline if baseline else None


def read_blend(mix: str, *, models: str | None, prices: str | None, baseline: str | None, config: Path | None) -> Blend:
    """Raises BadParameter, or ConfigError where models are named; exits where one is not there or has no price."""
    weights = read_weights(mix, "--mix")
    if (models is None) == (prices is None):
        raise typer.BadParameter("`--mix` needs `--models a,b,c`, or `--prices 0.15,2.50,15`")
    names = tuple(name.strip() for name in (models or prices or "").split(","))
    if len(names) != len(weights):
        raise typer.BadParameter(f"`--mix` has {len(weights)} parts for {len(names)} models")
    wanted = (*names, baseline) if baseline is not None else names
    found = _prices(wanted) if prices is not None else _models(wanted, config)
    return blend(weights, found[: len(names)], found[len(names)] if baseline is not None else None)


def read_weights(mix: str, option: str) -> tuple[Decimal, ...]:
    """`70/20/10` in any unit. Raises BadParameter."""
    weights = tuple(_amount(part, option) for part in mix.split("/"))
    if not sum(weights):
        raise typer.BadParameter(f"`{option}` has no part above 0")
    return weights


def show(found: Blend) -> None:
    mix = " / ".join(f"{_percent(share)} {model}" for share, model in zip(found.mix, found.models, strict=True))
    say(mix)
    print_table(
        ("per million tokens", "the mix", found.baseline, "saved"),
        (
            ("input", _usd(found.input_usd), _usd(found.baseline_input_usd), _percent(found.saved_input_share)),
            ("output", _usd(found.output_usd), _usd(found.baseline_output_usd), _percent(found.saved_output_share)),
            ("latency", "unknown", "unknown", ""),
            ("quality", "unknown", "unknown", ""),
        ),
    )


def _prices(written: tuple[str, ...]) -> tuple[Priced, ...]:
    amounts = [_amount(text, "--prices") for text in written]
    return tuple(Priced(name=f"${format_usd(usd)}/M", rates=Rates(input=usd, output=usd)) for usd in amounts)


def _models(names: tuple[str, ...], config: Path | None) -> tuple[Priced, ...]:
    document, catalogue = read(document_path(config), os.environ).document, Catalogue()
    known = {deployment.model: deployment for deployment in reversed(deployments(document, catalogue))}
    found = []
    for name in names:
        deployment = known.get(name) or implicit_deployment(document, name, catalogue)
        if deployment is None:
            fail(f"there is no model `{name}` in the document; `polyroute models` lists them")
        price = price_at(deployment.card, datetime.now(UTC).date())
        if price is None:
            fail(f"the price of `{name}` is not known; give it as `models.{name}.price`")
        found.append(Priced(name=name, rates=price.rates))
    return tuple(found)


def _amount(text: str, option: str) -> Decimal:
    try:
        amount = Decimal(text.strip())
    except InvalidOperation:
        amount = Decimal(-1)
    if not amount.is_finite() or amount < 0:
        raise typer.BadParameter(f"`{option}`: `{text}` is no number of 0 or more")
    return amount


def _usd(amount: Decimal) -> str:
    return f"${format_usd(amount.normalize())}"


def _percent(share: Decimal | None) -> str:
    return "unknown" if share is None else f"{share * 100:.1f}%"
