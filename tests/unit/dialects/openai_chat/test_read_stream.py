import contextlib
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyroute.dialects.openai_chat.read_stream import ChunkReader
from polyroute.errors import MalformedReply, Overloaded, ProviderError, StreamInterrupted
from polyroute.types.content import Image, Inline, Opaque, Text
from polyroute.types.response import (
    ChoiceEnded,
    Chunk,
    Ended,
    PartAdded,
    RefusalDelta,
    Started,
    StopReason,
    TextDelta,
    ThinkingDelta,
    TokenLogprob,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)

DONE = b"data: [DONE]\n\n"
STARTED = Started(id="c", model="m-1", created_s=7)


def event(delta: dict[str, Any] | None, finish: str | None = None, index: int = 0, **more: Any) -> bytes:
    choice = {"index": index, "delta": delta, "finish_reason": finish, **more}
    body = {"id": "c", "created": 7, "model": "m-1", "choices": [] if delta is None else [choice]}
    return b"data: " + orjson.dumps(body) + b"\n\n"


def call(index: int | None, call_id: str | None = None, name: str | None = None, arguments: Any = None) -> bytes:
    function = {"name": name, "arguments": arguments}
    return event({"tool_calls": [{"index": index, "id": call_id, "function": function}]})


def between(*events: bytes, finish: str = "stop") -> list[Chunk]:
    """The chunks between `Started` and the endings."""
    reader = ChunkReader()
    chunks = [chunk for item in (*events, event({}, finish), DONE) for chunk in reader.feed(item)]
    assert chunks[0] == STARTED
    assert isinstance(chunks[-1], Ended)
    return chunks[1:-2]


@pytest.mark.parametrize(
    ("deltas", "expected"),
    [
        ([{"role": "assistant", "content": ""}], []),
        ([{"content": "a"}, {"content": "b"}], [TextDelta(text="a"), TextDelta(text="b")]),
        ([{"refusal": "no"}], [RefusalDelta(text="no")]),
        (
            [{"reasoning_content": "h"}, {"reasoning_content": "m"}, {"content": "a"}],
            [ThinkingDelta(text="h"), ThinkingDelta(text="m"), TextDelta(text="a", part=1)],
        ),
        (
            [
                {"reasoning": "hm", "reasoning_details": [{"type": "reasoning.text", "text": "hm"}]},
                {"reasoning_details": [{"type": "reasoning.text", "signature": "s"}]},
                {"content": "a", "reasoning": None},
            ],
            [ThinkingDelta(text="hm"), ThinkingDelta(signature="s"), TextDelta(text="a", part=1)],
        ),
        (
            [
                {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]},
                {"content": [{"type": "text", "text": "a"}]},
                {"content": "b"},
            ],
            [ThinkingDelta(text="hm"), TextDelta(text="a", part=1), TextDelta(text="b", part=1)],
        ),
        (
            [{"content": "a"}, {"annotations": [{"type": "url_citation"}]}, {"content": "b"}],
            [
                TextDelta(text="a"),
                PartAdded(content=Text(text="", citations=({"type": "url_citation"},)), part=0),
                TextDelta(text="b"),
            ],
        ),
        (
            [{"content": "a"}, {"images": [{"image_url": {"url": "data:image/png;base64,QUJD"}}]}],
            [TextDelta(text="a"), PartAdded(content=Image(media=Inline(media_type="image/png", data="QUJD")), part=1)],
        ),
        (
            [{"audio": {"data": "AA"}}],
            [PartAdded(content=Opaque(dialect="openai_chat", kind="audio", raw={"data": "AA"}), part=0)],
        ),
        (
            [{"function_call": {"name": "f", "arguments": ""}}, {"function_call": {"arguments": "{}"}}],
            [ToolCallStarted(id="call_0_0", name="f", part=0), ToolCallDelta(arguments="{}", part=0)],
        ),
    ],
)
def test_a_delta_becomes_a_chunk(deltas: list[dict[str, Any]], expected: list[Chunk]) -> None:
    assert between(*map(event, deltas)) == expected


@pytest.mark.parametrize(
    "events",
    [
        pytest.param(
            [call(0, "1", "f", ""), call(0, arguments='{"a":'), call(0, arguments="1}"), call(1, "2", "g", "{}")],
            id="numbered",
        ),
        pytest.param([call(None, "1", "f", '{"a":1}'), call(None, "2", "g", "{}")], id="not numbered"),
        pytest.param([call(0, "1", "f", '{"a":1}'), call(0, "2", "g", "{}")], id="all zero"),
        pytest.param([call(0, "1", "f", {"a": 1}), call(1, "2", "g", {})], id="arguments as objects"),
        pytest.param([call(0, "1", "f", '{"a"'), call(0, "1", "f", ":1}"), call(1, "2", "g", "{}")], id="repeated"),
        pytest.param(
            [call(None, "1", "f", '{"a"'), call(None, arguments=":1}"), call(None, "2", "g", "{}")], id="open"
        ),
    ],
)
def test_parallel_calls_are_told_apart(events: list[bytes]) -> None:
    calls: dict[int, list[str]] = {}
    for chunk in between(*events):
        match chunk:
            case ToolCallStarted():
                calls[chunk.part] = [chunk.id, chunk.name, ""]
            case ToolCallDelta():
                calls[chunk.part][2] += chunk.arguments
            case _:
                raise AssertionError(chunk)
    assert list(calls.values()) == [["1", "f", '{"a":1}'], ["2", "g", "{}"]]


def test_text_after_a_call_is_a_part_of_its_own() -> None:
    chunks = between(event({"content": "a"}), call(0, "1", "f", "{}"), event({"content": "b"}))
    assert [getattr(chunk, "part", None) for chunk in chunks] == [0, 1, 1, 2]


def test_the_end_comes_at_once_and_in_order() -> None:
    reader = ChunkReader()
    for item in (event({"content": "a"}), event({"content": "b"}, index=1), event({}, "length", index=1)):
        assert not any(isinstance(chunk, ChoiceEnded) for chunk in reader.feed(item))
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    last = b"data: " + orjson.dumps({"choices": [], "usage": usage}) + b"\n\n"
    assert reader.feed(event({}, "stop") + event({}, "stop") + last + DONE) == [
        ChoiceEnded(stop=StopReason.END, raw_stop="stop", choice=0),
        ChoiceEnded(stop=StopReason.MAX_TOKENS, raw_stop="length", choice=1),
        Ended(usage=Usage(input_tokens=3, output_tokens=2), model="m-1"),
    ]
    assert reader.feed(DONE) == []
    assert reader.close() == []


def test_a_stream_may_end_without_its_mark() -> None:
    reader = ChunkReader()
    reader.feed(event({"content": "a"}) + event({}, "stop"))
    assert reader.close() == [
        ChoiceEnded(stop=StopReason.END, raw_stop="stop"),
        Ended(usage=None, model="m-1"),
    ]


@pytest.mark.parametrize(
    ("events", "stop"),
    [
        ([call(0, "1", "f", "{}")], StopReason.TOOL_CALLS),
        ([event({"refusal": "no"})], StopReason.REFUSAL),
        ([event({"content": "a"}, stop_reason="END", finish="stop")], StopReason.STOP_SEQUENCE),
    ],
)
def test_content_says_more_than_stop(events: list[bytes], stop: StopReason) -> None:
    reader = ChunkReader()
    chunks = reader.feed(b"".join(events) + event({}, "stop") + DONE)
    assert [chunk.stop for chunk in chunks if isinstance(chunk, ChoiceEnded)] == [stop]


def test_log_probabilities_come_with_their_text() -> None:
    logprobs = {"content": [{"token": "a", "logprob": -0.5, "bytes": None, "top_logprobs": []}]}
    expected = (TokenLogprob(token="a", logprob=-0.5),)
    assert between(event({"content": "a"}, logprobs=logprobs)) == [TextDelta(text="a", logprobs=expected)]
    assert between(event({"content": ""}, logprobs=logprobs)) == [TextDelta(text="", logprobs=expected)]


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (b"", StreamInterrupted),
        (DONE, StreamInterrupted),
        (event({"content": "a"}), StreamInterrupted),
        (event({"content": "a"}) + DONE, StreamInterrupted),
        (event({"content": "a"}) + event({}, "stop")[:-9], StreamInterrupted),
        (event({"content": "a"}) + event({"content": "b"}, index=1) + event({}, "stop") + DONE, StreamInterrupted),
        (b"data: garbage\n\n", MalformedReply),
        (b"<html>\n\n", MalformedReply),
        (b'data: {"error":{"message":"busy","code":503}}\n\n', Overloaded),
        (b'{"error":{"message":"busy","code":503}}', Overloaded),
    ],
)
def test_a_stream_without_a_proper_end_is_an_error(raw: bytes, kind: type[ProviderError]) -> None:
    reader = ChunkReader()
    with pytest.raises(ProviderError) as caught:
        reader.feed(raw) + reader.close()
    assert type(caught.value) is kind


@given(st.binary(max_size=80), st.integers(0, 200), st.integers(1, 50))
def test_any_bytes_are_chunks_or_a_provider_error(garbage: bytes, cut: int, size: int) -> None:
    raw = event({"content": "a"}) + event({}, "stop") + DONE
    raw = raw[:cut] + garbage + raw[cut:]
    reader = ChunkReader()
    with contextlib.suppress(ProviderError):
        chunks = [chunk for start in range(0, len(raw), size) for chunk in reader.feed(raw[start : start + size])]
        assert isinstance([*chunks, *reader.close()][-1], Ended)


def test_sources_beside_the_chunks_are_cited_once_at_the_end() -> None:
    beside = {"citations": ["https://a.example/1"]}
    chunks = [orjson.loads(event({"content": text})[6:]) | beside for text in ("a", "b")]
    sent = b"".join(b"data: %b\n\n" % orjson.dumps(chunk) for chunk in chunks)
    reader = ChunkReader()
    read = [*reader.feed(sent + event({}, "stop")), *reader.close()]
    cited = [chunk.content for chunk in read if isinstance(chunk, PartAdded)]
    source = {"url": "https://a.example/1", "title": None}
    assert cited == [Text(text="", citations=({"type": "url_citation", "url_citation": source},))]
    assert isinstance(read[-2], ChoiceEnded)


def test_usage_may_stand_in_the_choice() -> None:  # Moonshot
    last = orjson.loads(event({}, "stop")[6:])
    last["choices"][0]["usage"] = {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14}
    reader = ChunkReader()
    ended = [*reader.feed(event({"content": "a"}) + b"data: %b\n\n" % orjson.dumps(last)), *reader.close()][-1]
    assert isinstance(ended, Ended)
    assert ended.usage == Usage(input_tokens=9, output_tokens=5)
