"""Limits and budgets of places, on the path: who is asked instead, who waits, and what is counted in the end."""

from decimal import Decimal

import pytest
from tests.unit.rig import CALLER, NOON, Rig

from polyroute.errors import BudgetExceeded, Overloaded, PlanExhausted, RateLimited
from polyroute.state.accounts.allowances import Allowance, Allowances, Budget, Rates, Waiting

NO_WAITING = Waiting(longest_s=0.0)


def models(**rates: Rates) -> Allowances:
    return Allowances(models={name: Allowance(rates=rate) for name, rate in rates.items()}, waiting=NO_WAITING)


async def test_a_model_beyond_its_limit_is_passed_over_without_an_attempt() -> None:
    rig = Rig({"a": "a", "b": "b"}, allowances=models(a=Rates(requests_per_minute=1)))
    told = [await rig.answer() for _ in range(3)]
    assert [answered.receipt.model for answered in told] == ["a", "b", "b"]
    assert [len(answered.receipt.attempts) for answered in told] == [1, 1, 1]


async def test_where_none_has_room_it_is_429_with_the_time_of_the_limit() -> None:
    rig = Rig({"a": "a", "b": "b"}, allowances=models(
        a=Rates(requests_per_minute=1), b=Rates(requests_per_minute=1)))  # fmt: skip
    await rig.answer()
    await rig.answer()
    rig.clock.now_s += 20
    with pytest.raises(RateLimited) as refusal:
        await rig.answer()
    assert refusal.value.limit == "models.a.limits.per_minute"
    rig.clock.now_s += refusal.value.retry_after_s
    assert (await rig.answer()).receipt.model == "a"


async def test_a_budget_of_a_model_sends_on_and_ends_in_402() -> None:
    allowed = Allowances(models={name: Allowance(budget=Budget(daily_usd=Decimal("0.0000001"))) for name in ("a", "b")})
    rig = Rig({"a": "a", "b": "b"}, allowances=allowed)
    with pytest.raises(BudgetExceeded) as refusal:
        await rig.answer()
    assert refusal.value.budget == "models.a.budget.daily_usd"
    assert rig.left_usd("a") == Decimal("0.0000001")


async def test_who_failed_and_who_had_no_room_is_an_exhausted_plan() -> None:
    rig = Rig({"a": Overloaded("no", http_status=503), "b": "b"}, allowances=models(
        b=Rates(requests_per_minute=1)))  # fmt: skip
    assert (await rig.answer()).receipt.model == "b"
    with pytest.raises((PlanExhausted, RateLimited)):
        await rig.answer()


async def test_a_call_that_was_never_sent_takes_up_nothing() -> None:
    allowed = Allowances(
        user_budget=Budget(daily_usd=Decimal("0.0000001")),
        models={"a": Allowance(rates=Rates(requests_per_minute=1, parallel=1))},
        waiting=NO_WAITING,
    )
    rig = Rig({"a": "a"}, allowances=allowed)
    for _ in range(3):
        with pytest.raises(BudgetExceeded) as refusal:
            await rig.answer()
        assert not refusal.value.elsewhere


@pytest.mark.parametrize("failing", [False, True])
async def test_places_are_free_again_however_it_ends(failing: bool) -> None:
    outcome = Overloaded("no", http_status=503) if failing else "a"
    allowed = Allowances(
        per_user=Rates(parallel=1), models={"a": Allowance(rates=Rates(parallel=1))}, gateway=Rates(parallel=1)
    )
    rig = Rig({"a": outcome}, allowances=allowed)
    for _ in range(3):
        if failing:
            with pytest.raises(PlanExhausted):
                await rig.answer()
        else:
            await rig.answer()
            await rig.read()
    limits = rig.accounts._limits_of(CALLER.tenant, CALLER.team, CALLER.user, CALLER.key_id)
    assert [rig.accounts.under_way(slot) for slot in limits.slots] == [0]
    assert rig.accounts.remaining_usd(CALLER, "a", NOON) is None
