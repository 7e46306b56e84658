"""A second call beside a late one: who wins, what the loser costs, and where none is made."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace
from tests.unit.rig import PRICE, Rig, Says, a_route, daily, deployment

from polyroute.errors import MalformedReply, Overloaded, PlanExhausted
from polyroute.state.hedges import Hedge
from polyroute.testing.providers import Hang, Outcome, a_response
from polyroute.types.cards import Price, Rates
from polyroute.types.receipt import Receipt
from polyroute.types.request import ask
from polyroute.types.response import Started, TextDelta, Usage

RULE = Hedge(after_s=0.5)
ASKED = ask("route", "hi", max_output_tokens=100)
GOOD = a_response("hello there", usage=Usage(input_tokens=10, output_tokens=20))
BEGUN = Started(id="s", model="m")


def rig_of(script: dict[str, Outcome | list[Outcome]], rule: Hedge = RULE, usd: str = "5", **more: Any) -> Rig:
    """The bucket is full."""
    placed = more.pop("placed", None) or [deployment(name, max_tries=1) for name in script]
    rig = Rig(script, a_route(*placed, hedge=rule, **more), allowances=daily(usd))
    for _ in range(1000):
        rig.hedges.came("route", rule)
    return rig


def settled(rig: Rig) -> Receipt:
    """Nothing is left open or held, and each call was written down before it was made."""
    receipt = rig.receipt
    assert rig.books.still_open == 0
    opened = [*(opening.attempt for opening in rig.books.openings), *rig.books.attempts]
    assert [attempt.id for attempt in receipt.attempts] == [attempt.id for attempt in opened if attempt]
    assert receipt.cost_usd == sum(attempt.cost_usd or 0 for attempt in receipt.attempts)
    assert rig.left_usd() == Decimal(5) - receipt.cost_usd
    return receipt


def told(receipt: Receipt) -> list[tuple[str, str, str | None, str | None]]:
    return [(a.model, a.status, a.role, a.remedy) for a in receipt.attempts]


async def test_a_late_answer_is_overtaken_and_its_call_cut_and_booked_by_estimate() -> None:
    rig = rig_of({"slow": Hang(), "quick": GOOD})
    answer = await rig.answer(ASKED)
    receipt = settled(rig)
    assert answer.reply.response == GOOD
    assert told(receipt) == [("slow", "cancelled", None, "hedge"), ("quick", "succeeded", "hedge", None)]
    assert rig.provider.left == ["slow@provider"]
    loser = receipt.attempts[0].usage
    assert loser is not None
    assert (loser.estimated, loser.input_tokens > 0, loser.output_tokens) == (True, True, 0)
    assert receipt.fallback_reason == "slow@provider: outrun"


async def test_a_late_stream_is_overtaken_before_its_first_token() -> None:
    rig = rig_of({"slow": (BEGUN, Hang()), "quick": GOOD})
    live, chunks = await rig.read(ASKED)
    receipt = settled(rig)
    assert "".join(chunk.text for chunk in chunks if isinstance(chunk, TextDelta)) == "hello there"
    assert told(receipt) == [("slow", "cancelled", None, "hedge"), ("quick", "succeeded", "hedge", None)]
    assert live.receipt == receipt
    assert rig.provider.left == ["slow@provider"]


async def test_once_something_was_told_nobody_is_asked_beside_it() -> None:
    rig = rig_of({"first": (BEGUN, TextDelta(text="he"), Hang()), "never": []}, Hedge())
    live = await rig.stream(ASKED)
    chunks = live.chunks()
    assert [await anext(chunks), await anext(chunks)] == [BEGUN, TextDelta(text="he")]
    await live.aclose()
    assert told(settled(rig)) == [("first", "cancelled", None, None)]


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
async def test_a_first_call_that_fails_in_time_is_followed_as_ever(streamed: bool) -> None:
    rig = rig_of({"down": Overloaded("no", http_status=500), "next": GOOD}, Hedge())
    await (rig.read(ASKED) if streamed else rig.answer(ASKED))
    assert told(settled(rig)) == [("down", "failed", None, "retry"), ("next", "succeeded", None, None)]


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
async def test_where_both_fail_the_next_of_the_plan_is_asked(streamed: bool) -> None:
    gate = asyncio.Event()
    rig = rig_of({"slow": [], "bad": MalformedReply("what"), "last": GOOD})
    complete, stream = rig.provider.complete, rig.provider.stream

    async def wait(target: Any) -> None:
        if target.model == "slow":
            await gate.wait()
            raise MalformedReply("late, and wrong")
        if target.model == "bad":
            gate.set()

    async def slow_complete(request: Any, target: Any, *more: Any) -> Any:
        await wait(target)
        return await complete(request, target, *more)

    async def slow_stream(request: Any, target: Any, *more: Any) -> Any:
        await wait(target)
        async for chunk in stream(request, target, *more):
            yield chunk

    vars(rig.provider).update(complete=slow_complete, stream=slow_stream)
    await (rig.read(ASKED) if streamed else rig.answer(ASKED))
    assert [(model, status, role) for model, status, role, _ in told(rig.receipt)] == [
        ("slow", "failed", None),
        ("bad", "failed", "hedge"),
        ("last", "succeeded", None),
    ]


async def test_a_rejected_hedge_leaves_the_late_one_to_answer() -> None:
    gate = asyncio.Event()
    rig = rig_of({"slow": [], "poor": a_response("no")}, gates=[Says("hello")])
    complete = rig.provider.complete

    async def slow(request: Any, target: Any, *more: Any) -> Any:
        if target.model == "slow":
            await gate.wait()
            return await Rig({"slow": GOOD}).provider.complete(request, target, *more)
        answer = await complete(request, target, *more)
        asyncio.get_running_loop().call_later(0.01, gate.set)
        return answer

    vars(rig.provider).update(complete=slow)
    answer = await rig.answer(ASKED)
    assert answer.receipt.model == "slow"
    assert told(settled(rig)) == [("slow", "succeeded", None, None), ("poor", "rejected", "hedge", None)]


@pytest.mark.parametrize(
    ("usd", "more", "why"),
    [
        ("0.0003", {}, "the budget holds one of them only"),
        ("5", {"rule": replace(RULE, max_cost_share=Decimal("0.5"))}, "it may cost too much"),
    ],
)
async def test_there_is_none_where_it_cannot_be_paid(usd: str, more: dict[str, Any], why: str) -> None:
    rig = rig_of({"slow": Hang(), "quick": GOOD}, usd=usd, **more)
    asking = asyncio.create_task(rig.answer(ASKED))
    for _ in range(50):
        await asyncio.sleep(0)
    assert [call.deployment for call in rig.provider.calls] == ["slow@provider"], why
    asking.cancel()
    await asyncio.wait([asking])
    assert told(rig.receipt) == [("slow", "cancelled", None, None)]
    assert rig.hedges.spend("route")


async def test_a_hedge_is_never_a_shorter_answer() -> None:
    """The money left would do for some of the tokens that were asked."""
    dear = Price(rates=Rates(input=PRICE.rates.input, output=PRICE.rates.output), source="test")
    rig = rig_of(
        {"slow": Hang(), "quick": GOOD}, usd="0.00035", placed=[deployment("slow", price=dear), deployment("quick")]
    )
    asking = asyncio.create_task(rig.answer(ASKED))
    for _ in range(50):
        await asyncio.sleep(0)
    assert len(rig.provider.calls) == 1
    asking.cancel()
    await asyncio.wait([asking])
    assert rig.receipt.clamped_to is None


async def test_a_caller_who_leaves_leaves_neither_call_open() -> None:
    for streamed in (False, True):
        rig = rig_of({"slow": Hang(), "slower": Hang()})
        asking: asyncio.Task[Any] = asyncio.create_task(rig.stream(ASKED) if streamed else rig.answer(ASKED))
        for _ in range(50):
            await asyncio.sleep(0)
        asking.cancel()
        await asyncio.wait([asking])
        assert told(settled(rig)) == [("slow", "cancelled", None, None), ("slower", "cancelled", "hedge", None)]
        assert sorted(rig.provider.left) == ["slow@provider", "slower@provider"]


async def test_a_caller_who_leaves_at_any_moment_leaves_nothing_open_or_held() -> None:
    """Cancelled after each turn of the loop that a hedged request takes."""
    for streamed in (False, True):
        for turns in range(60):
            rig = rig_of({"slow": (BEGUN, Hang()) if streamed else Hang(), "quick": GOOD})
            asking: asyncio.Task[Any] = asyncio.create_task(rig.stream(ASKED) if streamed else rig.answer(ASKED))
            for _ in range(turns):
                await asyncio.sleep(0)
            asking.cancel()
            await asyncio.wait([asking])
            if asking.cancelled():
                assert rig.books.still_open == 0
                spent = sum(settlement.receipt.cost_usd for settlement in rig.books.settlements)
                assert rig.left_usd() == Decimal(5) - spent
            else:
                if streamed:
                    await asking.result().aclose()
                settled(rig)
            assert set(rig.provider.left) <= {"slow@provider", "quick@provider"}
            assert {load.in_flight for load in rig.path.health.loads.values()} <= {0}


async def test_without_the_setting_a_late_call_is_waited_for() -> None:
    rig = Rig({"slow": Hang(), "never": []})
    asking = asyncio.create_task(rig.answer(ASKED))
    for _ in range(50):
        await asyncio.sleep(0)
    assert len(rig.provider.calls) == 1
    asking.cancel()
    await asyncio.wait([asking])


async def test_everything_failing_is_told_as_ever() -> None:
    rig = rig_of({"a": Overloaded("no", http_status=500), "b": Overloaded("no", http_status=500)}, Hedge())
    with pytest.raises(PlanExhausted):
        await rig.answer(ASKED)
    assert settled(rig).state == "failed"
