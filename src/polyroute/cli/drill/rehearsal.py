"""A document with every model simulated and one provider at fault: routes, prices, weights, time limits and quotas of
models stay; callers' limits, gates, prompts, reviews and plain logic's calls go. It names no address and no secret.
"""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Literal

from msgspec.structs import replace

from polyroute.catalog.cards import Catalogue
from polyroute.catalog.pricing import price_at
from polyroute.cli.drill.observed import Behaviour
from polyroute.config import document as settings
from polyroute.config.check import MODALITIES
from polyroute.config.document import Document
from polyroute.config.load import Loaded
from polyroute.config.resolve import deployments
from polyroute.types.cards import Deployment, Price

Fault = Literal["outage", "slow", "ratelimit", "garbage"]

_FAILURES: Mapping[Fault, settings.Failure | None] = {
    "outage": "unreachable",
    "slow": None,
    "ratelimit": "rate_limit",
    "garbage": "malformed",
}
_ANSWER = "word " * 8192  # cut to each request's own length


def rehearsed(
    loaded: Loaded,
    folder: Path,
    behaviours: Mapping[str, Behaviour],
    *,
    fault: Fault | None,
    provider: str,
    slowness: float,
    today: date,
) -> Loaded:
    """`folder` takes the place of the document's own, for its store."""
    document = loaded.document
    found: dict[str, list[Deployment]] = {}
    for deployment in deployments(document, Catalogue()):
        found.setdefault(deployment.model, []).append(deployment)

    def placed(deployment: Deployment) -> settings.Placement:
        seen, is_hit = behaviours[deployment.id], fault is not None and deployment.provider == provider
        factor = slowness if is_hit and fault == "slow" else 1.0
        deadlines = deployment.deadlines
        return settings.Placement(
            provider=deployment.provider,
            model=deployment.upstream_model,
            weight=deployment.weight,
            region=deployment.region,
            private=deployment.private,
            max_tries=deployment.max_tries,
            timeouts=settings.Timeouts(
                connect_s=deadlines.connect_s,
                first_token_s=deadlines.first_token_s,
                between_tokens_s=deadlines.between_tokens_s,
                total_s=deadlines.total_s,
            ),
            latency_ms=seen.latency_ms * factor,
            tokens_per_s=None if seen.tokens_per_s is None else seen.tokens_per_s / factor,
            error_rate=seen.error_rate,
            fail=_FAILURES[fault] if is_hit and fault is not None else None,
        )

    models: dict[str, str | settings.Model] = {
        name: _model(places, tuple(map(placed, places)), document.models.get(name), today)
        for name, places in found.items()
    }
    rewritten = Document(
        server=settings.Server(auth="open"),
        store=settings.Store(database="sqlite:///drill.db"),
        providers={
            name: settings.Provider(
                dialect="simulated", region=p.region, private=p.private, data_policy=p.data_policy, limits=p.limits
            )
            for name, p in document.providers.items()
        },
        models=models,
        tenants={name: replace(tenant, privacy=None) for name, tenant in document.tenants.items()},
        routes={name: _route(route) for name, route in document.routes.items()},
        tasks=None if document.tasks is None else str((loaded.folder / document.tasks).absolute()),
        classifier=document.classifier,
        telemetry=settings.Telemetry(prometheus=False),
    )
    return Loaded(document=rewritten, folder=folder, file=folder / "polyroute.yaml", texts={}, env={})


def _model(
    places: list[Deployment],
    placements: tuple[settings.Placement, ...],
    written: str | settings.Model | None,
    today: date,
) -> settings.Model:
    card = places[0].card
    capabilities = None
    if card.capabilities is not None or card.modalities is not None:
        kinds = {kind: name for name, kind in MODALITIES.items()}
        inputs = {kinds[kind] for kind in card.modalities or () if kind in kinds}
        capabilities = tuple(sorted((card.capabilities or frozenset()) | inputs))
    return settings.Model(
        deployments=placements,
        price=_price(price_at(card, today)),
        context_tokens=card.context_tokens,
        max_output_tokens=card.max_output_tokens,
        capabilities=capabilities,
        operations=None if card.operations is None else tuple(sorted(card.operations)),
        tags=tuple(sorted(card.tags)),
        quality=card.quality,
        answer=_ANSWER,
        limits=written.limits if isinstance(written, settings.Model) else settings.Pace(),
    )


def _price(price: Price | None) -> settings.PerToken | None:
    if price is None:
        return None
    rates = price.rates
    return settings.PerToken(
        input=rates.input,
        output=rates.output,
        cached_input=rates.cached_input,
        cache_write=rates.cache_write,
        cache_write_1h=rates.cache_write_1h,
        reasoning=rates.reasoning,
        tiers=tuple(
            settings.Tier(
                above_input_tokens=tier.above_input_tokens, input=_known(tier.rates.input), output=tier.rates.output
            )
            for tier in price.tiers
        ),
    )


def _known(amount: Decimal | None) -> Decimal:
    return amount or Decimal(0)


def _route(route: settings.Route) -> settings.Route:
    strategy = route.strategy
    if isinstance(strategy, settings.Logic):
        answers = tuple(
            replace(answer, call=None, text="simulated") if answer.call is not None else answer
            for answer in strategy.answers
        )
        strategy = replace(strategy, answers=answers)
    return replace(
        route,
        strategy=strategy,
        gates=(),
        prompt=None,
        output=None,
        cache=None,
        privacy=None,
        require_human_review=False,
        review=None,
    )
