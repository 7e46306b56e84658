"""What an answer took in the end, in place of what it could have taken."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from msgspec.structs import replace

from polyroute.keeping import corrected, differences
from polyroute.stages.route import Route
from polyroute.stages.selection.strategies import Fixed
from polyroute.state.owners import Owner
from polyroute.testing.providers import a_deployment
from polyroute.types.access import Caller
from polyroute.types.cards import ModelCard, Price, Rates
from polyroute.types.receipt import Amended, Attempt, Receipt
from polyroute.types.response import Usage

PRICE = Price(rates=Rates(input=Decimal(2), output=Decimal(10)), source="test")
PLACE = replace(a_deployment("m"), id="m@oai", card=ModelCard(id="m", prices=(PRICE,)))
ROUTE = Route(
    name="r", strategy_name="fixed", strategy=Fixed(models=("m",)), deployments=(PLACE,), baseline=PLACE
)  # fmt: skip
OWNER = Owner(
    tenant="blue", team="t", user="u", provider="oai", deployment="m@oai", answer_id="resp_1", request_id="req_1"
)
TRUE = Usage(input_tokens=300, output_tokens=20)
EXACT = Decimal("0.0008")


def attempt(number: int = 0, *, cost: str | None = "0.0103", estimated: bool = True, **more: object) -> Attempt:
    made = Attempt(
        id=f"req_1.{number}", step=number, deployment="m@oai", provider="oai", model="m", upstream_model="up",
        status="succeeded", usage=Usage(input_tokens=150, output_tokens=1000, estimated=estimated),
        cost_usd=None if cost is None else Decimal(cost),
    )  # fmt: skip
    return replace(made, **more)


def receipt(*attempts: Attempt) -> Receipt:
    costs = [one.cost_usd for one in attempts]
    return Receipt(
        request_id="req_1", time=datetime(2026, 3, 1, tzinfo=UTC), caller=Caller(tenant="blue"), door="d", route="r",
        requested_model="r", policy="p", state="settled", attempts=attempts, usage=attempts[-1].usage,
        cost_usd=sum((cost for cost in costs if cost is not None), Decimal(0)), cost_complete=None not in costs,
        baseline="m", baseline_usd=Decimal("0.0103"), saved_usd=Decimal(0),
    )  # fmt: skip


def test_the_estimate_gives_way_and_everything_made_of_it() -> None:
    other = attempt(0, cost="0.001", deployment="other", estimated=False)
    before = receipt(other, attempt(1))
    after = corrected(before, OWNER, TRUE, ROUTE)
    assert after is not None
    assert after.attempts == (other, replace(before.attempts[1], usage=TRUE, cost_usd=EXACT))
    assert (after.usage, after.cost_usd, after.cost_complete) == (TRUE, EXACT + Decimal("0.001"), True)
    assert (after.baseline_usd, after.saved_usd) == (EXACT, Decimal("-0.001"))
    (line,) = differences(Amended(before=before, after=after))
    assert (line.tenant, line.deployment, line.cost_usd) == ("blue", "m@oai", EXACT - Decimal("0.0103"))


@pytest.mark.parametrize(
    ("before", "route"),
    [
        pytest.param(receipt(attempt(estimated=False)), ROUTE, id="it is known already"),
        pytest.param(receipt(attempt(deployment="gone")), ROUTE, id="nothing of it was asked there"),
        pytest.param(receipt(attempt(purpose="judge")), ROUTE, id="a gate's own call"),
        pytest.param(receipt(attempt()), replace(ROUTE, deployments=()), id="its price is not known any more"),
    ],
)
def test_what_needs_no_correction_or_has_none_stays(before: Receipt, route: Route) -> None:
    assert corrected(before, OWNER, TRUE, route) is None


def test_who_left_has_no_answer_on_the_receipt_and_pays_what_it_took_all_the_same() -> None:
    left = replace(receipt(attempt(status="cancelled")), usage=None, state="cancelled")
    after = corrected(left, OWNER, TRUE, ROUTE)
    assert after is not None
    assert (after.state, after.usage, after.cost_usd) == ("cancelled", None, EXACT)
