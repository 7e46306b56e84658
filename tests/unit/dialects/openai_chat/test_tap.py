from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyroute.dialects.openai_chat.tap import Tap
from polyroute.dialects.sse import MAX_EVENT_BYTES
from polyroute.errors import MalformedReply, Overloaded, ProviderError, StreamInterrupted
from polyroute.types.response import Chunk, Ended, Usage, WireBytes


def event(delta: dict[str, Any] | None, finish: str | None = None, index: int = 0, **more: Any) -> bytes:
    choices = [] if delta is None else [{"index": index, "delta": delta, "finish_reason": finish}]
    return b"data: " + orjson.dumps({"id": "c", "model": "m-1", "choices": choices, **more}) + b"\n\n"


ROLE = event({"role": "assistant", "content": ""})
HELLO, WORLD = event({"content": "Hello"}), event({"content": " world"})
STOP = event({}, "stop")
USAGE = event(None, usage={"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5})
DONE = b"data: [DONE]\n\n"
COUNTED = Usage(input_tokens=3, output_tokens=2)


def fed(tap: Tap, *events: bytes) -> list[list[Chunk]]:
    return [tap.feed(item) for item in events]


def test_events_pass_as_they_come_between_opening_and_tail() -> None:
    tap = Tap()
    assert fed(tap, ROLE, HELLO, WORLD, STOP, USAGE) == [
        [],
        [WireBytes(data=ROLE + HELLO)],
        [WireBytes(data=WORLD)],
        [],
        [],
    ]
    assert tap.feed(DONE) == [Ended(usage=COUNTED, model="m-1", wire=STOP + USAGE + DONE)]
    assert tap.feed(b"data: more\n\n") == []
    assert tap.close() == []


def test_events_of_one_feed_are_joined() -> None:
    tap = Tap()
    assert tap.feed(ROLE + HELLO + WORLD + STOP + DONE) == [
        WireBytes(data=ROLE + HELLO + WORLD),
        Ended(usage=None, model="m-1", wire=STOP + DONE),
    ]


@pytest.mark.parametrize(
    "delta",
    [
        {"content": "a"},
        {"refusal": "no"},
        {"reasoning_content": "hm"},
        {"reasoning": "hm"},
        {"tool_calls": [{"index": 0, "id": "1", "function": {"name": "f", "arguments": ""}}]},
        {"function_call": {"name": "f"}},
        {"audio": {"id": "a"}},
    ],
)
def test_the_first_that_says_something_opens_the_answer(delta: dict[str, Any]) -> None:
    tap = Tap()
    waiting = b": OPENROUTER PROCESSING\n\n"
    assert fed(tap, waiting, ROLE, event(delta)) == [[], [], [WireBytes(data=waiting + ROLE + event(delta))]]


def test_an_answer_that_says_nothing_is_all_tail() -> None:
    tap = Tap()
    assert fed(tap, ROLE, event({}, "content_filter")) == [[], []]
    assert tap.feed(DONE) == [Ended(usage=None, model="m-1", wire=ROLE + event({}, "content_filter") + DONE)]


def test_a_finish_without_an_end_mark_is_an_end() -> None:
    tap = Tap()
    fed(tap, HELLO, STOP)
    assert tap.close() == [Ended(usage=None, model="m-1", wire=STOP)]


def test_the_last_event_may_lack_its_blank_line() -> None:
    tap = Tap()
    fed(tap, HELLO, STOP)
    assert tap.feed(b"data: [DONE]") == []
    assert tap.close() == [Ended(usage=None, model="m-1", wire=STOP + b"data: [DONE]")]


@pytest.mark.parametrize("events", [(), (ROLE,), (ROLE, HELLO), (HELLO, USAGE), (HELLO, STOP[:-9])])
def test_a_stream_that_just_stops_was_cut(events: tuple[bytes, ...]) -> None:
    tap = Tap()
    fed(tap, *events)
    with pytest.raises(StreamInterrupted):
        tap.close()


@pytest.mark.parametrize("events", [(), (ROLE,), (HELLO,), (HELLO, USAGE)])
def test_an_end_mark_without_a_finish_is_no_end(events: tuple[bytes, ...]) -> None:
    tap = Tap()
    fed(tap, *events)
    with pytest.raises(StreamInterrupted):
        tap.feed(DONE)


@pytest.mark.parametrize("before", [(), (ROLE,), (ROLE, HELLO), (ROLE, HELLO, STOP)])
@pytest.mark.parametrize(
    ("bad", "kind"),
    [
        (b'data: {"error":{"message":"busy","code":503}}\n\n', Overloaded),
        (event({"content": "x"}, error={"message": "busy"}), Overloaded),
        (event({"content": ""}, "error"), Overloaded),
        (b"event: error\ndata: {}\n\n", Overloaded),
        (b"data: garbage\n\n", MalformedReply),
        (b'data: {"choices":[{"delta":{"content":"a"\n\n', MalformedReply),
        (b"garbage\n\n", MalformedReply),
    ],
)
def test_errors_and_garbage_are_raised_wherever_they_come(
    before: tuple[bytes, ...], bad: bytes, kind: type[ProviderError]
) -> None:
    tap = Tap()
    fed(tap, *before)
    with pytest.raises(ProviderError) as caught:
        tap.feed(bad)
    assert type(caught.value) is kind


def test_an_error_in_place_of_a_stream_is_one() -> None:
    tap = Tap()
    assert tap.feed(b'{"error":{"message":"busy","code":503}}') == []
    with pytest.raises(Overloaded):
        tap.close()


def test_choices_finish_one_by_one() -> None:
    tap = Tap()
    first, second = event({"content": "a"}, index=0), event({"content": "b"}, index=1)
    ends = event({}, "stop", index=0), event({}, "length", index=1)
    assert fed(tap, first, ends[0], second, ends[1]) == [
        [WireBytes(data=first)],
        [],
        [WireBytes(data=ends[0] + second)],
        [],
    ]
    assert tap.feed(DONE) == [Ended(usage=None, model="m-1", wire=ends[1] + DONE)]


def test_a_choice_that_never_finished_was_cut() -> None:
    tap = Tap()
    fed(tap, event({"content": "a"}), event({}, "stop"), event({"content": "b"}, index=1))
    with pytest.raises(StreamInterrupted):
        tap.feed(DONE)


def test_usage_with_every_chunk_counts_once() -> None:
    tap = Tap()
    running = [
        event({"content": "a"}, usage={"prompt_tokens": 3, "completion_tokens": count, "total_tokens": 3 + count})
        for count in (0, 1)
    ]
    assert fed(tap, *running) == [[WireBytes(data=item)] for item in running]
    last = event({}, "stop", usage={"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5})
    (ended,) = tap.feed(last + DONE)
    assert ended == Ended(usage=COUNTED, model="m-1", wire=last + DONE)


def test_groqs_place_for_usage_is_known() -> None:
    tap = Tap()
    stop = event({}, "stop", x_groq={"id": "r", "usage": {"prompt_tokens": 3, "completion_tokens": 2}})
    (ended,) = tap.feed(HELLO + stop + DONE)[1:]
    assert isinstance(ended, Ended)
    assert ended.usage == COUNTED


def test_text_that_looks_like_the_wire_is_text() -> None:
    tricky = event({"content": '"finish_reason":"stop" "usage":{"prompt_tokens":1} "error": [DONE]'})
    tap = Tap()
    assert fed(tap, HELLO, tricky, tricky) == [[WireBytes(data=item)] for item in (HELLO, tricky, tricky)]


@pytest.mark.parametrize("rest", [b"data:", b"data: ", b"data: \r", b": keep"])
def test_what_a_cut_left_of_an_event_without_data_is_not_passed_on(rest: bytes) -> None:
    """Clients parse the data of every event they are given."""
    tap = Tap()
    tap.feed(HELLO + STOP + rest)
    (ended,) = tap.close()
    assert isinstance(ended, Ended)
    assert ended.wire == STOP


def test_endless_keep_alives_are_cut_off() -> None:
    tap = Tap()
    piece = b": " + b"x" * (MAX_EVENT_BYTES // 4) + b"\n\n"
    with pytest.raises(MalformedReply):
        fed(tap, *[piece] * 5)


@given(st.lists(st.sampled_from([ROLE, HELLO, WORLD, STOP, USAGE, DONE, b"x", b"\n\n", b"data: {", b": c\n\n"])))
def test_a_stream_passes_whole_or_fails(events: list[bytes]) -> None:
    tap = Tap()
    try:
        chunks = [*(chunk for item in events for chunk in tap.feed(item)), *tap.close()]
    except ProviderError:
        return
    assert isinstance(chunks[-1], Ended)
    passed = b"".join(chunk.data for chunk in chunks if isinstance(chunk, WireBytes)) + (chunks[-1].wire or b"")
    assert b"".join(events).startswith(passed)
    assert b'"finish_reason":"stop"' in (chunks[-1].wire or b"")
