from decimal import Decimal

import pytest

from polyroute.stages.selection.constraints import Constraints, constrain
from polyroute.types.cards import Deployment, ModelCard
from polyroute.types.routing import Candidate, Precedence


def candidate(model: str, *, worst: str | None, quality: float | None) -> Candidate:
    card = ModelCard(id=model)
    deployment = Deployment(id=model, model=model, provider="p", dialect="", upstream_model=model, card=card)
    return Candidate(deployment=deployment, worst_usd=None if worst is None else Decimal(worst), quality=quality)


CHEAP = candidate("cheap", worst="0.001", quality=0.6)
GOOD = candidate("good", worst="0.05", quality=0.95)
BOTH = candidate("both", worst="0.01", quality=0.9)
UNRATED = candidate("unrated", worst="0.001", quality=None)
UNPRICED = candidate("unpriced", worst=None, quality=0.9)
TIGHT = Constraints(cost_ceiling_usd=Decimal("0.02"), quality_floor=0.85)


def kept(candidates: tuple[Candidate, ...], constraints: Constraints) -> list[str]:
    return [c.deployment.id for c in constrain(candidates, constraints).candidates]


def test_without_constraints_all_stay() -> None:
    assert kept((CHEAP, GOOD), Constraints()) == ["cheap", "good"]


def test_ceiling_and_floor_leave_what_meets_both() -> None:
    found = constrain((CHEAP, GOOD, BOTH), TIGHT)
    assert [c.deployment.id for c in found.candidates] == ["both"]
    assert {e.deployment: e.reason for e in found.exclusions} == {
        "cheap": "quality 0.6 < floor 0.85",
        "good": "worst case $0.05 > cost ceiling $0.02",
    }


@pytest.mark.parametrize(("precedence", "expected"), [("cost", ["cheap"]), ("quality", ["good"]), ("refuse", [])])
def test_the_declared_precedence_settles_a_conflict(precedence: Precedence, expected: list[str]) -> None:
    constraints = Constraints(cost_ceiling_usd=Decimal("0.02"), quality_floor=0.85, precedence=precedence)
    found = constrain((CHEAP, GOOD), constraints)
    assert [c.deployment.id for c in found.candidates] == expected
    assert (found.note is None) == (precedence == "refuse")


def test_a_ceiling_that_alone_excludes_all_gives_way_to_nothing() -> None:
    assert kept((GOOD,), Constraints(cost_ceiling_usd=Decimal("0.01"), precedence="quality")) == []


def test_an_unknown_quality_comes_after_those_that_meet_the_floor() -> None:
    assert kept((UNRATED, BOTH), Constraints(quality_floor=0.85)) == ["both", "unrated"]


def test_an_unknown_price_does_not_pass_a_ceiling() -> None:
    assert kept((UNPRICED, BOTH), Constraints(cost_ceiling_usd=Decimal(1))) == ["both"]
