from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from polyroute.stages.assembly.chunks import chunks_of
from polyroute.types.content import Opaque, Part, Refusal, Text, Thinking, ToolCall
from polyroute.types.response import (
    Choice,
    ChoiceEnded,
    Ended,
    PartAdded,
    RefusalDelta,
    Response,
    Started,
    StopReason,
    TextDelta,
    ThinkingDelta,
    TokenLogprob,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)

TEXT = st.text(max_size=8)
PARTS: st.SearchStrategy[Part] = st.one_of(
    st.builds(Text, text=TEXT),
    st.builds(Text, text=TEXT, citations=st.just(({"url": "u"},))),
    st.builds(Refusal, text=TEXT),
    st.builds(Thinking, text=TEXT, signature=st.none() | TEXT, redacted=st.none() | TEXT),
    st.builds(ToolCall, id=TEXT, name=TEXT, arguments=TEXT),
    st.just(Opaque(dialect="d", kind="k", raw={})),
)
CHOICES = st.lists(st.lists(PARTS, max_size=4), min_size=1, max_size=3)


def told_again(response: Response) -> dict[tuple[int, int], Part]:
    """The parts that a reader of the stream has in the end, by choice and number."""
    parts: dict[tuple[int, int], Part] = {}
    calls: dict[tuple[int, int], Any] = {}
    for chunk in chunks_of(response):
        match chunk:
            case TextDelta():
                parts[chunk.choice, chunk.part] = Text(text=chunk.text)
            case RefusalDelta():
                parts[chunk.choice, chunk.part] = Refusal(text=chunk.text)
            case ThinkingDelta():
                parts[chunk.choice, chunk.part] = Thinking(
                    text=chunk.text, signature=chunk.signature, redacted=chunk.redacted
                )
            case ToolCallStarted():
                calls[chunk.choice, chunk.part] = chunk
            case ToolCallDelta():
                at = chunk.choice, chunk.part
                parts[at] = ToolCall(id=calls[at].id, name=calls[at].name, arguments=chunk.arguments)
            case PartAdded():
                parts[chunk.choice, chunk.part] = chunk.content
            case _:
                pass
    return parts


@given(CHOICES)
def test_nothing_of_an_answer_is_lost_in_its_stream(choices: list[list[Part]]) -> None:
    response = Response(
        id="x",
        model="m",
        choices=tuple(
            Choice(index=index, parts=tuple(parts), stop=StopReason.END, stop_sequence="s", raw_stop="r")
            for index, parts in enumerate(choices)
        ),
        usage=Usage(output_tokens=3),
        created_s=7,
    )
    assert told_again(response) == {
        (index, number): part for index, parts in enumerate(choices) for number, part in enumerate(parts)
    }
    first, *rest, last = chunks_of(response)
    assert first == Started(id="x", model="m", created_s=7)
    assert last == Ended(usage=Usage(output_tokens=3), model="m")
    assert [chunk for chunk in rest if isinstance(chunk, ChoiceEnded)] == [
        ChoiceEnded(stop=StopReason.END, stop_sequence="s", raw_stop="r", choice=index) for index in range(len(choices))
    ]


def test_log_probabilities_are_told_once() -> None:
    logprobs = (TokenLogprob(token="a", logprob=-1.0),)
    choice = Choice(parts=(Text(text="a"), Text(text="b")), stop=StopReason.END, logprobs=logprobs)
    chunks = list(chunks_of(Response(id="x", model="m", choices=(choice,), usage=None)))
    assert [chunk.logprobs for chunk in chunks if isinstance(chunk, TextDelta)] == [logprobs, None]
