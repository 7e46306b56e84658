"""Conformance of a `Ledger`, and the values to try one with.

    async def test_my_ledger() -> None:
        await check_ledger(lambda: my_ledger())

`make_ledger` gives an async context manager around a ledger with no requests in it, a new one each time. An
AssertionError names the promise that was broken.
"""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from decimal import Decimal

from msgspec.structs import replace

from polyroute.errors import StoreError
from polyroute.ports import Ledger
from polyroute.stores.memory import MemoryLedger as MemoryLedger
from polyroute.types.access import Caller
from polyroute.types.money import ZERO_USD
from polyroute.types.receipt import Attempt, AttemptOpening, Opening, Receipt, Settlement
from polyroute.types.response import Usage
from polyroute.types.routing import Classification, Evidence

MakeLedger = Callable[[], AbstractAsyncContextManager[Ledger]]

_ANYONE = Caller()
_NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
_WORST = Decimal("0.002")
_COST, _TRUE_COST = Decimal("0.000750001"), Decimal("0.000300002")


def an_attempt_opening(request_id: str, number: int = 0, worst_usd: Decimal | None = _WORST) -> AttemptOpening:
    return AttemptOpening(
        id=f"{request_id}-a{number}",
        request_id=request_id,
        number=number,
        deployment="general-model@openai",
        provider="openai",
        model="general-model",
        worst_usd=worst_usd,
        opened_at=_NOON,
    )


def an_opening(request_id: str, *, caller: Caller = _ANYONE, opened_at: datetime = _NOON) -> Opening:
    """With its first attempt, `{request_id}-a0`."""
    return Opening(
        request_id=request_id,
        client_request_id=None,
        opened_at=opened_at,
        caller=caller,
        route="support",
        policy="0123456789abcdef",
        reserved_usd=_WORST,
        attempt=an_attempt_opening(request_id),
    )


def a_settlement(
    request_id: str,
    *,
    costs: tuple[Decimal | None, ...] = (_COST,),
    caller: Caller = _ANYONE,
    time: datetime = _NOON,
) -> Settlement:
    """One attempt per cost, all but the last failed."""
    attempts = tuple(
        Attempt(
            id=f"{request_id}-a{number}",
            step=number,
            deployment="general-model@openai",
            provider="openai",
            model="general-model",
            upstream_model="gpt-4o",
            status="succeeded" if number == len(costs) - 1 else "failed",
            usage=Usage(input_tokens=100, output_tokens=50),
            cost_usd=cost,
            duration_ms=12.5,
        )
        for number, cost in enumerate(costs)
    )
    total = sum((cost for cost in costs if cost is not None), ZERO_USD)
    evidence = Evidence(feature="words: 3", weight=-0.25)
    receipt = Receipt(
        request_id=request_id,
        time=time,
        caller=caller,
        door="openai_chat",
        route="support",
        requested_model="support",
        policy="0123456789abcdef",
        state="settled",
        classification=Classification(label="simple", score=0.125, classifier="phrases@1", evidence=(evidence,)),
        attempts=attempts,
        model="general-model",
        provider="openai",
        cost_usd=total,
        cost_complete=None not in costs,
        baseline="strongest",
        baseline_usd=total * 2,
        saved_usd=total,
        total_ms=13.5,
    )
    return Settlement(request_id=request_id, settled_at=time, state="settled", receipt=receipt)


async def check_ledger(make_ledger: MakeLedger) -> None:
    """Every promise of the port."""
    for check in (
        a_settled_request_gives_back_its_receipt,
        an_open_request_shows_its_attempts_and_no_cost,
        an_unknown_request_has_no_receipt,
        settling_again_with_the_same_figures_is_done_already,
        settling_again_differently_is_refused_and_the_first_stands,
        a_request_is_opened_once,
        an_attempt_needs_an_open_request,
        what_was_never_opened_is_booked_when_settled,
        one_refusal_leaves_the_others_of_its_moment_alone,
        a_waiter_that_leaves_does_not_undo_the_write,
        a_settled_receipt_is_amended_once,
    ):
        async with make_ledger() as ledger:
            await check(ledger)


async def a_settled_request_gives_back_its_receipt(ledger: Ledger) -> None:
    settlement = a_settlement("r1", costs=(Decimal("0.001"), None, _COST), caller=Caller(models=frozenset({"a", "b"})))
    await ledger.open(an_opening("r1"))
    await ledger.open_attempt(an_attempt_opening("r1", 1, worst_usd=None))
    await ledger.open_attempt(an_attempt_opening("r1", 2))
    await ledger.settle(settlement)
    assert await ledger.receipt("r1") == settlement.receipt, "the receipt comes back as it was settled"


async def an_open_request_shows_its_attempts_and_no_cost(ledger: Ledger) -> None:
    await ledger.open(an_opening("r1"))
    await ledger.open_attempt(an_attempt_opening("r1", 1))
    receipt = await ledger.receipt("r1")
    assert receipt is not None, "an open request can be looked up"
    assert receipt.state == "open", "an open request says so"
    assert [attempt.id for attempt in receipt.attempts] == ["r1-a0", "r1-a1"], "its attempts are there, in order"
    assert receipt.cost_usd == 0, "nothing is spent before it is settled"


async def an_unknown_request_has_no_receipt(ledger: Ledger) -> None:
    assert await ledger.receipt("nobody") is None, "an unknown request has no receipt"


async def settling_again_with_the_same_figures_is_done_already(ledger: Ledger) -> None:
    await ledger.open(an_opening("r1"))
    await ledger.settle(a_settlement("r1"))
    await ledger.settle(a_settlement("r1"))
    assert await ledger.receipt("r1") == a_settlement("r1").receipt, "settling twice changes nothing"


async def settling_again_differently_is_refused_and_the_first_stands(ledger: Ledger) -> None:
    await ledger.open(an_opening("r1"))
    await ledger.settle(a_settlement("r1"))
    await _refused(ledger.settle(a_settlement("r1", costs=(Decimal(1),))), "a second, different settlement")
    assert await ledger.receipt("r1") == a_settlement("r1").receipt, "the first settlement stands"


async def a_request_is_opened_once(ledger: Ledger) -> None:
    await ledger.open(an_opening("r1"))
    await _refused(ledger.open(an_opening("r1")), "opening an open request")


async def an_attempt_needs_an_open_request(ledger: Ledger) -> None:
    await _refused(ledger.open_attempt(an_attempt_opening("nobody", 1)), "an attempt of an unknown request")
    await ledger.open(an_opening("r1"))
    await ledger.open_attempt(an_attempt_opening("r1", 1))
    await _refused(ledger.open_attempt(an_attempt_opening("r1", 1)), "an attempt opened twice")
    await ledger.settle(a_settlement("r1"))
    await _refused(ledger.open_attempt(an_attempt_opening("r1", 2)), "an attempt of a settled request")


async def what_was_never_opened_is_booked_when_settled(ledger: Ledger) -> None:
    await ledger.settle(a_settlement("r1", costs=(None, _COST)))
    assert await ledger.receipt("r1") == a_settlement("r1", costs=(None, _COST)).receipt, "nothing is lost"


async def one_refusal_leaves_the_others_of_its_moment_alone(ledger: Ledger) -> None:
    await ledger.open(an_opening("r0"))
    ids = [f"r{number}" for number in range(20)]
    outcomes = await asyncio.gather(*(ledger.open(an_opening(name)) for name in ids), return_exceptions=True)
    assert isinstance(outcomes[0], StoreError), "the second opening is refused"
    assert outcomes[1:] == [None] * 19, "the others are not"
    await asyncio.gather(*(ledger.settle(a_settlement(name)) for name in ids))
    for name in ids:
        receipt = await ledger.receipt(name)
        assert receipt is not None, "every one is settled"
        assert receipt.state == "settled", "every one is settled"


async def a_waiter_that_leaves_does_not_undo_the_write(ledger: Ledger) -> None:
    await ledger.open(an_opening("r1"))
    first = asyncio.ensure_future(ledger.settle(a_settlement("r1")))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait([first])
    await ledger.settle(replace(a_settlement("r1")))
    assert await ledger.receipt("r1") == a_settlement("r1").receipt, "it is settled once"


async def a_settled_receipt_is_amended_once(ledger: Ledger) -> None:
    def corrected(receipt: Receipt) -> Receipt | None:
        (attempt,) = receipt.attempts
        if attempt.cost_usd != _COST:
            return None
        true = replace(attempt, cost_usd=_TRUE_COST, usage=Usage(input_tokens=7))
        return replace(receipt, cost_usd=_TRUE_COST, attempts=(true,), usage=true.usage, saved_usd=ZERO_USD)

    await _refused(ledger.amend("nobody", corrected), "amending an unknown request")
    await ledger.open(an_opening("r1"))
    await ledger.settle(a_settlement("r1"))
    outcomes = await asyncio.gather(*(ledger.amend("r1", corrected) for _ in range(5)))
    done = [amended for amended in outcomes if amended is not None]
    assert len(done) == 1, "of several at once one amends"
    assert done[0].before == a_settlement("r1").receipt, "it saw what was settled"
    assert await ledger.receipt("r1") == done[0].after, "the receipt is the amended one"


async def _refused(write: object, what: str) -> None:
    assert asyncio.iscoroutine(write)
    try:
        await write
    except StoreError:
        return
    raise AssertionError(f"{what} must be a StoreError")
