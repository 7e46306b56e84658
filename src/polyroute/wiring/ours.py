"""Deployments of the gateway's own, which stand in a plan like any model and cost nothing: logic, and moderators."""

from decimal import Decimal

from polyroute.stages.execution.wording import NO_PROMPT
from polyroute.types.cards import Deployment, ModelCard, Price, Rates

_FREE = Price(rates=Rates(input=Decimal(0), output=Decimal(0)), source="no model is called")


def own_deployment(model: str, *, provider: str, upstream_model: str, region: str | None) -> Deployment:
    """What it does is done here, wherever that is."""
    return Deployment(
        id=model,
        model=model,
        provider=provider,
        dialect="",
        upstream_model=upstream_model,
        card=ModelCard(id=model, prices=(_FREE,), source="document", latency_ms=0.0),
        region=region,
        private=True,
        is_ours=True,
        quirks=frozenset({NO_PROMPT}),
        max_tries=1,
    )
