"""Counters shared by replicas, through a real Valkey or a file: exact across them, after flushes, losses and deaths."""

import asyncio
import random
import time
from bisect import bisect_left
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from tests.stores.counting import Counting

from polyroute.errors import BudgetExceeded, RateLimited, StoreError
from polyroute.state.accounts.allowances import Allowances, Budget, Rates
from polyroute.state.accounts.budgets import Period
from polyroute.state.accounts.shared import SharedAccounts, Spending, WhenAway
from polyroute.types.access import Caller
from polyroute.types.receipt import Spent

ANN = Caller(user="ann", team="blue", key_id="ci")
WORST = Decimal("0.01")


class SharedBooks:
    """What all replicas have settled, as their ledger would know it."""

    def __init__(self) -> None:
        self.spent: dict[str, Decimal] = {}
        self.is_away = False

    def settle(self, replica: str, cost_usd: Decimal) -> None:
        self.spent[replica] = self.spent.get(replica, Decimal(0)) + cost_usd

    @property
    def total_usd(self) -> Decimal:
        return sum(self.spent.values(), Decimal(0))

    async def read(self, starts: Mapping[Period, datetime]) -> Spending:
        if self.is_away:
            raise StoreError("the books are away")
        lines = [
            (replica, Spent(tenant="default", team="blue", user="ann", key_id="ci", model="m", cost_usd=cost))
            for replica, cost in self.spent.items()
        ]
        return Spending(since=dict.fromkeys(starts, lines))


class Fleet:
    """Replicas that count in one place."""

    def __init__(self, place: Counting, stack: AsyncExitStack, books: SharedBooks) -> None:
        self.place, self.books = place, books
        self._stack = stack
        self.now = datetime.now(UTC)

    async def replica(
        self, name: str, allowances: Allowances, *, window_s: float = 60.0, **options: Any
    ) -> SharedAccounts:
        accounts = SharedAccounts(
            allowances,
            self.place.counters(name, window_s),
            read_spending=self.books.read,
            when_away=options.pop("when_away", "share"),
            replicas=options.pop("replicas", 1),
            monotonic=time.monotonic,
            utc_now=lambda: self.now,
            window_s=window_s,
        )
        await accounts.start()
        self._stack.push_async_callback(accounts.aclose)
        return accounts

    async def flush(self) -> None:
        await self.place.flush()

    async def spend(self, accounts: SharedAccounts, worst: Decimal = WORST, cost: Decimal | None = None) -> None:
        hold = await accounts.reserve(ANN, "m", worst, self.now)
        hold.settle(worst if cost is None else cost)
        self.books.settle(accounts._counters.replica, worst if cost is None else cost)


@pytest.fixture
async def fleet(counting: Counting) -> AsyncIterator[Fleet]:
    async with AsyncExitStack() as stack:
        yield Fleet(counting, stack, SharedBooks())


def daily(usd: str) -> Allowances:
    return Allowances(team_budget=Budget(daily_usd=Decimal(usd)))


def per_minute(requests: int | None = None, tokens: int | None = None) -> Allowances:
    return Allowances(per_user=Rates(requests_per_minute=requests, tokens_per_minute=tokens))


async def once_granted(ask: Callable[[], Awaitable[object]]) -> None:
    async with asyncio.timeout(10):
        while True:
            try:
                await ask()
            except BudgetExceeded:
                await asyncio.sleep(0.01)
            else:
                return


async def until_refused(ask: Callable[[], Awaitable[object]]) -> int:
    """How often it was not."""
    granted = 0
    while True:
        try:
            await ask()
        except (RateLimited, BudgetExceeded):
            return granted
        granted += 1


async def test_a_rate_limit_is_one_limit_for_all_replicas(fleet: Fleet) -> None:
    replicas = [await fleet.replica(name, per_minute(10)) for name in "abc"]
    for number in range(10):
        await replicas[number % 3].enter(ANN, 5, time.monotonic())
    for replica in replicas:
        with pytest.raises(RateLimited, match="per_user_per_minute") as refused:
            await replica.enter(ANN, 5, time.monotonic())
        assert 59 < refused.value.retry_after_s <= 60
        standing = replica.standings(ANN, time.monotonic()).requests
        assert standing is not None
        assert (standing.limit, standing.remaining) == (10, 0)
    await replicas[0].enter(Caller(user="ben"), 5, time.monotonic())


async def test_tokens_are_corrected_for_all(fleet: Fleet) -> None:
    one, other = [await fleet.replica(name, per_minute(tokens=1000)) for name in "ab"]
    admission = await one.enter(ANN, 900, time.monotonic())
    with pytest.raises(RateLimited):
        await other.enter(ANN, 200, time.monotonic())
    one.correct(admission, 100)
    await one.enter(Caller(user="ben"), 1, time.monotonic())  # by the same connection: the correction has arrived
    await other.enter(ANN, 900, time.monotonic())
    with pytest.raises(RateLimited):
        await one.enter(ANN, 1, time.monotonic())
    with pytest.raises(RateLimited, match="shorten it"):
        await one.enter(ANN, 1001, time.monotonic())


async def test_what_was_admitted_leaves_its_window(fleet: Fleet) -> None:
    one, other = [await fleet.replica(name, per_minute(5), window_s=0.5) for name in "ab"]
    admitted: list[float] = []
    until = time.monotonic() + 1.5
    while time.monotonic() < until:
        for replica in (one, other):
            try:
                await replica.enter(ANN, 1, time.monotonic())
            except RateLimited:
                await asyncio.sleep(0.005)
            else:
                admitted.append(time.monotonic())
    assert all(later - earlier >= 0.49 for earlier, later in zip(admitted, admitted[5:], strict=False))
    assert len(admitted) >= 10


async def test_three_replicas_under_three_times_the_load_use_the_limit_and_never_more(fleet: Fleet) -> None:
    limit, window_s, seconds, shares = 200, 1.0, 2.5, (0.8, 0.15, 0.05)
    replicas = [await fleet.replica(name, per_minute(limit), window_s=window_s) for name in "abc"]
    admitted: list[float] = []
    start = time.monotonic()

    async def offer(replica: SharedAccounts, per_s: float) -> None:
        for number in range(round(seconds * per_s)):
            await asyncio.sleep(max(start + number / per_s - time.monotonic(), 0))
            with suppress(RateLimited):
                asked = time.monotonic()
                await replica.enter(ANN, 1, asked)
                admitted.append(asked)

    await asyncio.gather(
        *(offer(replica, 3 * limit / window_s * share) for replica, share in zip(replicas, shares, strict=True))
    )
    admitted.sort()
    # Asked before it was counted: so an interval a little shorter than the window can hold one limit at most.
    busiest = max(bisect_left(admitted, at + window_s - 0.05) - number for number, at in enumerate(admitted))
    assert busiest <= limit
    assert len(admitted) >= 0.97 * limit * seconds, "at a thousandth's grain and this machine's hiccups"


async def test_a_budget_is_one_budget_for_all_replicas(fleet: Fleet) -> None:
    replicas = [await fleet.replica(name, daily("0.10")) for name in "abc"]
    holds = [await replicas[number % 3].reserve(ANN, "m", WORST, fleet.now) for number in range(10)]
    for replica in replicas:
        with pytest.raises(BudgetExceeded) as refused:
            await replica.reserve(ANN, "m", WORST, fleet.now)
        assert (refused.value.budget, refused.value.limit_usd) == ("per_team_daily_usd", Decimal("0.1"))
        assert replica.remaining_usd(ANN, "m", fleet.now) == 0
    holds[0].release()
    holds[1].settle(Decimal("0.004"))
    await replicas[2].reserve(ANN, "m", Decimal("0.016"), fleet.now)
    with pytest.raises(BudgetExceeded):
        await replicas[0].reserve(ANN, "m", Decimal("0.000000001"), fleet.now)


async def test_a_caller_that_leaves_while_it_asks_holds_nothing(fleet: Fleet) -> None:
    one = await fleet.replica("a", daily("1"))
    await fleet.spend(one)
    for _ in range(50):
        asking = asyncio.ensure_future(one.reserve(ANN, "m", WORST, fleet.now))
        await asyncio.sleep(0)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    await asyncio.sleep(0.05)
    await fleet.spend(one, Decimal("0.99"))


async def test_after_a_flush_nothing_is_forgotten_that_was_spent_or_is_held(fleet: Fleet) -> None:
    one, other = [await fleet.replica(name, daily("0.10")) for name in "ab"]
    fleet.books.settle("dead", Decimal("0.03"))  # a process of before
    await one.seed()
    await fleet.spend(one)
    held = await other.reserve(ANN, "m", Decimal("0.02"), fleet.now)
    await fleet.flush()
    with pytest.raises(BudgetExceeded):
        await one.reserve(ANN, "m", Decimal("0.040000001"), fleet.now)
    held.settle(Decimal("0.01"))
    await once_granted(lambda: fleet.spend(one, Decimal("0.05")))  # the settlement is on its way to the store
    with pytest.raises(BudgetExceeded):
        await other.reserve(ANN, "m", Decimal("0.000000001"), fleet.now)


async def test_after_a_flush_rates_are_what_the_living_admitted(fleet: Fleet) -> None:
    one, other = [await fleet.replica(name, per_minute(10)) for name in "ab"]
    for replica in (one, other):
        for _ in range(4):
            await replica.enter(ANN, 1, time.monotonic())
    await fleet.flush()
    await asyncio.sleep(0.6)  # two beats
    for _ in range(2):
        await one.enter(ANN, 1, time.monotonic())
    with pytest.raises(RateLimited):
        await other.enter(ANN, 1, time.monotonic())


@pytest.mark.parametrize("when_away", ["share", "refuse"])
async def test_while_the_store_is_away(when_away: WhenAway, fleet: Fleet) -> None:
    allowances = Allowances(team_budget=Budget(daily_usd=Decimal("0.10")), per_user=Rates(requests_per_minute=10))
    replicas = [await fleet.replica(name, allowances, when_away=when_away, replicas=2) for name in "ab"]
    for replica in replicas:
        await fleet.spend(replica)
        for _ in range(2):
            await replica.enter(ANN, 1, time.monotonic())
    await asyncio.sleep(0.3)  # a beat
    fleet.place.leave()
    if when_away == "refuse":
        for replica in replicas:
            with pytest.raises(StoreError, match="when_away"):
                await replica.enter(ANN, 1, time.monotonic())
            with pytest.raises(StoreError, match="when_away"):
                await replica.reserve(ANN, "m", WORST, fleet.now)
    else:
        admitted = 0
        for replica in replicas:
            admitted += await until_refused(partial(replica.enter, ANN, 1, time.monotonic()))
            await until_refused(partial(fleet.spend, replica))
        assert 4 + admitted <= 10
        assert Decimal("0.08") <= fleet.books.total_usd <= Decimal("0.10")
    fleet.place.come_back()
    async with asyncio.timeout(5):
        while any(replica._link.is_away for replica in replicas):
            await asyncio.sleep(0.01)
    await until_refused(partial(fleet.spend, replicas[0]))
    assert fleet.books.total_usd == Decimal("0.10")


async def test_a_dead_replica_s_holds_come_back_when_its_lease_ends(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet.place.shorten_leases(monkeypatch, 0.7)
    one, other = [await fleet.replica(name, daily("0.10")) for name in "ab"]
    await one.reserve(ANN, "m", Decimal("0.09"), fleet.now)
    await one.aclose()  # beats no more
    with pytest.raises(BudgetExceeded):
        await other.reserve(ANN, "m", Decimal("0.02"), fleet.now)
    async with asyncio.timeout(3):
        while True:
            try:
                await other.reserve(ANN, "m", Decimal("0.10"), fleet.now)
                break
            except BudgetExceeded:
                await asyncio.sleep(0.02)


async def test_a_new_day_begins_with_a_whole_budget_and_without_the_books(fleet: Fleet) -> None:
    one = await fleet.replica("a", daily("0.10"))
    await fleet.spend(one, Decimal("0.10"))
    fleet.books.is_away = True
    fleet.now += timedelta(days=1)
    await fleet.spend(one, Decimal("0.10"))


async def test_many_replicas_at_once_never_spend_a_nano_dollar_too_much(fleet: Fleet) -> None:
    draw = random.Random(7)
    replicas = [await fleet.replica(name, daily("1")) for name in "abc"]

    async def spend_all(accounts: SharedAccounts) -> int:
        refused = 0
        while refused < 20:
            worst = Decimal(draw.randrange(1, 9_000_000)).scaleb(-9)
            try:
                hold = await accounts.reserve(ANN, "m", worst, fleet.now)
            except BudgetExceeded:
                refused += 1
                continue
            await asyncio.sleep(draw.random() * 0.003)
            cost = (worst * draw.randrange(0, 11) / 10).quantize(Decimal("0.000000001"))
            fleet.books.settle(accounts._counters.replica, cost)
            assert fleet.books.total_usd <= 1
            hold.settle(cost)
        return refused

    async def flush_now_and_then() -> None:
        for _ in range(2):
            await asyncio.sleep(0.3)
            await fleet.flush()

    flushing = asyncio.create_task(flush_now_and_then())
    await asyncio.gather(*(spend_all(accounts) for accounts in replicas for _ in range(8)))
    await flushing
    assert fleet.books.total_usd <= 1
    assert fleet.books.total_usd >= Decimal("0.99"), "nothing leaks: the rest can be spent"
