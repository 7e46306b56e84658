"""A user's own facts about models, read from a file beside the document; each given one wins over the catalogue."""

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct, structs

from polyroute.catalog.files import read_mapping
from polyroute.errors import ConfigError, Problem
from polyroute.types.cards import Rates
from polyroute.types.request import Operation

_BY_UNIT = {"image", "images", "audio_minute", "million_characters", "search"}
_Count = Annotated[int, Meta(gt=0)]
_Amount = Annotated[float, Meta(ge=0)]


class Facts(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is said of one model; None leaves the catalogue's word."""

    context_tokens: _Count | None = None
    max_output_tokens: _Count | None = None
    image_tokens: Annotated[int, Meta(ge=0)] | None = None
    modalities: frozenset[str] | None = None
    capabilities: frozenset[str] | None = None
    operations: frozenset[Operation] | None = None
    tags: frozenset[str] | None = None
    quality: Annotated[float, Meta(ge=0, le=1)] | None = None
    latency_ms: _Amount | None = None
    tokens_per_s: _Amount | None = None
    price: Rates | Literal["free"] | None = None  # USD per million tokens by class


def read_facts(path: Path) -> dict[str, Facts]:
    """A user's file: `provider/model` or `model` to facts. Raises ConfigError with every wrong entry."""
    facts: dict[str, Facts] = {}
    problems: list[Problem] = []
    for name, entry in read_mapping(path).items():
        try:
            found = msgspec.convert(entry, Facts, strict=False)
        except msgspec.ValidationError as exc:
            problems.append(Problem(path=name, message=str(exc), file=str(path)))
            continue
        for field, rate in structs.asdict(found.price).items() if isinstance(found.price, Rates) else ():
            if isinstance(rate, Decimal) and not (rate.is_finite() and rate >= 0):
                message = f"{rate} is not a price: write US dollars per million tokens, zero or more"
                problems.append(Problem(path=f"{name}.price.{field}", message=message, file=str(path)))
        if isinstance(found.price, Rates) and not _says_enough(entry):
            message = "says too little: write `input` and `output`, or `image`, `audio_minute`, `search`, …, or `free`"
            problems.append(Problem(path=f"{name}.price", message=message, file=str(path)))
        facts[name.lower()] = found
    if problems:
        raise ConfigError(problems)
    return facts


def _says_enough(entry: object) -> bool:
    """Both prices of tokens, or one of what is not counted in tokens: nothing is free by silence."""
    price: object = entry.get("price") if isinstance(entry, dict) else None
    return isinstance(price, dict) and (price.keys() >= {"input", "output"} or not _BY_UNIT.isdisjoint(price))
