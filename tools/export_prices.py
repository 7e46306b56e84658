#!/usr/bin/env python3
"""Writes the catalogue's price file from the offline data of the `genai-prices` package (a development dependency).

Run it after upgrading that package. Nothing is fetched, and the same package version gives the same bytes.
What our token classes cannot express is left out and counted in the file's header, never guessed; where a price
depends on the hour or on the kind of output, the dearest is kept, so that a cost is never too low.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Context, Decimal
from importlib import metadata
from pathlib import Path

from genai_prices import types as source
from genai_prices.data import providers

TARGET = Path(__file__).parent.parent / "src" / "polyroute" / "catalog" / "data" / "models.json"
PACKAGE = "genai-prices"

# Subscriptions, speech products and endpoints that a gateway's model call never reaches.
NOT_CALLABLE = {"cursor", "elevenlabs", "github-copilot", "openai-decisions"}

CLASSES = {
    "input_mtok": "input",
    "output_mtok": "output",
    "cache_read_mtok": "cached_input",
    "cache_write_mtok": "cache_write",
    "cache_write_1h_mtok": "cache_write_1h",
    "output_reasoning_mtok": "reasoning",
    "input_audio_mtok": "input_audio",
    "output_audio_mtok": "output_audio",
}
MEDIA_OUTPUT = ("output_image_mtok", "output_video_mtok")  # counted as plain output in usage: the dearest is kept

Rates = dict[str, str]
left_out: Counter[str] = Counter()


def plain(amount: Decimal) -> str:
    """Plain digits; nine of them, which undoes what binary floats did to some of the source's figures."""
    return f"{amount.normalize(Context(prec=9)):f}"


def rates_at(price: source.ModelPrice, start: int) -> Rates:
    """Rates of every class once input is longer than `start` tokens. Embeddings have no output to price: 0."""
    found: dict[str, Decimal] = {}
    for key, value in vars(price).items():
        if value is None:
            continue
        if isinstance(value, source.TieredPrices):
            reached = [tier.price for tier in value.tiers if tier.start <= start]
            amount = reached[-1] if reached else value.base
        else:
            amount = value
        found[key] = amount
    rates = {name: found.get(key, Decimal(0)) for key, name in CLASSES.items() if key in found or name == "output"}
    rates["output"] = max([rates["output"], *(found[key] for key in MEDIA_OUTPUT if key in found)])
    return {name: plain(amount) for name, amount in rates.items()}


def price_of(price: source.ModelPrice) -> dict[str, object] | None:
    """None where nothing is charged by the token."""
    keys = {key for key, value in vars(price).items() if value is not None}
    for key in sorted(keys - CLASSES.keys() - set(MEDIA_OUTPUT) - {"requests_kcount"}):
        left_out[f"unit {key}"] += 1
    if "input_mtok" not in keys:
        return None
    starts = {tier.start for v in vars(price).values() if isinstance(v, source.TieredPrices) for tier in v.tiers}
    entry: dict[str, object] = {"rates": rates_at(price, -1)}
    if starts:
        entry["tiers"] = [{"above_input_tokens": start, "rates": rates_at(price, start)} for start in sorted(starts)]
    per_request = getattr(price, "requests_kcount", None)
    if per_request is not None:
        entry["per_request_usd"] = plain(per_request / 1000)
    return entry


def dearest(a: source.ModelPrice, b: source.ModelPrice) -> source.ModelPrice:
    return max(a, b, key=lambda price: Decimal(rates_at(price, -1).get("input", "0")))


def prices_of(model: source.ModelInfo) -> list[dict[str, object]]:
    """By rising date. An hour's price replaces the day's where it is dearer."""
    left_out["batch and flex variants"] += len(model.price_variants or ())
    conditional = (
        [source.ConditionalPrice(prices=model.prices)] if isinstance(model.prices, source.ModelPrice) else model.prices
    )
    periods: list[tuple[date | None, source.ModelPrice]] = []
    for item in conditional:
        if isinstance(item.constraint, source.TimeOfDateConstraint):
            left_out["hours of the day"] += 1
            start, price = periods[-1]
            periods[-1] = (start, dearest(price, item.prices))
        else:
            periods.append((item.constraint.start_date if item.constraint else None, item.prices))
    starts = [start.isoformat() if start else "" for start, _ in periods]
    if starts != sorted(starts):
        raise SystemExit(f"{model.id}: prices are not in order of time")
    entries = []
    for start, price in periods:
        entry = price_of(price)
        if entry is None and model.id.endswith(":free"):  # the provider's own mark; without it, no price is unknown
            entry = {"rates": {"input": "0", "output": "0"}}
        if entry is not None:
            entries.append(({"effective_from": start.isoformat()} if start else {}) | entry)
    return entries


def clauses(match: object) -> Iterator[tuple[str, str]]:
    """(kind, text) of each alternative; a conjunction becomes one pattern."""
    match match:
        case source.ClauseOr():
            for clause in match.or_:
                yield from clauses(clause)
        case source.ClauseEquals():
            yield "names", match.equals.lower()
        case source.ClauseStartsWith():
            yield "starts", match.starts_with.lower()
        case source.ClauseContains():
            yield "contains", match.contains.lower()
        case source.ClauseEndsWith():
            yield "ends", match.ends_with.lower()
        case source.ClauseRegex():
            yield "patterns", match.regex
        case source.ClauseAnd():
            yield "patterns", "".join(f"(?={ahead(*next(clauses(clause)))})" for clause in match.and_)
        case _:
            raise SystemExit(f"unknown match {match!r}")


def ahead(kind: str, text: str) -> str:
    literal = re.escape(text)
    return {
        "names": f"^{literal}$",
        "starts": f"^{literal}",
        "contains": f".*{literal}",
        "ends": f".*{literal}$",
        "patterns": text,
    }[kind]


def model_entry(model: source.ModelInfo) -> dict[str, object]:
    match: dict[str, list[str]] = {}
    for kind, text in dict.fromkeys(clauses(model.match)):  # case apart, the source repeats itself
        match.setdefault(kind, []).append(text)
    if match == {"names": [model.id.lower()]}:
        match = {}
    entry: dict[str, object] = {"id": model.id, **match}
    if model.context_window:
        entry["context_tokens"] = model.context_window
    if prices := prices_of(model):
        entry["prices"] = prices
    else:
        left_out["models without a price by the token"] += 1
    return entry


def line(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def render() -> str:
    version = metadata.version(PACKAGE)
    known = json.loads(TARGET.read_text(encoding="utf-8")) if TARGET.exists() else {}
    licence = next(file for file in metadata.files(PACKAGE) or () if file.name == "LICENSE")
    addresses: dict[str, str] = {}
    body = []
    for provider in sorted(providers, key=lambda provider: provider.id):
        if provider.id in NOT_CALLABLE:
            left_out["providers no gateway calls"] += 1
            continue
        addresses[provider.id] = provider.api_pattern
        fallbacks = line(provider.fallback_model_providers or [])
        models = ",\n".join(line(model_entry(model)) for model in provider.models)
        body.append(f'{line(provider.id)}:{{"fallbacks":{fallbacks},"models":[\n{models}\n]}}')
    header = {
        "about": "Generated by tools/export_prices.py: change that, or add facts to overlay.json.",
        "source": PACKAGE,
        "version": version,
        "as_of": known["as_of"] if known.get("version") == version else datetime.now(UTC).date().isoformat(),
        "unit": "US dollars per million tokens",
        "left_out": dict(sorted(left_out.items())),
        "licence": licence.read_text(),
        "addresses": addresses,
    }
    return json.dumps(header, indent=1, ensure_ascii=False)[:-2] + ',\n "providers":{\n' + ",\n".join(body) + "\n}}\n"


def main() -> None:
    TARGET.write_text(render(), encoding="utf-8")


if __name__ == "__main__":
    main()
