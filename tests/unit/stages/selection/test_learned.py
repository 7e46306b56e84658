import pytest
from msgspec.structs import replace
from tests.unit.stages.selection.test_router import made
from tests.unit.stages.selection.test_strategies import candidate

from polyroute.ports import Selection
from polyroute.stages.selection.learned import Learned
from polyroute.stages.selection.router import Router
from polyroute.types.request import ask
from polyroute.types.routing import Candidate, Classification

SEEN = Classification(label="moderate", score=0.5, classifier="test@1")


def chosen(router: Router, loss: float, *candidates: Candidate) -> tuple[str, ...]:
    strategy = Learned(models=("a", "b"), router=router, quality_loss=loss)
    return strategy.choose(Selection(request=ask("r", "hi"), classification=SEEN, candidates=candidates)).models


CHEAP, DEAR = candidate("a", usd="0.001"), candidate("b", usd="0.1")


@pytest.mark.parametrize(
    ("loss", "first"),
    [
        pytest.param(0.0, "b", id="nothing may be lost"),
        pytest.param(0.01, "b", id="cost weighs less than the gap"),
        pytest.param(0.05, "a", id="cost weighs more than the gap"),
    ],
)
def test_cost_weighs_as_much_as_may_be_lost(loss: float, first: str) -> None:
    assert chosen(Router(made()), loss, CHEAP, DEAR)[0] == first


def test_who_abstains_takes_the_best_known_and_says_so() -> None:
    strategy = Learned(models=("a", "b"), router=Router(made(most_surprise=0.0)), quality_loss=0.05)
    told = strategy.choose(Selection(request=ask("r", "hi"), classification=SEEN, candidates=(CHEAP, DEAR)))
    assert (told.models, told.abstained) == (("b", "a"), True)
    assert "abstains" in told.reason


def test_a_pruned_model_comes_last_however_cheap() -> None:
    facts = made().models
    from_another = made(models=(facts[0], replace(facts[1], pruned="a beats it")))
    assert chosen(Router(from_another), 0.0, CHEAP, DEAR) == ("a", "b")


def test_a_model_that_cannot_serve_is_not_named() -> None:
    assert chosen(Router(made()), 0.05, DEAR) == ("b",)


def test_a_model_without_a_price_counts_as_free() -> None:
    assert chosen(Router(made()), 0.05, candidate("a"), DEAR)[0] == "a"
