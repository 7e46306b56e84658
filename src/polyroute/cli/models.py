"""The verb `models`: what is known of each model, from the price data, the document and our own books."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime

from msgspec.structs import asdict

from polyroute.catalog.cards import Catalogue
from polyroute.catalog.pricing import is_by_unit, is_free, price_at
from polyroute.cli.shell import ConfigOption, DebugOption, JsonOption, document_path, print_json, print_table, told
from polyroute.config.load import read
from polyroute.config.resolve import deployments
from polyroute.stores.figures import Figures
from polyroute.types.cards import Deployment, Price, Rates
from polyroute.types.money import format_usd
from polyroute.wiring.stores import open_store

_COLUMNS = (
    "model", "deployment", "input $/M", "output $/M", "context", "quality", "calls", "p50 ms", "p95 ms", "good for",
    "source",
)  # fmt: skip


def models(config: ConfigOption = None, as_json: JsonOption = False, debug: DebugOption = False) -> None:
    """List the models that routes may use, and where their facts come from.

    Price, size and abilities are the document's or the catalogue's; calls and latencies are what the books have seen.
    """
    with told(debug=debug):
        loaded = read(document_path(config), os.environ)
        found = deployments(loaded.document, Catalogue())
        store = open_store(loaded.document, loaded.folder)
        observed: dict[str, Figures] = {}
        if store.version():
            with store.open_books() as books:
                observed = {figures.name: figures for figures in books.by_model()}
    if as_json:
        print_json([_as_json(deployment, observed.get(deployment.model)) for deployment in found])
    else:
        print_table(_COLUMNS, [_row(deployment, observed.get(deployment.model)) for deployment in found])


def _row(deployment: Deployment, seen: Figures | None) -> tuple[str, ...]:
    card, price = deployment.card, _price(deployment)
    return (
        deployment.model,
        deployment.id,
        _rate(price, "input"),
        _rate(price, "output"),
        str(card.context_tokens or "unknown"),
        "unknown" if card.quality is None else f"{card.quality:g}",
        str(seen.calls) if seen else "0",
        f"{seen.p50_ms:.0f}" if seen else "unknown",
        f"{seen.p95_ms:.0f}" if seen else "unknown",
        ", ".join(sorted(card.tags)) or "-",
        f"{card.source} {card.as_of}" if card.as_of else card.source,
    )


def _as_json(deployment: Deployment, seen: Figures | None) -> dict[str, object]:
    card = deployment.card
    return {
        "model": deployment.model,
        "deployment": deployment.id,
        "provider": deployment.provider,
        "upstream_model": deployment.upstream_model,
        "region": deployment.region,
        "private": deployment.private,
        "price": _price(deployment),
        "context_tokens": card.context_tokens,
        "max_output_tokens": card.max_output_tokens,
        "modalities": None if card.modalities is None else sorted(card.modalities),
        "capabilities": None if card.capabilities is None else sorted(card.capabilities),
        "operations": None if card.operations is None else sorted(card.operations),
        "tags": sorted(card.tags),
        "quality": card.quality,
        "latency_ms": card.latency_ms,
        "observed": None if seen is None else {"calls": seen.calls, "p50_ms": seen.p50_ms, "p95_ms": seen.p95_ms},
        "source": card.source,
        "as_of": card.as_of,
    }


def _price(deployment: Deployment) -> Price | None:
    return price_at(deployment.card, datetime.now(UTC).date())


def _rate(price: Price | None, kind: str) -> str:
    if price is None:
        return "unknown"
    if is_by_unit(price):
        return ", ".join(_by_unit(price.rates)) if kind == "input" else "-"
    return "free" if is_free(price) else format_usd(asdict(price.rates)[kind])


def _by_unit(rates: Rates) -> Iterator[str]:
    """What each thing that is not counted in tokens costs."""
    for rate, each in (
        (rates.image, "an image"),
        (rates.audio_minute, "a minute"),
        (rates.million_characters, "M characters"),
        (rates.search, "a search"),
    ):
        if rate is not None:
            yield f"{format_usd(rate)} {each}"
    if rates.images:
        low, high = min(rates.images.values()), max(rates.images.values())
        yield f"{format_usd(low)} to {format_usd(high)} an image"
