from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.rig import NOON, deployment

from polyroute.errors import (
    AuthRejected,
    MalformedReply,
    Overloaded,
    ProviderError,
    ProviderTimeout,
    Rejected,
    StreamInterrupted,
    Unreachable,
)
from polyroute.stages.execution import costs
from polyroute.types.content import Opaque, Refusal, Text, Thinking, ToolCall
from polyroute.types.response import (
    Choice,
    ChoiceEnded,
    Chunk,
    Ended,
    RefusalDelta,
    Response,
    Started,
    StopReason,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
    WireBytes,
)
from polyroute.types.routing import Candidate, Needs

DAY = NOON.date()


@pytest.mark.parametrize(
    ("usage", "known", "expected"),
    [
        (Usage(input_tokens=1_000_000, output_tokens=500_000), True, Decimal(2)),
        (Usage(input_tokens=1), False, None),
        (None, True, Decimal(0)),
        (None, False, Decimal(0)),
    ],
)
def test_cost(usage: Usage | None, known: bool, expected: Decimal | None) -> None:
    model = deployment("m") if known else deployment("m", price=None)
    assert costs.cost_of(usage, model, DAY) == expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (Overloaded("busy", http_status=503), True),
        (AuthRejected("no", http_status=401), True),
        (Rejected("no", http_status=400), True),
        (MalformedReply("a redirect", http_status=302), True),
        (Unreachable("refused"), True),
        (ProviderTimeout("slow", phase="connect"), True),
        (ProviderTimeout("slow", phase="first_token"), False),
        (ProviderTimeout("slow", phase="between_tokens"), False),
        (ProviderTimeout("slow", phase="total"), False),
        (StreamInterrupted("cut"), False),
        (MalformedReply("no JSON"), False),
        (Overloaded("an error inside a stream"), False),
    ],
)
def test_a_failure_is_unbilled_where_nothing_was_answered(error: ProviderError, expected: bool) -> None:
    assert costs.is_unbilled(error) is expected


@given(
    st.integers(0, 10_000),
    st.integers(0, 10_000),
    st.integers(0, 10_000),
    st.one_of(st.none(), st.integers(1, 500)),
    st.one_of(st.none(), st.integers(1, 500)),
    st.integers(1, 5),
)
def test_an_estimate_never_exceeds_what_was_held(
    seen: int, estimate: int, bound: int, cap: int | None, asked: int | None, choices: int
) -> None:
    needs = Needs(input_tokens=estimate, output_tokens=asked, choices=choices)
    usage = costs.counted(needs, Candidate(deployment=deployment("m"), input_bound_tokens=bound), cap, seen)
    assert usage.estimated
    assert usage.input_tokens == min(estimate, bound)
    limit = cap or asked
    assert usage.output_tokens == (seen if limit is None else min(seen, limit * choices))


def answer(*parts: Any) -> Response:
    return Response(
        id="x",
        model="m",
        choices=(Choice(parts=parts, stop=StopReason.END), Choice(index=1, parts=parts, stop=StopReason.END)),
        usage=None,
    )


@pytest.mark.parametrize(
    "part",
    [
        Text(text="the quick brown fox jumps over the lazy dog"),
        Refusal(text="I would rather not say anything about it"),
        Thinking(text="first I look at the question, then I answer"),
        ToolCall(id="c", name="weather", arguments='{"city": "Paris", "days": 3}'),
    ],
)
def test_everything_a_model_wrote_counts_in_every_choice(part: Any) -> None:
    assert 12 <= costs.tokens_in(answer(part)) <= 60


def test_nothing_written_counts_nothing() -> None:
    assert costs.tokens_in(answer()) == 0
    assert costs.tokens_in(answer(Opaque(dialect="d", kind="k", raw={}))) == 0


@pytest.mark.parametrize(
    ("chunk", "expected"),
    [
        (TextDelta(text="Hello"), 2),
        (TextDelta(text=""), 0),
        (ThinkingDelta(text="abcd"), 1),
        (RefusalDelta(text="abcdefgh"), 2),
        (ToolCallDelta(arguments="{}", part=0), 1),
        (WireBytes(data=b"data: {}\n\ndata: {}\n\n"), 2),
        (Started(id="s", model="m"), 0),
        (ToolCallStarted(id="c", name="f", part=0), 0),
        (ChoiceEnded(stop=StopReason.END), 0),
        (Ended(usage=None), 0),
    ],
)
def test_tokens_of_a_chunk(chunk: Chunk, expected: int) -> None:
    assert costs.tokens_of(chunk) == expected


@pytest.mark.parametrize(
    ("speed", "elapsed_s", "expected"),
    [
        pytest.param(None, 9.0, 0, id="of unknown speed"),
        pytest.param(50.0, 0.1, 0, id="before its first token"),
        pytest.param(50.0, 2.2, 100, id="two seconds of writing"),
        pytest.param(50.0, 900.0, 4000, id="never more than was held"),
    ],
)
def test_what_was_probably_written_when_an_answer_was_given_up(
    speed: float | None, elapsed_s: float, expected: int
) -> None:
    late = Candidate(deployment=deployment("m", tokens_per_s=speed), output_bound_tokens=4000, latency_ms=200.0)
    assert costs.likely_written(late, elapsed_s) == expected
