"""The dry run: what would be decided for a request, with no model called and nothing spent."""

from collections.abc import Mapping
from decimal import Decimal

from msgspec import Struct

from polyroute.journey import Prepared
from polyroute.types.receipt import CandidateNote
from polyroute.types.routing import Assignment, Evidence, Exclusion


class Preview(Struct, frozen=True, kw_only=True):
    complexity: str
    score: float
    model: str | None  # the first to be tried; None where no model can serve the request
    reason: str
    estimated_cost_per_1k: Decimal | None  # US dollars per 1,000 input tokens of the first model
    estimated_cost_usd: Decimal | None
    route: str
    prompt: str | None  # name@version
    split: Assignment | None = None  # the arm of the trial that was called
    strategy: str
    task: str | None
    classifier: str
    evidence: tuple[Evidence, ...]
    input_tokens: int
    candidates: tuple[CandidateNote, ...]
    exclusions: tuple[Exclusion, ...]
    plan: tuple[str, ...]
    scores: Mapping[str, float] = {}  # quality expected, by model, where the strategy predicts any
    abstained: bool = False  # it knew too little of such requests to


def preview(prepared: Prepared) -> Preview:
    draft, plan = prepared.draft, prepared.plan
    seen = draft.classification
    assert seen is not None  # set by the first stage
    first = plan.steps[0].candidate if plan.steps else None
    return Preview(
        complexity=seen.label,
        score=seen.score,
        model=first.deployment.model if first else None,
        reason=plan.reason if first else "; ".join(e.reason for e in draft.exclusions) or plan.reason,
        estimated_cost_per_1k=first.usd_per_1k if first else None,
        estimated_cost_usd=first.expected_usd if first else None,
        route=draft.route,
        prompt=draft.prompt,
        split=draft.split,
        strategy=plan.strategy,
        task=seen.task,
        classifier=seen.classifier,
        evidence=seen.evidence,
        input_tokens=prepared.needs.input_tokens,
        candidates=draft.candidate_notes,
        exclusions=draft.exclusions,
        plan=tuple(step.candidate.deployment.id for step in plan.steps),
        scores=plan.scores,
        abstained=plan.abstained,
    )
