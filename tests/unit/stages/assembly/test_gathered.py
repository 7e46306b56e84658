import pytest

from polyroute.stages.assembly.chunks import chunks_of
from polyroute.stages.assembly.gathered import gathered, is_good
from polyroute.types.content import Part, Refusal, Text, Thinking, ToolCall
from polyroute.types.response import (
    Choice,
    ChoiceEnded,
    Ended,
    Response,
    Started,
    StopReason,
    TextDelta,
    Usage,
    WireBytes,
)

WHOLE = Response(
    id="r",
    model="m",
    created_s=5,
    usage=Usage(input_tokens=3, output_tokens=2),
    choices=(
        Choice(
            index=0,
            parts=(
                Thinking(text="hm", signature="s"),
                Text(text="hello"),
                ToolCall(id="c", name="f", arguments='{"a":1}'),
            ),
            stop=StopReason.TOOL_CALLS,
            raw_stop="tool_calls",
        ),
        Choice(index=1, parts=(Text(text="bye", citations=({"url": "u"},)),), stop=StopReason.END),
    ),
)


def test_a_stream_is_the_whole_answer_that_it_was() -> None:
    assert gathered(chunks_of(WHOLE)) == WHOLE


def test_pieces_of_a_part_are_joined() -> None:
    chunks = (Started(id="r", model="m"), TextDelta(text="a"), TextDelta(text="b"), ChoiceEnded(stop=StopReason.END))
    whole = gathered((*chunks, Ended(usage=None, model="m")))
    assert whole is not None
    assert whole.text == "ab"


@pytest.mark.parametrize(
    "chunks",
    [
        (Started(id="r", model="m"), TextDelta(text="a")),
        (Started(id="r", model="m"), TextDelta(text="a"), Ended(usage=None)),
        (WireBytes(data=b"x"), Ended(usage=None)),
    ],
)
def test_what_has_no_end_is_no_answer(chunks: tuple[Started | TextDelta | WireBytes | Ended, ...]) -> None:
    assert gathered(chunks) is None


@pytest.mark.parametrize(
    ("stop", "parts", "good"),
    [
        (StopReason.END, (Text(text="a"),), True),
        (StopReason.TOOL_CALLS, (ToolCall(id="c", name="f", arguments="{}"),), True),
        (StopReason.STOP_SEQUENCE, (Text(text="a"),), True),
        (StopReason.MAX_TOKENS, (Text(text="a"),), False),
        (StopReason.CONTENT_FILTER, (Text(text="a"),), False),
        (StopReason.PAUSE, (Text(text="a"),), False),
        (StopReason.UNKNOWN, (Text(text="a"),), False),
        (StopReason.END, (Refusal(text="no"),), False),
    ],
)
def test_only_what_was_told_to_its_end_may_be_given_again(
    stop: StopReason, parts: tuple[Part, ...], good: bool
) -> None:
    assert is_good(Response(id="r", model="m", usage=None, choices=(Choice(parts=parts, stop=stop),))) is good
