"""From a strategy's choice to the plan: deployments in order, with the route's fallback after them."""

from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from polyroute.errors import NoCandidate
from polyroute.ports import Choice
from polyroute.stages.selection.choosing import Look, rank, spread
from polyroute.stages.selection.constraints import Constraints, by_latency, by_price
from polyroute.types.routing import Candidate, Exclusion, Plan, Step


def make_plan(
    strategy: str,
    choice: Choice,
    fallback: tuple[str, ...],
    candidates: tuple[Candidate, ...],
    constraints: Constraints,
    draw: float,
    look: Look | None = None,
) -> Plan:
    """Each named model becomes its candidates, ranked by `draw` in [0, 1) and `look`; unnamed ones are left out."""
    ordered: list[Candidate] = []
    reason = choice.reason
    for model in dict.fromkeys((*choice.models, *fallback)):
        found = [c for c in candidates if c.deployment.model == model]
        if look is None:
            ordered += found if len(found) < 2 else spread(found, draw)
            continue
        ranked = rank(found, model, look, draw)
        if ranked.why is not None and not ordered:
            reason += f"; {ranked.why}"
        ordered += ranked.candidates
    if ordered and ordered[0].deployment.model != (chosen := next(iter((*choice.models, *fallback)))):
        reason += f"; {chosen} was left out, so {ordered[0].deployment.model}"
    if constraints.request_class == "interactive":
        ordered, moved = _within_latency_budget(ordered, constraints.latency_budget_ms)
        if moved:
            reason += f"; {moved} is slower than the latency budget of {constraints.latency_budget_ms:g} ms"
    elif choice.order == "ranked" or (choice.order == "listed" and constraints.latency_budget_ms is not None):
        ordered = by_price(ordered)
        reason += f"; {constraints.request_class} request, so by price"
    steps = tuple(Step(candidate=c, max_tries=c.deployment.max_tries) for c in ordered)
    return Plan(strategy=strategy, steps=steps, reason=reason, scores=choice.scores, abstained=choice.abstained)


def ask_last(plan: Plan, unwell: Mapping[str, str]) -> Plan:
    """The deployments that are doing badly, with how, behind the others."""
    steps = sorted(plan.steps, key=lambda step: step.candidate.deployment.id in unwell)
    if steps[0] is plan.steps[0]:
        return replace(plan, steps=tuple(steps))
    first = plan.steps[0].candidate.deployment.id
    return replace(plan, steps=tuple(steps), reason=f"{plan.reason}; {first} is {unwell[first]}, so it is asked last")


def need_steps(plan: Plan, exclusions: tuple[Exclusion, ...]) -> None:
    """Raises NoCandidate, every exclusion with its reason, where the plan is empty."""
    if not plan.steps:
        reasons = "; ".join(f"{e.deployment}: {e.reason}" for e in exclusions) or "the route names none"
        raise NoCandidate(f"no model can serve this request ({reasons})", exclusions)


def _within_latency_budget(candidates: Iterable[Candidate], budget_ms: float | None) -> tuple[list[Candidate], str]:
    """Candidates known to be too slow moved to the end, the fastest of them first; and who lost the first place."""
    candidates = list(candidates)
    if budget_ms is None or not candidates:
        return candidates, ""
    slow = [c for c in candidates if c.latency_ms is not None and c.latency_ms > budget_ms]
    ordered = [c for c in candidates if c not in slow] + by_latency(slow)
    return ordered, "" if ordered[0] is candidates[0] else candidates[0].deployment.model
