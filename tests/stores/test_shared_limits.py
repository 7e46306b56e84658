"""Requests under way, and limits of providers, counted by replicas together, through a real Valkey or a file."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from tests.stores.counting import GRACE_S, Counting
from tests.stores.test_shared import ANN, Fleet, SharedBooks

from polyroute.errors import BudgetExceeded, RateLimited
from polyroute.state.accounts.accounts import Admission
from polyroute.state.accounts.allowances import Allowance, Allowances, Budget, Rates

PLACE = ("m", "m@p", "p")


@pytest.fixture
async def fleet(counting: Counting) -> AsyncIterator[Fleet]:
    async with AsyncExitStack() as stack:
        yield Fleet(counting, stack, SharedBooks())


async def soon(ask: Callable[[], Awaitable[object]]) -> None:
    """There is room within some seconds: what one replica gives back, another finds a moment later."""
    started_s = time.monotonic()
    while time.monotonic() - started_s < 5:
        try:
            await ask()
            return
        except RateLimited:
            continue
    raise AssertionError("no room came")


def parallel(limit: int) -> Allowances:
    return Allowances(per_team=Rates(parallel=limit), providers={"p": Allowance(rates=Rates(parallel=limit - 1))})


async def test_places_are_counted_over_all_replicas_and_come_back(fleet: Fleet) -> None:
    replicas = [await fleet.replica(name, parallel(6)) for name in "abc"]
    inside: list[Admission] = [await replicas[n % 3].enter(ANN, 1, time.monotonic()) for n in range(6)]
    for replica in replicas:
        with pytest.raises(RateLimited, match="per_team_parallel") as refusal:
            await replica.enter(ANN, 1, time.monotonic())
        assert not refusal.value.elsewhere
    replicas[0].leave(inside[0])
    replicas[0].leave(inside[0])
    await soon(lambda: replicas[2].enter(ANN, 1, time.monotonic()))
    with pytest.raises(RateLimited):
        await replicas[1].enter(ANN, 1, time.monotonic())


async def test_places_survive_a_server_that_forgets_everything(fleet: Fleet) -> None:
    one, other = await fleet.replica("a", parallel(3)), await fleet.replica("b", parallel(3))
    held = [await one.occupy(*PLACE, 1, time.monotonic()) for _ in range(2)]
    await fleet.flush()
    with pytest.raises(RateLimited, match=r"providers\.p\.limits\.parallel") as refusal:
        await other.occupy(*PLACE, 1, time.monotonic())
    assert refusal.value.elsewhere
    for admission in held:
        one.leave(admission)
    for _ in range(2):
        await soon(lambda: other.occupy(*PLACE, 1, time.monotonic()))
    with pytest.raises(RateLimited):
        await one.occupy(*PLACE, 1, time.monotonic())


async def test_a_dead_replica_s_places_are_free_with_its_lease(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet.place.shorten_leases(monkeypatch, GRACE_S)
    dead, living = await fleet.replica("a", parallel(2)), await fleet.replica("b", parallel(2))
    await dead.occupy(*PLACE, 1, time.monotonic())
    await dead.aclose()
    await soon(lambda: living.occupy(*PLACE, 1, time.monotonic()))


async def test_a_provider_s_rate_is_one_for_all_replicas_and_a_call_never_sent_counts_nothing(fleet: Fleet) -> None:
    allowed = Allowances(providers={"p": Allowance(rates=Rates(requests_per_minute=10))})
    replicas = [await fleet.replica(name, allowed) for name in "abc"]
    admissions = [await replicas[n % 3].occupy(*PLACE, 1, time.monotonic()) for n in range(10)]
    for replica in replicas:
        with pytest.raises(RateLimited, match=r"providers\.p\.limits\.per_minute"):
            await replica.occupy(*PLACE, 1, time.monotonic())
    replicas[0].annul(admissions[0])  # on its own connection, so in its own order
    await replicas[0].occupy(*PLACE, 1, time.monotonic())
    with pytest.raises(RateLimited):
        await replicas[1].occupy(*PLACE, 1, time.monotonic())


async def test_a_provider_s_budget_is_one_for_all_replicas_and_the_least_left_is_named(fleet: Fleet) -> None:
    allowed = Allowances(
        team_budget=Budget(daily_usd=Decimal("0.05")),
        providers={"p": Allowance(budget=Budget(daily_usd=Decimal("0.03")))},
    )
    one, other = await fleet.replica("a", allowed), await fleet.replica("b", allowed)
    for replica in (one, other, one):
        await replica.reserve(ANN, "m", Decimal("0.01"), datetime.now(UTC), "m@p", "p")
    with pytest.raises(BudgetExceeded) as refusal:
        await other.reserve(ANN, "m", Decimal("0.03"), datetime.now(UTC), "m@p", "p")
    assert refusal.value.budget == "providers.p.budget.daily_usd"
    assert refusal.value.elsewhere
    await other.reserve(ANN, "m", Decimal("0.02"), datetime.now(UTC), "m@q", "q")
