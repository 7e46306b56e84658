"""How each family of models counts a request's input: what it adds per message, for tools, for schemas.

The weights were fitted to recorded usage by `python -m bench.fit_tokens`, on one half of the recordings, and their
error was taken on the other; both are in `data/tokens.json`. A family is told by the beginning of a model's own name.
"""

from functools import cache, lru_cache
from pathlib import Path

import msgspec
from msgspec import Struct

from polyroute.catalog.names import own_name

DATA = Path(__file__).parent / "data" / "tokens.json"


class Weights(Struct, frozen=True, kw_only=True):
    """Tokens for one of each; `text`, `schema` and `output_schema` for each token that the estimate makes of them."""

    request: float = 3.0
    message: float = 4.0
    text: float = 1.0
    tools: float = 0.0  # once, where there are any
    tool: float = 8.0
    schema: float = 0.75
    call: float = 8.0
    output: float = 0.0  # once, where a form of the answer is wanted
    output_schema: float = 0.75
    thinking: float = 0.0  # once, where the model is to think
    image: float = 800.0
    page: float = 2000.0


class Found(Struct, frozen=True, kw_only=True):
    """The error on recordings that the weights were not fitted on; shares, of the recorded usage."""

    n: int
    bias: float  # median
    median: float  # of the absolute error
    p90: float
    n_100: int  # of those billed as 100 tokens or more
    median_100: float | None = None
    p90_100: float | None = None


class Family(Struct, frozen=True, kw_only=True):
    name: str
    models: tuple[str, ...]  # beginnings of own names
    weights: Weights
    fitted_on: int  # recordings
    found: Found | None = None


@cache
def families() -> tuple[Family, ...]:
    return msgspec.json.decode(DATA.read_bytes(), type=tuple[Family, ...])


def family_of(upstream_model: str) -> Family | None:
    """The first family, in the file's order, that one of its beginnings fits."""
    name = own_name(upstream_model.lower().removeprefix("models/"))
    return next((family for family in families() if name.startswith(family.models)), None)


@lru_cache(maxsize=10_000)
def weights_for(upstream_model: str) -> Weights | None:
    family = family_of(upstream_model)
    return None if family is None else family.weights
