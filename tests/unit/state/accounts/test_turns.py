"""Waiting for room: who is called, who gives up, and that nobody is forgotten."""

import asyncio
import time

import pytest

from polyroute.errors import RateLimited
from polyroute.state.accounts.accounts import Accounts, Admission
from polyroute.state.accounts.allowances import Allowance, Allowances, Rates, Waiting
from polyroute.state.accounts.turns import Turn
from polyroute.types.access import Caller

PLACE = ("m", "m@p", "p")


def desk(*, parallel: int = 1, per_team: int = 100, longest_s: float = 10.0, heavy: int = 1) -> Accounts:
    return Accounts(
        Allowances(
            providers={"p": Allowance(rates=Rates(parallel=parallel))},
            teams={("default", "blue"): Allowance(weight=heavy)},
            waiting=Waiting(per_team=per_team, longest_s=longest_s),
        )
    )


async def call(accounts: Accounts, team: str, done: list[str], *, until_s: float | None = None) -> None:
    """One request, as the runner sends it; under way for one turn of the loop."""
    turn: Turn | None = None
    admission: Admission | None = None
    while admission is None:
        try:
            admission = await accounts.occupy(*PLACE, 0, time.monotonic(), turn)
        except RateLimited as refused:
            end_s = time.monotonic() + 5 if until_s is None else until_s
            turn = await accounts.wait(refused, Caller(team=team), turn, end_s)
    done.append(team)
    await asyncio.sleep(0)
    accounts.leave(admission)


async def test_two_teams_at_ten_to_one_share_evenly() -> None:
    accounts = desk(per_team=1000)
    done: list[str] = []
    tasks = [asyncio.create_task(call(accounts, "blue", done)) for _ in range(200)]
    tasks += [asyncio.create_task(call(accounts, "red", done)) for _ in range(20)]
    await asyncio.gather(*tasks)
    assert len(done) == 220
    assert abs(done[:41].count("red") - 20) <= 1


async def test_weights_set_the_shares() -> None:
    accounts = desk(heavy=3)
    done: list[str] = []
    tasks = [asyncio.create_task(call(accounts, team, done)) for team in ("red", "blue") for _ in range(60)]
    await asyncio.gather(*tasks)
    assert abs(done[1:61].count("blue") - 45) <= 2


async def test_who_leaves_while_waiting_blocks_nobody() -> None:
    accounts = desk()
    done: list[str] = []
    first = await accounts.occupy(*PLACE, 0, time.monotonic())
    waiting = [asyncio.create_task(call(accounts, "blue", done)) for _ in range(4)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    accounts.leave(first)  # calls the one that is leaving, or the next
    waiting[1].cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert done == ["blue", "blue"]
    (await accounts.occupy(*PLACE, 0, time.monotonic())).held[0].release()


async def test_a_full_line_refuses_at_once_and_another_team_still_waits() -> None:
    accounts = desk(per_team=2)
    done: list[str] = []
    first = await accounts.occupy(*PLACE, 0, time.monotonic())
    waiting = [asyncio.create_task(call(accounts, "blue", done)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(RateLimited) as refusal:
        await call(accounts, "blue", done)
    assert refusal.value.retry_after_s >= 1
    assert refusal.value.limit == "providers.p.limits.parallel"
    waiting.append(asyncio.create_task(call(accounts, "red", done)))
    await asyncio.sleep(0)
    accounts.leave(first)
    await asyncio.gather(*waiting)
    assert sorted(done) == ["blue", "blue", "red"]


async def test_nobody_waits_past_the_end() -> None:
    accounts = desk()
    done: list[str] = []
    first = await accounts.occupy(*PLACE, 0, time.monotonic())
    with pytest.raises(RateLimited):
        await call(accounts, "blue", done, until_s=time.monotonic() + 0.02)
    accounts.leave(first)
    await call(accounts, "blue", done)
    assert done == ["blue"]


async def test_who_comes_while_others_wait_goes_behind_them() -> None:
    accounts = desk()
    done: list[str] = []
    first = await accounts.occupy(*PLACE, 0, time.monotonic())
    waiting = asyncio.create_task(call(accounts, "blue", done))
    await asyncio.sleep(0)
    accounts.leave(first)
    with pytest.raises(RateLimited):
        await accounts.occupy(*PLACE, 0, time.monotonic())
    await waiting
