"""A stream that breaks off once something was told: gone on with by another deployment, or an honest error."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from tests.unit.rig import Rig, a_route, daily, deployment

from polyroute.errors import ContentRefused, Overloaded, ProviderError, ProviderTimeout, StreamInterrupted
from polyroute.stages.execution.wording import Form
from polyroute.testing.providers import Hang, Moment, Outcome, a_response
from polyroute.types.content import Text
from polyroute.types.receipt import Receipt
from polyroute.types.request import OutputFormat, Request, ask
from polyroute.types.response import (
    Chunk,
    Ended,
    Resumed,
    Started,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)

ASKED = ask("route", "Name rivers.", max_output_tokens=400)
BEGUN = Started(id="s", model="first-served")
SAID = "The Rhine, the Danube, and"
HALF: tuple[Moment, ...] = (BEGUN, TextDelta(text=SAID), StreamInterrupted("cut"))
REST = a_response("the Danube, and the Elbe.", model="second-served", usage=Usage(input_tokens=40, output_tokens=9))


def rig_of(script: dict[str, Outcome | list[Outcome]], *, usd: str = "5", **more: Any) -> Rig:
    placed = more.pop("placed", None) or [deployment(name) for name in script]
    return Rig(script, a_route(*placed, on_interrupt="continue", **more), allowances=daily(usd))


async def read(rig: Rig, request: Request = ASKED) -> tuple[list[Chunk], ProviderError | None]:
    live, seen = await rig.stream(request), list[Chunk]()
    try:
        async for chunk in live.chunks():
            seen.append(chunk)
    except ProviderError as exc:
        return seen, exc
    finally:
        await live.aclose()
        assert live.receipt == rig.receipt
    return seen, None


def text_of(chunks: list[Chunk]) -> str:
    return "".join(chunk.text for chunk in chunks if isinstance(chunk, TextDelta))


def settled(rig: Rig, usd: str = "5") -> Receipt:
    receipt = rig.receipt
    assert rig.books.still_open == 0
    opened = [*(opening.attempt for opening in rig.books.openings), *rig.books.attempts]
    assert [attempt.id for attempt in receipt.attempts] == [attempt.id for attempt in opened if attempt]
    assert receipt.cost_usd == sum(attempt.cost_usd or 0 for attempt in receipt.attempts)
    assert rig.left_usd() == Decimal(usd) - receipt.cost_usd
    assert {load.in_flight for load in rig.path.health.loads.values()} == {0}
    return receipt


def told(receipt: Receipt) -> list[tuple[str, str, str | None]]:
    return [(a.model, a.status, a.role) for a in receipt.attempts]


async def test_another_deployment_goes_on_where_it_broke_off_and_says_nothing_twice() -> None:
    rig = rig_of({"first": HALF, "second": REST})
    chunks, error = await read(rig)
    receipt = settled(rig)
    assert error is None
    assert text_of(chunks) == "The Rhine, the Danube, and the Elbe."
    assert [type(chunk) for chunk in chunks].count(Started) == 1
    at = next(number for number, chunk in enumerate(chunks) if isinstance(chunk, Resumed))
    assert chunks[at] == Resumed(model="second-served", name="second")
    assert text_of(chunks[:at]) == SAID, "the mark stands between the two models' words"
    assert isinstance(chunks[-1], Ended)
    assert told(receipt) == [("first", "failed", None), ("second", "succeeded", "continuation")]
    assert (receipt.state, receipt.model, receipt.provider) == ("settled", "second", "provider")


async def test_both_are_booked_and_the_usage_is_of_the_whole_answer() -> None:
    rig = rig_of({"first": HALF, "second": REST})
    chunks, _ = await read(rig)
    receipt = settled(rig)
    first, second = (attempt.usage for attempt in receipt.attempts)
    assert first is not None
    assert (first.estimated, first.output_tokens) == (True, 7)
    assert second == Usage(input_tokens=40, output_tokens=9)
    whole = Usage(input_tokens=first.input_tokens, output_tokens=16, estimated=True)
    assert receipt.usage == whole
    assert isinstance(ended := chunks[-1], Ended)
    assert ended.usage == whole


async def test_the_second_reads_what_was_told_and_is_held_to_what_is_left_of_the_cap() -> None:
    rig = rig_of({"first": HALF, "second": REST})
    await read(rig)
    asked = rig.provider.calls[1].request
    assert [message.role for message in asked.messages] == ["user", "assistant", "user"]
    assert asked.messages[1].parts == (Text(text=SAID),)
    assert asked.max_output_tokens == 400 - 7
    assert asked.stream


@pytest.mark.parametrize(
    ("moments", "why"),
    [
        (
            (BEGUN, TextDelta(text="Look"), ToolCallStarted(id="c", name="f", part=1), StreamInterrupted("cut")),
            "a call",
        ),
        (
            (BEGUN, ToolCallStarted(id="c", name="f", part=0), ToolCallDelta(arguments="{", part=0), Overloaded("no")),
            "half a call's arguments",
        ),
        ((BEGUN, TextDelta(text="No"), ContentRefused("filtered")), "a refusal"),
    ],
)
async def test_what_cannot_be_gone_on_with_ends_in_its_error(moments: tuple[Moment, ...], why: str) -> None:
    rig = rig_of({"first": moments, "never": []})
    chunks, error = await read(rig)
    assert error is moments[-1], why
    assert not any(isinstance(chunk, Ended | Resumed) for chunk in chunks)
    assert settled(rig).state == "failed"


async def test_neither_is_what_must_have_a_form() -> None:
    asked = ask("route", "JSON!")
    rig = rig_of({"first": HALF, "never": []})
    _, error = await read(rig, type(asked)(model="route", messages=asked.messages, output=OutputFormat()))
    assert isinstance(error, StreamInterrupted)
    assert len(rig.provider.calls) == 1


async def test_by_default_a_stream_that_breaks_off_ends_in_an_error() -> None:
    rig = Rig({"first": HALF, "never": []}, allowances=daily("5"))
    _, error = await read(rig)
    assert isinstance(error, StreamInterrupted)
    assert settled(rig).state == "failed"


@pytest.mark.parametrize(
    "error",
    [StreamInterrupted("cut"), ProviderTimeout("silence", phase="between_tokens"), Overloaded("no", http_status=502)],
)
async def test_silence_and_errors_within_a_stream_count_as_cuts(error: ProviderError) -> None:
    rig = rig_of({"first": (BEGUN, TextDelta(text=SAID), error), "second": REST})
    chunks, _ = await read(rig)
    assert text_of(chunks) == "The Rhine, the Danube, and the Elbe."


async def test_a_third_goes_on_where_the_second_breaks_off() -> None:
    again: tuple[Moment, ...] = (Started(id="t", model="b"), TextDelta(text=" the Elbe"), StreamInterrupted("cut"))
    last = a_response(", the Oder.", usage=Usage(input_tokens=50, output_tokens=4))
    rig = rig_of({"first": HALF, "second": again, "third": last})
    chunks, error = await read(rig)
    assert error is None
    assert text_of(chunks) == f"{SAID} the Elbe, the Oder."
    assert [chunk.name for chunk in chunks if isinstance(chunk, Resumed)] == ["second", "third"]
    assert told(settled(rig)) == [
        ("first", "failed", None),
        ("second", "failed", "continuation"),
        ("third", "succeeded", "continuation"),
    ]
    usage = rig.receipt.usage
    assert usage is not None
    assert usage.output_tokens == sum(a.usage.output_tokens for a in rig.receipt.attempts if a.usage)


async def test_one_that_cannot_go_on_is_passed_over() -> None:
    rig = rig_of({"first": HALF, "down": Overloaded("no", http_status=500), "third": REST})
    chunks, _ = await read(rig)
    assert text_of(chunks) == "The Rhine, the Danube, and the Elbe."
    assert told(settled(rig)) == [
        ("first", "failed", None),
        ("down", "failed", "continuation"),
        ("third", "succeeded", "continuation"),
    ]


async def test_where_nobody_can_go_on_the_first_failure_is_told() -> None:
    rig = rig_of({"first": HALF, "down": Overloaded("no", http_status=500)})
    chunks, error = await read(rig)
    assert error is HALF[-1]
    assert not any(isinstance(chunk, Ended) for chunk in chunks)
    assert settled(rig).state == "failed"


async def test_who_failed_before_anything_was_told_is_not_asked_to_go_on() -> None:
    rig = rig_of({"down": Overloaded("no", http_status=500), "first": HALF}, placed=None)
    _, error = await read(rig)
    assert isinstance(error, StreamInterrupted)
    assert {call.deployment for call in rig.provider.calls} == {"down@provider", "first@provider"}


async def test_nobody_goes_on_where_there_is_no_money_left_for_it() -> None:
    rig = rig_of({"first": HALF, "second": REST}, usd="0.00083")
    chunks, error = await read(rig)
    assert text_of(chunks).startswith(SAID)
    assert error is None or isinstance(error, StreamInterrupted)
    settled(rig, "0.00083")


async def test_an_answer_that_had_all_its_tokens_is_not_gone_on_with() -> None:
    rig = rig_of({"first": HALF, "never": []})
    _, error = await read(rig, ask("route", "Name rivers.", max_output_tokens=7))
    assert isinstance(error, StreamInterrupted)


async def test_where_only_thoughts_were_told_it_is_asked_anew() -> None:
    thought: tuple[Moment, ...] = (BEGUN, ThinkingDelta(text="Hm."), StreamInterrupted("cut"))
    rig = rig_of({"first": thought, "second": REST})
    chunks, _ = await read(rig)
    assert text_of(chunks) == "the Danube, and the Elbe."
    assert any(isinstance(chunk, Resumed) for chunk in chunks)
    assert len(rig.provider.calls[1].request.messages) == 1


async def test_a_caller_who_leaves_meanwhile_leaves_nothing_open() -> None:
    rig = rig_of({"first": HALF, "second": (BEGUN, Hang())})
    reading = asyncio.create_task(read(rig))
    for _ in range(80):
        await asyncio.sleep(0)
    reading.cancel()
    await asyncio.wait([reading])
    assert told(settled(rig)) == [("first", "failed", None), ("second", "cancelled", "continuation")]
    assert rig.receipt.state == "cancelled"


async def test_a_caller_who_leaves_within_the_rest_has_both_booked() -> None:
    rig = rig_of({"first": HALF, "second": (BEGUN, TextDelta(text=" the Elbe and more"), Hang())})
    live = await rig.stream(ASKED)
    async for chunk in live.chunks():
        if isinstance(chunk, TextDelta) and "Elbe" in chunk.text:
            break
    await live.aclose()
    receipt = settled(rig)
    assert told(receipt) == [("first", "failed", None), ("second", "cancelled", "continuation")]
    assert all(attempt.usage is not None and attempt.usage.output_tokens for attempt in receipt.attempts)


async def test_an_answer_that_its_route_brings_into_a_form_is_not_gone_on_with() -> None:
    form = Form(schema={"type": "object"})
    rig = rig_of({"first": HALF, "never": []}, form=form, commit="first_token")
    _, error = await read(rig)
    assert isinstance(error, StreamInterrupted)
    assert len(rig.provider.calls) == 1
