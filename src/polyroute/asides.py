"""What the path puts to gates that ask models: whom they may ask, what that is expected to cost, and its time; and who
may go on with an answer that broke off.

A gate's call goes no further than the request itself may: the same boundaries hold, and what the route adds to the
request's own words is counted with them.
"""

from collections.abc import Callable
from datetime import date
from decimal import Decimal

from polyroute.catalog import tokens
from polyroute.catalog.tokens import Size
from polyroute.errors import NoCandidate
from polyroute.journey import Prepared
from polyroute.ports import Hearing, Judgement, Monotonic
from polyroute.stages.assembly.draft import Draft
from polyroute.stages.execution.continuing import rest_of
from polyroute.stages.execution.runner import Aside
from polyroute.stages.matching.estimates import candidate
from polyroute.stages.matching.match import match
from polyroute.stages.matching.needs import needs_of
from polyroute.stages.route import Route
from polyroute.stages.selection.constraints import constrain
from polyroute.stages.validation.inquiry import AsksModels
from polyroute.types.cards import Deployment
from polyroute.types.money import ZERO_USD
from polyroute.types.request import Request
from polyroute.types.response import Response
from polyroute.types.routing import Needs

LatencyOf = Callable[[Deployment], float | None]
ObstaclesOf = Callable[[Request, Deployment], tuple[str, ...]]


def aside(prepared: Prepared, model: str, asked: Request, obstacles: ObstaclesOf, latency_of: LatencyOf) -> Aside:
    """Raises NoCandidate, every exclusion with its reason, where nobody may be asked."""
    size, wording = tokens.measure(asked), prepared.wording
    if wording is not None and asked.messages is prepared.request.messages:
        size = size.plus(wording.added)
    needs = needs_of(asked, size)
    found = prepared.route.helpers.get(model) or tuple(d for d in prepared.route.deployments if d.model == model)
    matched = match(found, needs, prepared.boundaries, lambda deployment: obstacles(asked, deployment))
    if not matched.deployments:
        reasons = "; ".join(f"{e.deployment}: {e.reason}" for e in matched.exclusions) or "it is called nowhere"
        raise NoCandidate(f"`{model}` cannot be asked ({reasons})", matched.exclusions)
    day = prepared.draft.time.date()
    return Aside(
        candidates=tuple(candidate(d, needs, size, day, latency_of(d)) for d in matched.deployments), needs=needs
    )


def rest(prepared: Prepared, text: str, obstacles: ObstaclesOf, latency_of: LatencyOf) -> Aside:
    """Whom of the plan an answer that broke off after `text` may be gone on with by, and what that needs of them.

    Raises NoCandidate where nothing more may be said.
    """
    asked, route = rest_of(prepared.request, text), prepared.route
    if asked.max_output_tokens is not None and asked.max_output_tokens < 1:
        raise NoCandidate("the answer has as many tokens as it may have", ())
    size = tokens.measure(asked)
    if prepared.wording is not None:
        size = size.plus(prepared.wording.added)
    needs = needs_of(asked, size)
    planned = (step.candidate.deployment for step in prepared.plan.steps)
    matched = match(planned, needs, prepared.boundaries, lambda deployment: obstacles(asked, deployment))
    day = prepared.draft.time.date()
    found = tuple(candidate(d, needs, size, day, latency_of(d)) for d in matched.deployments)
    return Aside(candidates=constrain(found, route.constraints).candidates, needs=needs)


def check_costs(route: Route, needs: Needs, size: Size, day: date) -> dict[str, Decimal]:
    """By model: what its gates will spend on one answer, expected. Models of unknown price are left out."""
    costs: dict[str, Decimal] = {}
    for model in route.strategy.pool:
        spent: Decimal | None = ZERO_USD
        for check in route.checks_for(model):
            for helper in check.gate.helpers(model) if isinstance(check.gate, AsksModels) else ():
                deployment = next(iter(route.helpers.get(helper, ())), None)
                usd = None if deployment is None else candidate(deployment, needs, size, day, None).expected_usd
                spent = None if spent is None or usd is None else spent + usd
        if spent:
            costs[model] = spent
    return costs


def racing(prepared: Prepared) -> tuple[int, ...]:
    """The first step of each model of the strategy."""
    first: dict[str, int] = {}
    for at, step in enumerate(prepared.plan.steps):
        first.setdefault(step.candidate.deployment.model, at)
    return tuple(at for model, at in first.items() if model in prepared.route.strategy.pool)


class Timed:
    """A hearing whose time is noted as the stage's."""

    def __init__(self, hearing: Hearing, monotonic: Monotonic, draft: Draft) -> None:
        self._hearing = hearing
        self._monotonic = monotonic
        self._draft = draft

    async def judge(self, response: Response) -> Judgement:
        started_s = self._monotonic()
        try:
            return await self._hearing.judge(response)
        finally:
            self._draft.validation_s += self._monotonic() - started_s

    async def aclose(self) -> None:
        await self._hearing.aclose()
