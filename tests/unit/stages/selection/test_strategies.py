from decimal import Decimal

import pytest

from polyroute.conditions import Condition
from polyroute.ports import Selection, Strategy
from polyroute.stages.selection.strategies import (
    Cascade,
    Cheapest,
    Complexity,
    Fastest,
    Fixed,
    Logic,
    Rule,
    Rules,
    Task,
)
from polyroute.types.cards import Deployment, ModelCard
from polyroute.types.request import ask
from polyroute.types.routing import Candidate, Classification
from polyroute.types.routing import Complexity as Tier


def candidate(model: str, *, usd: str | None = None, latency_ms: float | None = None) -> Candidate:
    card = ModelCard(id=model)
    deployment = Deployment(id=f"{model}@p", model=model, provider="p", dialect="", upstream_model=model, card=card)
    return Candidate(deployment=deployment, expected_usd=None if usd is None else Decimal(usd), latency_ms=latency_ms)


CANDIDATES = (
    candidate("strong", usd="0.03", latency_ms=900),
    candidate("cheap", usd="0.001", latency_ms=400),
    candidate("quick", usd="0.01", latency_ms=100),
    candidate("unknown"),
)


def select(prompt: str = "hi", label: Tier = "moderate", task: str | None = None) -> Selection:
    seen = Classification(label=label, score=0.5, classifier="test@1", task=task)
    return Selection(request=ask("r", prompt), classification=seen, candidates=CANDIDATES)


TIERS = Complexity(simple=("s",), moderate=("m",), complex=("c",))
REFUNDS = Rules(
    rules=(
        Rule(when=Condition(contains=("refund", "cancel")), models=("tier-1",), name="money"),
        Rule(when=Condition(contains=("lawsuit", "legal")), models=("tier-3",)),
    ),
    default=("tier-2",),
)
TASKS = Task(tasks={"summarize": ("cheap",), "reasoning": ("strong",)}, default=("general",))


@pytest.mark.parametrize(
    ("strategy", "selection", "models"),
    [
        pytest.param(Fixed(models=("a", "b")), select(), ("a", "b"), id="fixed keeps its order"),
        pytest.param(TIERS, select(label="simple"), ("s", "m", "c"), id="a simple request, harder tiers stand by"),
        pytest.param(TIERS, select(label="moderate"), ("m", "c", "s"), id="moderate, then harder, then easier"),
        pytest.param(TIERS, select(label="complex"), ("c", "m", "s"), id="complex, then the next easier"),
        pytest.param(TASKS, select(task="reasoning"), ("strong", "general"), id="the task decides"),
        pytest.param(TASKS, select(task="haiku"), ("general",), id="an unlisted task takes the default"),
        pytest.param(REFUNDS, select("I want a refund"), ("tier-1", "tier-2"), id="the first rule that holds"),
        pytest.param(REFUNDS, select("Legal: refund me"), ("tier-1", "tier-2"), id="order settles ties"),
        pytest.param(REFUNDS, select("this is legal advice"), ("tier-3", "tier-2"), id="the second rule"),
        pytest.param(REFUNDS, select("not a refund, thanks"), ("tier-2",), id="a negated phrase does not count"),
        pytest.param(
            Cheapest(models=("strong", "cheap", "quick", "unknown")),
            select(),
            ("cheap", "quick", "strong", "unknown"),
            id="cheapest first, unknown prices last",
        ),
        pytest.param(
            Fastest(models=("strong", "cheap", "quick", "unknown")),
            select(),
            ("quick", "cheap", "strong", "unknown"),
            id="fastest first, unknown latencies last",
        ),
        pytest.param(Cascade(models=("small", "large")), select(), ("small", "large"), id="a cascade as written"),
    ],
)
def test_choose(strategy: Strategy, selection: Selection, models: tuple[str, ...]) -> None:
    assert strategy.choose(selection).models == models


def test_the_first_logic_answer_whose_condition_holds_goes_before_the_models() -> None:
    logic = Logic(
        when=(Condition(contains=("opening hours",)), Condition(contains=("hours",))),
        answerers=("logic/faq/1", "logic/faq/2"),
        otherwise=("cheap",),
    )
    assert logic.choose(select("What are your opening hours?")).models == ("logic/faq/1", "cheap")
    assert logic.choose(select("How many hours?")).models == ("logic/faq/2", "cheap")
    assert logic.choose(select("Write a poem")).models == ("cheap",)
    assert logic.pool == ("logic/faq/1", "logic/faq/2", "cheap")


@pytest.mark.parametrize("strategy", [TIERS, TASKS, REFUNDS, Cascade(models=("a", "b"))])
def test_a_choice_names_only_models_of_its_pool(strategy: Strategy) -> None:
    for prompt in ("hi", "refund", "legal"):
        assert set(strategy.choose(select(prompt)).models) <= set(strategy.pool)
