"""Laws of carrying a plan out, whatever providers do; and the table of failures by kind and place."""

import asyncio
from collections import Counter
from decimal import Decimal
from itertools import groupby, pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.rig import CALLER, NOON, Rig, Says, a_route, daily, deployment

from polyroute.errors import (
    AuthRejected,
    BudgetExceeded,
    ContentRefused,
    ContextTooLong,
    MalformedReply,
    Overloaded,
    PlanExhausted,
    PolyrouteError,
    ProviderError,
    ProviderTimeout,
    Rejected,
    Remedy,
    StreamInterrupted,
    Unreachable,
)
from polyroute.journey import Answer
from polyroute.testing.providers import Hang, Outcome, a_response
from polyroute.types.receipt import Attempt, Receipt
from polyroute.types.request import ask
from polyroute.types.response import Chunk, Ended, Reply, Started, StopReason, TextDelta, Usage

USAGE = Usage(input_tokens=100, output_tokens=50)
GOOD, POOR = a_response("please take this", usage=USAGE), a_response("no", usage=USAGE)
KINDS: dict[str, ProviderError] = {
    "overloaded": Overloaded("busy", http_status=529),
    "rate limited": Overloaded("slow down", http_status=429, retry_after_s=1.0),
    "rate limited for long": Overloaded("slow down", http_status=429, retry_after_s=900.0),
    "unreachable": Unreachable("refused"),
    "connect timeout": ProviderTimeout("slow", phase="connect"),
    "first token timeout": ProviderTimeout("slow", phase="first_token"),
    "total timeout": ProviderTimeout("slow", phase="total"),
    "auth": AuthRejected("no", http_status=401),
    "context": ContextTooLong("long", http_status=400),
    "refused": ContentRefused("no", http_status=400),
    "malformed": MalformedReply("what"),
    "cut": StreamInterrupted("cut"),
    "rejected": Rejected("no such field", http_status=422),
}
FAILURES = st.sampled_from(list(KINDS.values()))
MONEY = Decimal(5)

WHOLE: st.SearchStrategy[Outcome] = st.one_of(
    st.just(GOOD),
    st.just(POOR),
    st.just(Reply(usage=None, model="m", stop=StopReason.END, response=a_response("please"))),
    FAILURES,
    st.just(Hang()),
)
HALF: tuple[Chunk, ...] = (Started(id="s", model="m"), TextDelta(text="please"))
MOMENTS: st.SearchStrategy[Outcome] = st.one_of(
    st.just(GOOD),
    FAILURES,
    st.just(()),
    st.just(HALF),
    st.just((*HALF, Hang())),
    st.just((*HALF[:1], Hang())),
    st.builds(lambda error: (*HALF[:1], error), FAILURES),
    st.builds(lambda error: (*HALF, error), FAILURES),
    st.just((*HALF, Ended(usage=None, model="m"))),
    st.just((Ended(usage=USAGE, model="m"),)),
)


def scripts(outcomes: st.SearchStrategy[Outcome]) -> st.SearchStrategy[list[tuple[int, list[Outcome]]]]:
    """One to four deployments, each with its tries and as many outcomes."""
    return st.lists(
        st.integers(1, 3).flatmap(
            lambda tries: st.tuples(st.just(tries), st.lists(outcomes, min_size=tries, max_size=tries))
        ),
        min_size=1,
        max_size=4,
    )


def rig_of(script: list[tuple[int, list[Outcome]]], **more: Any) -> Rig:
    placed = [deployment(f"m{place}", max_tries=tries) for place, (tries, _) in enumerate(script)]
    outcomes: dict[str, Outcome | list[Outcome]] = {f"m{place}": list(told) for place, (_, told) in enumerate(script)}
    return Rig(outcomes, a_route(*placed, **more), allowances=daily(str(MONEY)))


async def until_it_hangs(work: asyncio.Task[Any]) -> None:
    """Runs it as far as it goes by itself; then its caller leaves."""
    for _ in range(200):
        if work.done():
            return
        await asyncio.sleep(0)
    work.cancel()
    await asyncio.wait([work])


def returns(attempts: tuple[Attempt, ...]) -> list[list[Attempt]]:
    """Of each step that was come back to: all its attempts."""
    runs = Counter(place for place, _ in groupby(attempts, lambda attempt: attempt.step))
    return [[a for a in attempts if a.step == place] for place, times in runs.items() if times > 1]


def check(rig: Rig, script: list[tuple[int, list[Outcome]]]) -> Receipt:
    """What holds of every request, however it ended."""
    receipt, attempts = rig.receipt, rig.receipt.attempts
    assert rig.books.still_open == 0
    opened = [*(opening.attempt for opening in rig.books.openings), *rig.books.attempts]
    assert [attempt.id for attempt in attempts] == [attempt.id for attempt in opened if attempt]
    assert [attempt.deployment for attempt in attempts] == [call.deployment for call in rig.provider.calls]
    assert len({attempt.id for attempt in attempts}) == len(attempts)
    assert receipt.cost_usd == sum(attempt.cost_usd or 0 for attempt in attempts)
    assert rig.left_usd() == MONEY - receipt.cost_usd, "nothing stays held"
    tried = [place for place, _ in groupby(attempts, lambda attempt: attempt.step)]
    firsts = list(dict.fromkeys(tried))
    assert firsts == list(range(len(firsts))), "in order, without a gap"
    rested = [any(attempt.http_status == 429 for attempt in those) for those in returns(attempts)]
    assert all(rested), "back only to who asked for a rest"
    assert all(times <= script[place][0] for place, times in Counter(a.step for a in attempts).items())
    for attempt, after in pairwise(attempts):
        assert attempt.status in ("failed", "rejected")
        assert attempt.remedy != "stop", "nobody is asked after a STOP"
        if attempt.status == "failed" and attempt.remedy == "switch":
            assert after.step != attempt.step
    assert (receipt.state == "settled") == (bool(attempts) and attempts[-1].status == "succeeded")
    times = receipt.times
    stages = [getattr(times, name) for name in times.__struct_fields__]
    assert sum(stages) == pytest.approx(receipt.total_ms, abs=0.01)
    assert rig.observed == [receipt]
    return receipt


@settings(max_examples=150)
@given(scripts(WHOLE), st.booleans())
async def test_a_whole_answer_whatever_providers_do(script: list[tuple[int, list[Outcome]]], judged: bool) -> None:
    rig = rig_of(script, gates=[Says("please")] if judged else [])
    work = asyncio.create_task(rig.answer())
    await until_it_hangs(work)
    receipt = check(rig, script)
    if work.cancelled():
        assert receipt.state == "cancelled"
        assert rig.provider.left == [receipt.attempts[-1].deployment]
    elif isinstance(error := work.exception(), PolyrouteError):
        assert (receipt.state, receipt.error, receipt.error_message) == ("failed", type(error).__name__, error.message)
    else:
        answer: Answer = work.result()
        assert answer.receipt == receipt
        assert answer.reply.response is not None
        assert not judged or "please" in answer.reply.response.text
        assert receipt.attempts[-1].usage == (answer.reply.usage or receipt.usage)


@settings(max_examples=150)
@given(scripts(MOMENTS), st.integers(0, 4))
async def test_a_stream_whatever_providers_do(script: list[tuple[int, list[Outcome]]], read: int) -> None:
    """The caller reads `read` chunks at most; from the fourth on, to the end."""
    rig, seen = rig_of(script), list[Chunk]()

    async def stream() -> None:
        live = await rig.stream()
        try:
            async for chunk in live.chunks():
                seen.append(chunk)
                if len(seen) == read < 4:
                    break
        finally:
            await live.aclose()
            assert live.receipt == rig.receipt

    work = asyncio.create_task(stream())
    await until_it_hangs(work)
    receipt = check(rig, script)
    assert any(isinstance(chunk, Ended) for chunk in seen) <= (receipt.state == "settled")
    if seen:
        assert len([a for a in receipt.attempts if a.status != "failed" or a.usage]) >= 1
    if work.cancelled():
        assert receipt.state == "cancelled"
    elif work.exception() is not None:
        assert receipt.state == "failed"


@pytest.mark.parametrize("place", range(3))
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
async def test_each_kind_of_failure_at_each_place_moves_on_exactly_once(kind: str, place: int, streamed: bool) -> None:
    error = KINDS[kind]
    before: dict[str, Outcome | list[Outcome]] = {f"m{n}": ContentRefused("no", http_status=400) for n in range(place)}
    rig = Rig({**before, "failing": error, "next": GOOD, "never": []})
    if error.remedy is Remedy.STOP:
        with pytest.raises(PlanExhausted):
            await (rig.stream() if streamed else rig.answer())
    elif streamed:
        await rig.read()
    else:
        await rig.answer()
    called = [call.deployment.partition("@")[0] for call in rig.provider.calls]
    tries = 2 if error.remedy is Remedy.RETRY and error.http_status != 429 else 1
    assert called == [*before, *["failing"] * tries, *([] if error.remedy is Remedy.STOP else ["next"])]


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.integers(1, 400), st.sampled_from([GOOD, POOR, *KINDS.values()])), min_size=2, max_size=12),
    st.integers(1, 4000),
)
async def test_many_at_once_never_hold_and_spend_more_than_the_budget(
    wanted: list[tuple[int, Any]], micros: int
) -> None:
    """Each asks for so many tokens; the provider bills no more than it was told."""
    limit = Decimal(micros) / 1_000_000
    rig = Rig({}, a_route(deployment("m")), allowances=daily(str(limit)))
    least: list[Decimal] = []

    async def complete(request: Any, target: Any, deadlines: Any, max_output_tokens: int | None) -> Reply:
        told = dict(wanted)[request.max_output_tokens]
        for _ in range(3):
            await asyncio.sleep(0)
            left = rig.accounts.remaining_usd(CALLER, None, NOON)
            assert left is not None
            least.append(left)
        if isinstance(told, ProviderError):
            raise told
        usage = Usage(input_tokens=1, output_tokens=max_output_tokens or request.max_output_tokens)
        return Reply(usage=usage, model="m", stop=StopReason.END, response=told)

    rig.provider.complete = complete  # type: ignore[method-assign]

    requests = [ask("route", "hi", max_output_tokens=tokens) for tokens, _ in wanted]
    done = await asyncio.gather(*map(rig.answer, requests), return_exceptions=True)
    assert all(isinstance(one, Answer | BudgetExceeded | PlanExhausted) for one in done)
    spent = sum(settlement.receipt.cost_usd for settlement in rig.books.settlements)
    assert spent <= limit
    assert rig.left_usd() == limit - spent
    assert all(left >= 0 for left in least)
    assert len(rig.books.settlements) == len(wanted)
