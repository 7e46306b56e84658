from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from polyroute.ports import Choice
from polyroute.stages.selection.constraints import Constraints
from polyroute.stages.selection.plan import make_plan
from polyroute.types.cards import Deployment, ModelCard
from polyroute.types.routing import Candidate, Plan


def candidate(
    model: str, *, at: str = "p", weight: float = 1.0, usd: str = "0.01", latency_ms: float | None = None
) -> Candidate:
    deployment = Deployment(
        id=f"{model}@{at}",
        model=model,
        provider=at,
        dialect="",
        upstream_model=model,
        card=ModelCard(id=model),
        weight=weight,
    )
    return Candidate(deployment=deployment, expected_usd=Decimal(usd), latency_ms=latency_ms)


FAST = candidate("fast", usd="0.05", latency_ms=100)
SLOW = candidate("slow", usd="0.01", latency_ms=900)


def ids(plan: Plan) -> list[str]:
    return [step.candidate.deployment.id for step in plan.steps]


def listed(*models: str) -> Choice:
    return Choice(models=models, reason="because", order="listed")


def test_the_fallback_comes_after_what_was_chosen() -> None:
    plan = make_plan("fixed", listed("slow"), ("fast",), (FAST, SLOW), Constraints(), 0.0)
    assert ids(plan) == ["slow@p", "fast@p"]


def test_a_model_that_was_excluded_is_not_in_the_plan() -> None:
    assert ids(make_plan("fixed", listed("gone", "slow"), (), (SLOW,), Constraints(), 0.0)) == ["slow@p"]


def test_where_the_first_choice_was_excluded_the_reason_names_who_comes_instead() -> None:
    plan = make_plan("fixed", listed("gone", "slow"), ("fast",), (FAST, SLOW), Constraints(), 0.0)
    assert plan.reason == "because; gone was left out, so slow"
    assert make_plan("fixed", listed("slow", "gone"), ("fast",), (FAST, SLOW), Constraints(), 0.0).reason == "because"


def test_a_model_too_slow_for_the_budget_is_never_first() -> None:
    plan = make_plan("fixed", listed("slow", "fast"), (), (FAST, SLOW), Constraints(latency_budget_ms=300), 0.0)
    assert ids(plan) == ["fast@p", "slow@p"]
    assert "slower than the latency budget" in plan.reason


def test_a_batch_request_flips_the_ranking_to_price() -> None:
    constraints = Constraints(latency_budget_ms=300, request_class="batch")
    plan = make_plan("fixed", listed("fast", "slow"), (), (FAST, SLOW), constraints, 0.0)
    assert ids(plan) == ["slow@p", "fast@p"]


def test_a_cascade_keeps_its_order_for_batch_requests() -> None:
    choice = Choice(models=("fast", "slow"), reason="cascade", order="strict")
    plan = make_plan("cascade", choice, (), (FAST, SLOW), Constraints(request_class="batch"), 0.0)
    assert ids(plan) == ["fast@p", "slow@p"]


def test_deployments_share_a_model_s_requests_by_weight() -> None:
    pair = (candidate("m", at="a", weight=3), candidate("m", at="b", weight=1))
    firsts = [ids(make_plan("fixed", listed("m"), (), pair, Constraints(), n / 100))[0] for n in range(100)]
    assert firsts.count("m@a") == 75


@given(st.floats(0, 1, exclude_max=True), st.lists(st.floats(0.01, 100), min_size=1, max_size=6))
def test_every_deployment_of_a_model_stands_in_the_plan_once(draw: float, weights: list[float]) -> None:
    candidates = tuple(candidate("m", at=f"p{n}", weight=weight) for n, weight in enumerate(weights))
    plan = make_plan("fixed", listed("m"), ("m",), candidates, Constraints(), draw)
    assert sorted(ids(plan)) == sorted(c.deployment.id for c in candidates)
