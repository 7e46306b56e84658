import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace
from tests.unit.rig import CALLER, PRICE, Rig, Says, a_route, daily, deployment

from polyroute.errors import (
    BudgetExceeded,
    ContentRefused,
    DeadlineExceeded,
    Forbidden,
    InvalidRequest,
    MalformedReply,
    NoCandidate,
    Overloaded,
    PlanExhausted,
    PriceUnknown,
    ProviderTimeout,
    RateLimited,
    Rejected,
    StoreError,
    StreamInterrupted,
    Unreachable,
)
from polyroute.journey import LiveAnswer
from polyroute.state.accounts.allowances import Allowances, Rates
from polyroute.testing.providers import Hang, Outcome, a_response
from polyroute.types.access import Caller
from polyroute.types.content import Text, ToolCall
from polyroute.types.receipt import StageTimes
from polyroute.types.request import OutputFormat, Request, ask
from polyroute.types.response import (
    Choice,
    ChoiceEnded,
    Chunk,
    Ended,
    Reply,
    Response,
    Started,
    StopReason,
    TextDelta,
    Usage,
    WireBytes,
)

USAGE = Usage(input_tokens=100, output_tokens=50)
COST = Decimal("0.0002")  # of USAGE at PRICE
HELLO = a_response("hello there", usage=USAGE)
HALF: tuple[Chunk, ...] = (Started(id="s", model="m"), TextDelta(text="hel"))
BUSY, BAD = Overloaded("busy", http_status=529), Rejected("no such field", http_status=400)


async def until(holds: Callable[[], bool]) -> None:
    for _ in range(1000):
        if holds():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came to that")


async def cancelled(rig: Rig, work: Coroutine[Any, Any, object], calls: int) -> None:
    """`work`, cancelled once `calls` calls are under way."""
    task = asyncio.create_task(work)
    await until(lambda: len(rig.provider.calls) == calls)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def broken(live: LiveAnswer) -> tuple[list[Chunk], Exception]:
    """What a stream says before it breaks, and how it does."""
    seen: list[Chunk] = []
    try:
        async for chunk in live.chunks():
            seen.append(chunk)  # noqa: PERF401 - a comprehension would lose what came before the error
    except Exception as exc:  # noqa: BLE001 - whatever it is, the test looks at it
        return seen, exc
    raise AssertionError("the stream did not break")


# ── answers ───────────────────────────────────────────────────────────────────────────────────────────


async def test_an_answer_is_settled_before_it_is_returned() -> None:
    rig = Rig({"small": HELLO})
    answer = await rig.answer()
    assert answer.reply.response == HELLO
    assert rig.receipt == answer.receipt
    assert (answer.receipt.state, answer.receipt.cost_usd, answer.receipt.usage) == ("settled", COST, USAGE)
    assert [attempt.id for attempt in answer.receipt.attempts] == [rig.books.openings[0].attempt.id]  # type: ignore[union-attr]
    assert rig.books.still_open == 0


async def test_a_fallback_says_who_answered_why_the_primary_did_not_and_how_long_it_took() -> None:
    rig = Rig({"first": [BUSY, BUSY], "second": HELLO})
    receipt = (await rig.answer()).receipt
    assert receipt.model == "second"
    assert receipt.fallback_reason == "first@provider: Overloaded 529"
    assert receipt.fallback_ms == 0.0
    assert [(a.deployment, a.status, a.remedy) for a in receipt.attempts] == [
        ("first@provider", "failed", "retry"),
        ("first@provider", "failed", "retry"),
        ("second@provider", "succeeded", None),
    ]
    assert [attempt.number for attempt in rig.books.attempts] == [1, 2]
    assert rig.clock.slept == [0.25]


async def test_a_pause_is_no_overhead_of_the_gateways_own() -> None:
    rig = Rig({"only": [BUSY, HELLO]})
    receipt = (await rig.answer()).receipt
    assert (receipt.total_ms, receipt.overhead_ms) == (250.0, 0.0)


async def test_an_answer_a_gate_rejected_is_paid_for_and_escalates() -> None:
    route = a_route(deployment("small"), deployment("large"), gates=[Says("please")])
    rig = Rig({"small": HELLO, "large": a_response("please", usage=USAGE)}, route)
    receipt = (await rig.answer()).receipt
    assert [a.status for a in receipt.attempts] == ["rejected", "succeeded"]
    assert receipt.cost_usd == 2 * COST
    assert receipt.fallback_reason == "small@provider: rejected by says"
    assert receipt.saved_usd == COST - receipt.cost_usd  # the baseline would have been asked once


async def test_a_blocked_answer_goes_nowhere() -> None:
    route = a_route(deployment("small"), deployment("large"), gates=[Says("please")], on_reject="block")
    rig = Rig({"small": HELLO, "large": HELLO}, route)
    with pytest.raises(PlanExhausted):
        await rig.answer()
    assert [call.deployment for call in rig.provider.calls] == ["small@provider"]
    assert (rig.receipt.state, rig.receipt.cost_usd) == ("failed", COST)


async def test_an_answer_that_cannot_be_read_is_a_failed_attempt() -> None:
    """Bytes of the door's own dialect, without usage, that turn out to be no answer."""
    rig = Rig({"small": Reply(usage=None, model="m", stop=StopReason.END, wire=b"{"), "large": HELLO})

    def read(request: object, reply: Reply) -> Response:
        if reply.response is None:
            raise MalformedReply("not an answer")
        return reply.response

    rig.path.read = read  # type: ignore[method-assign]
    receipt = (await rig.answer()).receipt
    assert [a.status for a in receipt.attempts] == ["failed", "succeeded"]


async def test_what_a_failed_reading_was_billed_is_booked() -> None:
    class Unreadable(Says):
        async def judge(self, request: object, response: object) -> Any:
            raise MalformedReply("cannot be judged")

    rig = Rig({"small": HELLO}, a_route(deployment("small"), gates=[Unreadable("")]))
    with pytest.raises(PlanExhausted):
        await rig.answer()
    assert rig.receipt.cost_usd == COST


async def test_an_answer_without_usage_is_counted_whole() -> None:
    """All choices, tool calls too."""
    call = ToolCall(id="c", name="weather", arguments='{"city": "Paris", "days": [1, 2, 3]}')
    choices = tuple(
        Choice(index=index, parts=(Text(text="one two three four five"), call), stop=StopReason.TOOL_CALLS)
        for index in range(2)
    )
    rig = Rig({"small": Reply(
        usage=None, model="m", stop=StopReason.TOOL_CALLS,
        response=Response(id="x", model="m", choices=choices, usage=None),
    )})  # fmt: skip
    usage = (await rig.answer(replace(ask("route", "hi"), n=2))).receipt.usage
    assert usage is not None
    assert usage.estimated
    assert usage.output_tokens >= 30


@pytest.mark.parametrize(
    "failure",
    [
        pytest.param(BUSY, id="an error status"),
        pytest.param(Unreachable("refused"), id="no connection"),
        pytest.param(ProviderTimeout("slow", phase="connect"), id="no connection in time"),
    ],
)
@pytest.mark.parametrize("price", [PRICE, None], ids=["price known", "price unknown"])
async def test_what_was_never_answered_costs_nothing(failure: Any, price: Any) -> None:
    rig = Rig({"small": failure, "large": HELLO}, a_route(deployment("small", price=price), deployment("large")))
    receipt = (await rig.answer()).receipt
    assert receipt.attempts[0].cost_usd == 0
    assert receipt.cost_complete
    assert receipt.cost_usd == COST


async def test_a_failure_that_may_have_been_billed_books_its_input() -> None:
    rig = Rig({"small": ProviderTimeout("slow", phase="total"), "large": HELLO})
    first = (await rig.answer()).receipt.attempts[0]
    assert first.usage is not None
    assert first.usage.estimated
    assert first.cost_usd
    assert first.cost_usd > 0


async def test_a_price_nobody_knows_leaves_the_cost_incomplete() -> None:
    rig = Rig({"small": HELLO}, a_route(deployment("small", price=None)))
    receipt = (await rig.answer()).receipt
    assert not receipt.cost_complete
    assert receipt.cost_usd == 0
    assert receipt.saved_usd is None


async def test_no_attempt_begins_after_the_deadline() -> None:
    route = a_route(deployment("small"), deployment("large"), timeout_s=5.0)
    rig = Rig({"small": ContentRefused("no", http_status=400), "large": HELLO}, route)

    async def slow_books(kind: str) -> None:
        if kind == "open":
            rig.clock.now_s += 6.0

    rig.books.before = slow_books
    with pytest.raises(DeadlineExceeded):
        await rig.answer()
    assert len(rig.provider.calls) == 1
    assert rig.provider.calls[0].deadlines.total_s == 0
    assert rig.receipt.state == "failed"


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
async def test_an_attempt_that_would_come_too_late_is_not_started(streamed: bool) -> None:
    """What is left of the request's time says who is still worth asking."""
    slow, quick = deployment("slow", latency_ms=5000.0), deployment("quick", latency_ms=200.0)
    down: dict[str, Outcome | list[Outcome]] = {"first": MalformedReply("what"), "slow": [], "quick": HELLO}
    rig = Rig(down, a_route(deployment("first"), slow, quick, timeout_s=2.0))
    rig.latencies.of = lambda deployment, now_s=0.0: deployment.card.latency_ms  # type: ignore[method-assign]
    await (rig.read() if streamed else rig.answer())
    assert [attempt.model for attempt in rig.receipt.attempts] == ["first", "quick"]

    rig = Rig({"first": MalformedReply("what"), "slow": []}, a_route(deployment("first"), slow, timeout_s=2.0))
    rig.latencies.of = lambda deployment, now_s=0.0: deployment.card.latency_ms  # type: ignore[method-assign]
    with pytest.raises(DeadlineExceeded):
        await (rig.stream() if streamed else rig.answer())
    assert [attempt.model for attempt in rig.receipt.attempts] == ["first"]


async def test_attempts_are_given_no_more_time_than_is_left() -> None:
    rig = Rig({"small": [BUSY, HELLO]}, a_route(deployment("small"), timeout_s=5.0))
    await rig.answer()
    assert [call.deadlines.total_s for call in rig.provider.calls] == [5.0, 4.75]


# ── refusals ──────────────────────────────────────────────────────────────────────────────────────────


async def test_no_candidate_is_settled_too_and_says_each_reason() -> None:
    rig = Rig({"small": HELLO}, a_route(deployment("small", context_tokens=1)))
    with pytest.raises(NoCandidate) as caught:
        await rig.answer()
    assert "context 1 < needed" in caught.value.message
    assert (rig.receipt.state, rig.receipt.error, rig.receipt.attempts) == ("failed", "NoCandidate", ())


async def test_a_budget_without_room_is_a_refusal_on_the_record() -> None:
    rig = Rig({"small": HELLO}, allowances=daily("0.0000001"))
    with pytest.raises(BudgetExceeded):
        await rig.answer()
    assert rig.provider.calls == []
    assert (rig.receipt.state, rig.receipt.error) == ("failed", "BudgetExceeded")
    assert rig.left_usd() == Decimal("0.0000001")


async def test_an_unknown_price_under_a_budget_is_refused() -> None:
    rig = Rig({"small": HELLO}, a_route(deployment("small", price=None)), allowances=daily("5"))
    with pytest.raises(PriceUnknown):
        await rig.answer()
    assert rig.provider.calls == []


async def test_a_key_reaches_only_what_it_may_use() -> None:
    rig = Rig({"small": HELLO})
    with pytest.raises(Forbidden):
        await rig.answer(caller=Caller(models=frozenset({"other"})))
    for name in ("route", "polyroute/route", "auto"):
        await rig.answer(ask(name, "hi"), caller=Caller(models=frozenset({"route"})))


async def test_an_ad_hoc_call_needs_leave_for_each_of_its_models() -> None:
    rig = Rig({"small": HELLO, "large": HELLO})
    route = replace(rig.route, name="execute/cascade", members=(("small",), ("p/large", "large")))

    async def call(*allowed: str) -> None:
        entry = replace(rig.entry(), route=route)
        await rig.path.answer(ask("execute/cascade", "hi"), Caller(models=frozenset(allowed)), entry)

    for allowed in ((), ("small",), ("large",), ("execute/cascade",)):
        with pytest.raises(Forbidden):
            await call(*allowed)
    assert rig.provider.calls == []
    await call("small", "large")
    await call("small", "p/large")


async def test_tokens_per_minute_are_corrected_to_what_was_used() -> None:
    rig = Rig({"small": HELLO}, allowances=Allowances(per_user=Rates(tokens_per_minute=1000)))
    await rig.answer()
    standing = rig.accounts.standings(CALLER, rig.clock.now_s).tokens
    assert standing is not None
    assert standing.remaining == 1000 - 150


async def test_a_rate_limited_request_leaves_no_trace() -> None:
    rig = Rig({"small": HELLO}, allowances=Allowances(per_user=Rates(requests_per_minute=1)))
    await rig.answer()
    with pytest.raises(RateLimited):
        await rig.answer()
    assert len(rig.books.settlements) == 1


# ── callers that leave, and what breaks ───────────────────────────────────────────────────────────────


async def test_a_caller_who_leaves_during_a_call_is_settled_and_frees_the_hold() -> None:
    rig = Rig({"small": Hang()}, allowances=daily("5"))
    await cancelled(rig, rig.answer(), 1)
    assert rig.provider.left == ["small@provider"]
    assert [a.status for a in rig.receipt.attempts] == ["cancelled"]
    assert rig.receipt.state == "cancelled"
    assert rig.left_usd() == 5 - rig.receipt.cost_usd


async def test_a_caller_who_leaves_while_gates_judge_pays_what_the_answer_cost() -> None:
    class Slow(Says):
        async def judge(self, request: object, response: object) -> Any:
            await asyncio.get_running_loop().create_future()

    rig = Rig({"small": HELLO}, a_route(deployment("small"), gates=[Slow("")]), allowances=daily("5"))
    await cancelled(rig, rig.answer(), 1)
    assert rig.receipt.cost_usd == COST
    assert rig.left_usd() == 5 - COST


async def held_up(rig: Rig, kind: str, work: Callable[[], Awaitable[object]]) -> None:
    """`work`, cancelled while the books write `kind`."""
    reached, times = asyncio.Event(), 0

    async def wait(asked: str) -> None:
        nonlocal times
        if asked == kind:
            times += 1
            reached.set()
            if times == 1:
                await asyncio.get_running_loop().create_future()

    rig.books.before = wait
    task = asyncio.ensure_future(work())
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("kind", ["open", "settle"])
async def test_a_caller_who_leaves_while_the_books_write_is_settled_once(kind: str) -> None:
    rig = Rig({"small": HELLO}, allowances=daily("5"))
    await held_up(rig, kind, rig.answer)
    assert rig.receipt.cost_usd == (COST if kind == "settle" else 0)
    assert rig.books.still_open == 0
    assert rig.left_usd() == 5 - rig.receipt.cost_usd


async def test_a_caller_who_leaves_a_stream_while_the_books_write_is_settled_once() -> None:
    rig = Rig({"small": HELLO}, allowances=daily("5"))
    await held_up(rig, "settle", rig.read)
    assert (rig.receipt.state, rig.receipt.cost_usd) == ("settled", COST)
    assert rig.left_usd() == 5 - COST


async def test_a_second_opening_that_is_abandoned_holds_nothing() -> None:
    rig = Rig({"first": ContentRefused("no", http_status=400), "second": HELLO}, allowances=daily("5"))
    await held_up(rig, "open_attempt", rig.answer)
    assert [a.status for a in rig.receipt.attempts] == ["failed"]
    assert rig.left_usd() == 5


async def test_a_caller_who_leaves_is_told_so_even_where_the_books_fail() -> None:
    rig = Rig({"small": Hang()}, allowances=daily("5"))
    rig.books.failing.add("settle")
    await cancelled(rig, rig.answer(), 1)
    assert rig.books.still_open == 1  # for recovery


async def test_books_that_do_not_open_send_nothing_and_hold_nothing() -> None:
    rig = Rig({"small": HELLO}, allowances=daily("5"))
    rig.books.failing.add("open")
    with pytest.raises(StoreError):
        await rig.answer()
    assert rig.provider.calls == []
    assert rig.left_usd() == 5


async def test_books_that_do_not_settle_keep_the_answer_back_and_the_money_booked() -> None:
    rig = Rig({"small": HELLO}, allowances=daily("5"))
    rig.books.failing.add("settle")
    with pytest.raises(StoreError):
        await rig.answer()
    assert rig.left_usd() == 5 - COST
    assert rig.books.still_open == 1


@pytest.mark.parametrize("where", ["provider", "gate"])
async def test_what_breaks_unforeseen_is_settled_and_holds_nothing(where: str) -> None:
    class Broken(Says):
        async def judge(self, request: object, response: object) -> Any:
            raise ZeroDivisionError

    gates = [Broken("")] if where == "gate" else []
    script: Any = {"small": [] if where == "provider" else HELLO}  # a call beyond the script is an AssertionError
    rig = Rig(script, a_route(deployment("small"), gates=gates), allowances=daily("5"))
    with pytest.raises((ZeroDivisionError, AssertionError)):
        await rig.answer()
    assert rig.receipt.state == "failed"
    assert rig.receipt.error in ("ZeroDivisionError", "AssertionError")
    assert [a.status for a in rig.receipt.attempts] == ["failed"]
    assert rig.left_usd() == 5 - rig.receipt.cost_usd


# ── streams ───────────────────────────────────────────────────────────────────────────────────────────


async def test_a_stream_ends_when_the_books_are_written() -> None:
    rig = Rig({"small": HELLO})
    live = await rig.stream()
    assert (live.receipt.state, live.receipt.model) == ("open", "small")
    seen = []
    async for chunk in live.chunks():
        assert bool(rig.books.settlements) == isinstance(chunk, Ended)
        seen.append(chunk)
    assert isinstance(seen[-1], Ended)
    assert live.receipt == rig.receipt
    assert (live.receipt.state, live.receipt.cost_usd) == ("settled", COST)


@pytest.mark.parametrize(
    "opening",
    [
        pytest.param((BUSY,), id="an error at once"),
        pytest.param((Started(id="s", model="m"), StreamInterrupted("cut")), id="an error after the start"),
        pytest.param((), id="an end before the start"),
    ],
)
async def test_a_stream_that_fails_before_its_first_content_is_taken_over(opening: Any) -> None:
    rig = Rig({"first": opening, "second": HELLO}, a_route(deployment("first", max_tries=1), deployment("second")))
    live, chunks = await rig.read()
    assert [type(chunk) for chunk in chunks] == [Started, TextDelta, ChoiceEnded, Ended]
    assert live.receipt.model == "second"
    assert [a.status for a in live.receipt.attempts] == ["failed", "succeeded"]


@pytest.mark.parametrize(
    "rest",
    [
        pytest.param((StreamInterrupted("cut"),), id="an error"),
        pytest.param((), id="silence"),
    ],
)
async def test_a_stream_that_breaks_in_its_middle_is_not_taken_over(rest: Any) -> None:
    rig = Rig({"first": (*HALF, *rest), "second": HELLO}, allowances=daily("5"))
    seen, error = await broken(await rig.stream())
    assert tuple(seen) == HALF
    assert isinstance(error, StreamInterrupted)
    assert (rig.receipt.state, rig.receipt.error) == ("failed", "StreamInterrupted")
    assert rig.receipt.attempts[0].usage is not None
    assert rig.receipt.attempts[0].usage.output_tokens >= 1
    assert rig.left_usd() == 5 - rig.receipt.cost_usd


async def test_a_caller_who_leaves_a_stream_is_settled() -> None:
    rig = Rig({"small": (*HALF, Hang())}, allowances=daily("5"))
    live = await rig.stream()
    chunks = live.chunks()
    assert await anext(chunks) == HALF[0]
    await live.aclose()
    assert rig.provider.left == ["small@provider"]
    assert rig.receipt.state == "cancelled"
    assert live.receipt == rig.receipt
    assert rig.left_usd() == 5 - rig.receipt.cost_usd


async def test_a_stream_cancelled_while_it_waits_is_settled() -> None:
    rig = Rig({"small": (*HALF, Hang())}, allowances=daily("5"))
    task = asyncio.create_task(rig.read())
    await until(lambda: len(rig.provider.calls) == 1)
    for _ in range(5):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert rig.receipt.state == "cancelled"
    assert rig.provider.left == ["small@provider"]
    assert rig.left_usd() == 5 - rig.receipt.cost_usd


async def test_a_stream_nobody_began_to_read_is_settled_when_closed() -> None:
    rig = Rig({"small": (*HALF, Hang())}, allowances=daily("5"))
    live = await rig.stream()
    live.chunks()
    await live.aclose()
    await live.aclose()
    assert rig.provider.left == ["small@provider"]
    assert rig.receipt.state == "cancelled"
    assert rig.left_usd() == 5 - rig.receipt.cost_usd


async def test_what_breaks_unforeseen_in_a_stream_is_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    async def breaking(*call: object) -> AsyncGenerator[Chunk, None]:
        for chunk in HALF:
            yield chunk
        raise ZeroDivisionError

    rig = Rig({"small": HELLO}, allowances=daily("5"))
    monkeypatch.setattr(rig.provider, "stream", breaking)
    seen, error = await broken(await rig.stream())
    assert tuple(seen) == HALF
    assert isinstance(error, ZeroDivisionError)
    assert (rig.receipt.state, rig.receipt.error) == ("failed", "ZeroDivisionError")
    assert [a.status for a in rig.receipt.attempts] == ["failed"]
    assert rig.left_usd() == 5 - rig.receipt.cost_usd


async def test_a_stream_is_not_ended_where_the_books_fail() -> None:
    rig = Rig({"small": HELLO})
    live = await rig.stream()
    rig.books.failing.add("settle")
    seen, error = await broken(live)
    assert isinstance(error, StoreError)
    assert not any(isinstance(chunk, Ended) for chunk in seen)


async def test_a_caller_who_leaves_a_stream_need_not_hear_of_the_books() -> None:
    rig = Rig({"small": (*HALF, Hang())})
    live = await rig.stream()
    rig.books.failing.add("settle")
    await anext(live.chunks())
    await live.aclose()
    assert rig.books.still_open == 1


async def test_a_stream_without_usage_is_counted_by_what_was_said() -> None:
    text = "word " * 100
    ended = ChoiceEnded(stop=StopReason.END)
    rig = Rig({"small": (Started(id="s", model="m"), TextDelta(text=text), ended, Ended(usage=None, model="m"))})
    live, _ = await rig.read()
    assert live.receipt.usage is not None
    assert live.receipt.usage.estimated
    assert 80 <= live.receipt.usage.output_tokens <= 130


async def test_a_passed_on_stream_without_usage_is_counted_by_its_events() -> None:
    event = WireBytes(data=b'data: {"choices":[]}\n\n' * 7)
    rig = Rig({"small": (event, Ended(usage=None, model="m", wire=b""))})
    live, _ = await rig.read()
    assert live.receipt.usage is not None
    assert live.receipt.usage.output_tokens == 7


async def test_a_judged_stream_says_nothing_before_it_is_accepted() -> None:
    route = a_route(deployment("small"), deployment("large"), gates=[Says("please")])
    rig = Rig({"small": HELLO, "large": a_response("please", usage=USAGE)}, route)
    live = await rig.stream()
    assert live.receipt.state == "settled"
    assert live.receipt.stream
    assert all(not call.is_stream and not call.request.stream for call in rig.provider.calls)
    chunks = [chunk async for chunk in live.chunks()]
    assert [type(chunk) for chunk in chunks] == [Started, TextDelta, ChoiceEnded, Ended]
    assert chunks[1] == TextDelta(text="please")


# ── the receipt ───────────────────────────────────────────────────────────────────────────────────────


async def test_stages_add_up_to_the_total() -> None:
    class Slow(Says):
        async def judge(self, request: Any, response: Any) -> Any:
            rig.clock.now_s += 0.010
            return await super().judge(request, response)

    route = a_route(deployment("small"), deployment("large"), gates=[Slow("please")])
    rig = Rig({"small": HELLO, "large": a_response("please", usage=USAGE)}, route)

    async def slow_books(kind: str) -> None:
        rig.clock.now_s += 0.004

    rig.books.before = slow_books
    receipt = (await rig.answer()).receipt
    times: StageTimes = receipt.times
    stages = [getattr(times, name) for name in StageTimes.__struct_fields__]
    assert sum(stages) == pytest.approx(receipt.total_ms) == pytest.approx(28.0)
    assert times.validation_ms == pytest.approx(20.0)
    assert receipt.upstream_ms == 0.0  # gates are no upstream's time
    assert receipt.overhead_ms == pytest.approx(28.0)


async def test_a_saving_is_signed_and_names_its_baseline() -> None:
    dear = deployment("dear", price=replace(PRICE, rates=replace(PRICE.rates, input=Decimal(10), output=Decimal(20))))
    rig = Rig({"cheap": HELLO}, a_route(deployment("cheap"), baseline=dear))
    receipt = (await rig.answer()).receipt
    assert (receipt.baseline, receipt.baseline_usd, receipt.saved_usd) == ("dear", 10 * COST, 9 * COST)
    rig = Rig({"dear": HELLO}, a_route(dear, baseline=deployment("cheap")))
    assert (await rig.answer()).receipt.saved_usd == -9 * COST


async def test_a_clamp_is_told_to_the_provider_and_kept_in_the_receipt() -> None:
    rig = Rig({"small": HELLO}, allowances=daily("0.005"))
    receipt = (await rig.answer()).receipt
    told = rig.provider.calls[0].max_output_tokens
    assert told is not None
    assert 16 <= told < 4096
    assert receipt.clamped_to == told


async def test_the_classifiers_time_is_in_its_finding() -> None:
    rig = Rig({"small": HELLO})
    receipt = (await rig.answer()).receipt
    assert receipt.classification is not None
    assert receipt.classification.elapsed_ms == receipt.times.classification_ms


# ── a schema that a provider cannot be held to ────────────────────────────────────────────────────────────

WANTED = OutputFormat(schema={"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}})


def wanting(output: OutputFormat) -> Request:
    return replace(ask("route", "a number"), output=output)


async def test_an_emulated_schema_is_checked_and_the_next_model_asked() -> None:
    loose, strict = deployment("loose"), deployment("strict")
    loose = replace(loose, quirks=frozenset({"json_object_only"}))
    rig = Rig({"loose": a_response('{"m": 1}'), "strict": a_response('{"n": 1}')}, a_route(loose, strict))
    answer = await rig.answer(wanting(WANTED))
    assert answer.receipt.model == "strict"
    assert [(verdict.gate, verdict.accepted) for verdict in rig.receipt.verdicts] == [("json_schema", True)]
    assert len(rig.receipt.attempts) == 2


async def test_a_schema_that_the_provider_holds_is_not_checked_again() -> None:
    rig = Rig({"strict": a_response('{"m": 1}')})
    await rig.answer(wanting(WANTED))
    assert rig.receipt.verdicts == ()


async def test_a_schema_that_nobody_could_check_is_the_callers_to_mend() -> None:
    loose = replace(deployment("loose"), quirks=frozenset({"no_json"}))
    rig = Rig({"loose": a_response("{}")}, a_route(loose))
    with pytest.raises(InvalidRequest, match="is no JSON Schema"):
        await rig.answer(wanting(OutputFormat(schema={"type": "nothing"})))
    assert rig.books.openings == []
