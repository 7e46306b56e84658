"""Keeps the deployments that can serve a request; every other one is excluded with its reason.

Unknown card facts never exclude: "not known" is not "cannot".
"""

from collections.abc import Callable, Iterable

from msgspec import Struct

from polyroute.stages.matching.files import out_of_reach
from polyroute.types.cards import Deployment
from polyroute.types.privacy import DataPolicy
from polyroute.types.quirks import EMULATES_SCHEMA
from polyroute.types.routing import Exclusion, Needs

_EMULATED = frozenset({"json", "json_schema"})  # what an instruction and a check of the answer stand in for
Obstacles = Callable[[Deployment], tuple[str, ...]]


class Boundary(Struct, frozen=True, kw_only=True):
    """Where a request may go at all; it holds in fallbacks too."""

    whose: str = "the route"
    why: str | None = None  # in place of whose it is
    region: str | None = None
    private: bool = False
    providers: frozenset[str] | None = None  # None: all
    data_policy: DataPolicy = DataPolicy()  # what is asked; what a provider does not promise it does not do


_ANYWHERE = Boundary()


class Matched(Struct, frozen=True, kw_only=True):
    deployments: tuple[Deployment, ...]
    exclusions: tuple[Exclusion, ...]


def match(
    deployments: Iterable[Deployment], needs: Needs, boundaries: Iterable[Boundary], obstacles: Obstacles
) -> Matched:
    """Order is kept. `obstacles` says what the deployment's wire format cannot express of the request."""
    limits = tuple(boundary for boundary in boundaries if boundary != _ANYWHERE)
    kept, excluded = [], []
    for deployment in deployments:
        reason = (
            _unable(deployment, needs)
            or next((outside for limit in limits if (outside := _outside(deployment, limit))), None)
            or "; ".join(obstacles(deployment))
        )
        if reason:
            excluded.append(Exclusion(deployment=deployment.id, model=deployment.model, reason=reason))
        else:
            kept.append(deployment)
    return Matched(deployments=tuple(kept), exclusions=tuple(excluded))


def _unable(deployment: Deployment, needs: Needs) -> str | None:
    card = deployment.card
    if card.operations is not None and needs.operation not in card.operations:
        return f"does no {needs.operation}, only {', '.join(sorted(card.operations))}"
    if card.modalities is not None and not needs.modalities <= card.modalities:
        lacking = ", ".join(sorted(needs.modalities - card.modalities))
        return f"no {lacking} input"
    if card.capabilities is not None and not needs.capabilities <= card.capabilities:
        unmet = needs.capabilities - card.capabilities
        if EMULATES_SCHEMA.isdisjoint(deployment.quirks) or not unmet <= _EMULATED:
            return f"lacks {', '.join(sorted(unmet))}"
    if needs.files and (closed := out_of_reach(needs.files, deployment)):
        return closed
    if needs.choices > 1 and needs.operation == "chat" and "no_n" in deployment.quirks:
        return f"gives one answer < asked {needs.choices}"
    if card.context_tokens is not None:
        needed = needs.input_tokens + min(needs.output_tokens or 0, card.max_output_tokens or 0)
        if card.context_tokens < needed:
            return f"context {card.context_tokens} < needed {needed}"
    if card.max_output_tokens is not None and (needs.output_tokens or 0) > card.max_output_tokens:
        return f"output limit {card.max_output_tokens} < asked {needs.output_tokens}"
    return None


def _outside(deployment: Deployment, boundary: Boundary) -> str | None:
    if deployment.is_ours:
        return None
    if boundary.region is not None and deployment.region != boundary.region:
        return f"region {deployment.region or 'not stated'}, {boundary.whose} is bound to {boundary.region}"
    if boundary.private and not deployment.private:
        return f"not private: {boundary.why}" if boundary.why else f"not private, and {boundary.whose} is"
    if boundary.providers is not None and deployment.provider not in boundary.providers:
        return f"provider {deployment.provider}, {boundary.whose} is bound to {_listed(boundary.providers)}"
    promised, asked = deployment.data_policy, boundary.data_policy
    if asked.retention_days is not None and not _within(promised.retention_days, asked.retention_days):
        kept = "not stated" if promised.retention_days is None else f"{promised.retention_days} days"
        return f"retention {kept}, {boundary.whose} allows {asked.retention_days} days"
    if asked.trains is False and promised.trains is not False:
        return f"trains on data: {'yes' if promised.trains else 'not stated'}, {boundary.whose} does not allow it"
    return None


def _within(days: int | None, most: int) -> bool:
    return days is not None and days <= most


def _listed(providers: frozenset[str]) -> str:
    return ", ".join(sorted(providers)) or "no provider"
