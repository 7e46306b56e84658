"""A user's own facts about models, read from a file beside the document; each given one wins over the catalogue."""

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct, structs

from polyroute.catalog.files import read_mapping
from polyroute.errors import ConfigError, Problem
from polyroute.types.cards import Rates

_Count = Annotated[int, Meta(gt=0)]
_Amount = Annotated[float, Meta(ge=0)]


class Facts(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is said of one model; None leaves the catalogue's word."""

    context_tokens: _Count | None = None
    max_output_tokens: _Count | None = None
    image_tokens: Annotated[int, Meta(ge=0)] | None = None
    modalities: frozenset[str] | None = None
    capabilities: frozenset[str] | None = None
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
            if rate is not None and not (rate.is_finite() and rate >= 0):
                message = f"{rate} is not a price: write US dollars per million tokens, zero or more"
                problems.append(Problem(path=f"{name}.price.{field}", message=message, file=str(path)))
        facts[name.lower()] = found
    if problems:
        raise ConfigError(problems)
    return facts
