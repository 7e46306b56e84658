"""From names in the document to what an attempt calls: deployments, with card, region, deadlines. Pure.

Each setting is taken from the nearest level that gives it: deployment, model, provider, catalogue.
"""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Protocol, TypeVar

from msgspec import Struct
from msgspec.structs import asdict, replace

from polyroute.config.check import MODALITIES
from polyroute.config.document import Document, Failure, Manner, Model, PerToken, Placement, Provider, Tier, Timeouts
from polyroute.config.targets import models_behind, names_in
from polyroute.types import cards
from polyroute.types.cards import Deadlines, Deployment, ModelCard, Price, Rates
from polyroute.types.privacy import DataPolicy

DIALECTS = {
    "openai": "openai_chat",
    "anthropic": "anthropic_messages",
    "gemini": "gemini",
    "bedrock": "bedrock_converse",
    "simulated": "",  # speaks none
    "replay": "",
}
_PRETENDERS = ("simulated", "replay")  # no company's API, whatever their models are called
SOURCE = "document"  # of prices and cards that are written there
FREE = Rates(input=Decimal(0), output=Decimal(0))

Value = TypeVar("Value")

_MILLION = Decimal(1_000_000)


class Cards(Protocol):
    """What is known of models; the catalogue is one."""

    def family_of(self, dialect: str, base_url: str | None) -> str | None: ...

    def card(self, family: str | None, upstream_model: str) -> ModelCard | None: ...

    def quirks_of(
        self,
        family: str | None,
        upstream_model: str,
        base_url: str | None,
        *,
        dialect: str | None,
        capabilities: frozenset[str] | None,
    ) -> frozenset[str]: ...


class Simulation(Struct, frozen=True, kw_only=True):
    """How a simulated deployment behaves, as far as the document says."""

    latency_ms: float | None = None
    tokens_per_s: float | None = None
    error_rate: float | None = None
    answer: str | None = None
    fail: Failure | None = None
    fail_times: int | None = None
    quality: float | None = None
    by_difficulty: dict[str, Manner] | None = None


class _Place(Struct, frozen=True, kw_only=True):
    """One placement with the levels above it."""

    name: str  # the model's, in the document
    placement: Placement
    model: Model
    provider: Provider

    @property
    def upstream_model(self) -> str:
        return self.placement.model or self.model.model or self.name


def deployments(document: Document, known: Cards) -> tuple[Deployment, ...]:
    """Every deployment that this version can call, declared models first, then `provider/model` as routes name it."""
    written = (target for route in document.routes.values() for target in names_in(route))
    implicit = dict.fromkeys(t for t in written if "/" in t and t not in document.models and t not in document.routes)
    return tuple(
        _deployment(place, f"{name}@{place.placement.provider}{nth}", known)
        for name in (*document.models, *implicit)
        for place, nth in _numbered(_places(document, name))
    )


def placements(document: Document) -> Iterator[tuple[str, Placement]]:
    """Every declared place of a model, by its deployment's id."""
    for name in document.models:
        for place, nth in _numbered(_places(document, name)):
            yield f"{name}@{place.placement.provider}{nth}", place.placement


def implicit_deployment(document: Document, name: str, known: Cards) -> Deployment | None:
    """The model that a caller names as `provider/model`, for a declared provider; else None."""
    if name in document.models or "/" not in name:
        return None
    place = next(_places(document, name), None)
    return None if place is None else _deployment(place, f"{name}@{place.placement.provider}", known)


def simulations(document: Document) -> dict[str, Simulation]:
    """By deployment id, for the declared models of simulated providers."""
    return {
        f"{name}@{place.placement.provider}{nth}": Simulation(
            **{
                setting: _first(getattr(place.placement, setting, None), getattr(place.model, setting))
                for setting in Simulation.__struct_fields__
            }
        )
        for name in document.models
        for place, nth in _numbered(_places(document, name))
        if place.provider.dialect == "simulated"
    }


def models_of(document: Document, target: str) -> tuple[str, ...]:
    """The models that a target stands for: itself, or a route's models in their order. A route's cycles are cut."""
    return tuple(dict.fromkeys(models_behind(document.routes, target)))


# ── places ────────────────────────────────────────────────────────────────────────────────────────────


def _places(document: Document, name: str) -> Iterator[_Place]:
    model = document.models.get(name, name)
    if isinstance(model, str):
        provider_name, _, upstream = model.partition("/")
        model = Model(provider=provider_name, model=upstream)
    placements = model.deployments or (Placement(provider=model.provider or ""),)
    for placement in placements:
        provider = document.providers.get(placement.provider)
        if provider is not None:
            yield _Place(name=name, placement=placement, model=model, provider=provider)


def _numbered(places: Iterable[_Place]) -> Iterator[tuple[_Place, str]]:
    """Each place with the mark that keeps ids apart: the second one at a provider is "#2"."""
    times: dict[str, int] = {}
    for place in places:
        provider = place.placement.provider
        times[provider] = times.get(provider, 0) + 1
        yield place, f"#{times[provider]}" if times[provider] > 1 else ""


def _deployment(place: _Place, deployment_id: str, known: Cards) -> Deployment:
    placement, model, provider = place.placement, place.model, place.provider
    is_real = provider.dialect not in _PRETENDERS
    family = known.family_of(provider.dialect, provider.base_url) if is_real else None
    card, departs = _card(place, family, known), frozenset[str]()
    if is_real:
        departs = known.quirks_of(
            family,
            place.upstream_model,
            provider.base_url,
            dialect=DIALECTS[provider.dialect],
            capabilities=card.capabilities,
        )
    return Deployment(
        id=deployment_id,
        model=place.name,
        provider=placement.provider,
        dialect=DIALECTS[provider.dialect],
        upstream_model=place.upstream_model,
        card=card,
        region=_first(placement.region, model.region, provider.region),
        private=bool(_first(placement.private, model.private, provider.private)),
        data_policy=_promised(provider),
        weight=placement.weight,
        buckets=provider.buckets,
        quirks=_quirks(place, departs),
        max_tries=_first(placement.max_tries, model.max_tries) or provider.max_tries,
        deadlines=_deadlines(placement.timeouts, model.timeouts, provider.timeouts),
    )


def _promised(provider: Provider) -> DataPolicy:
    said = provider.data_policy
    return DataPolicy() if said is None else DataPolicy(retention_days=said.retention_days, trains=said.trains)


def _first(*levels: Value | None) -> Value | None:
    return next((value for value in levels if value is not None), None)


def _quirks(place: _Place, known: Iterable[str]) -> frozenset[str]:
    """What the catalogue says, with each level's own words over it: `-name` takes one away."""
    quirks = set(known)
    for level in (place.provider, place.model, place.placement):
        for word in level.quirks:
            if word.startswith("-"):
                quirks.discard(word[1:])
            else:
                quirks.add(word)
    return frozenset(quirks)


def _deadlines(*levels: Timeouts) -> Deadlines:
    given = {
        name: value
        for name in Timeouts.__struct_fields__
        if (value := _first(*(getattr(level, name) for level in levels))) is not None
    }
    return replace(Deadlines(), **given)


# ── cards ─────────────────────────────────────────────────────────────────────────────────────────────


def _card(place: _Place, family: str | None, known: Cards) -> ModelCard:
    """What the catalogue knows, with what the document says laid over it."""
    provider, model, placement = place.provider, place.model, place.placement
    card = None if provider.dialect == "simulated" else known.card(family, place.upstream_model)
    if card is None:
        card = ModelCard(id=f"{placement.provider}/{place.upstream_model}")
    price = model.price if placement.price is None else placement.price
    given = {
        "context_tokens": model.context_tokens,
        "max_output_tokens": model.max_output_tokens,
        "quality": model.quality,
        "latency_ms": _first(placement.latency_ms, model.latency_ms),
        "tokens_per_s": _first(placement.tokens_per_s, model.tokens_per_s),
        "tags": None if model.tags is None else frozenset(model.tags),
        "operations": None if model.operations is None else frozenset(model.operations),
        "prices": None if price is None else (price_of(price),),
    }
    if model.capabilities is not None:
        inputs = {MODALITIES[name] for name in model.capabilities if name in MODALITIES}
        given["modalities"] = frozenset({"text", *inputs})
        abilities = frozenset(model.capabilities) - MODALITIES.keys()
        given["capabilities"] = abilities | {"json"} if "json_schema" in abilities else abilities
    changes = {name: value for name, value in given.items() if value is not None}
    return replace(card, **changes, source=SOURCE) if changes else card


def price_of(price: str | PerToken) -> Price:
    """As written: `free`, or rates."""
    if isinstance(price, str):
        return Price(rates=FREE, source=SOURCE)
    if price.gpu_hour_usd is not None and price.tokens_per_hour is not None:
        per_million = price.gpu_hour_usd * _MILLION / price.tokens_per_hour
        return Price(rates=Rates(input=per_million, output=per_million), source=SOURCE)
    tiers = tuple(cards.Tier(above_input_tokens=tier.above_input_tokens, rates=_rates(tier)) for tier in price.tiers)
    return Price(rates=_rates(price), tiers=tiers, source=SOURCE)


def _rates(written: PerToken | Tier) -> Rates:
    given = {name: value for name, value in asdict(written).items() if value is not None}
    if isinstance(given.get("image"), dict):
        given["images"] = given.pop("image")
    return Rates(**{name: given[name] for name in Rates.__struct_fields__ if name in given})
