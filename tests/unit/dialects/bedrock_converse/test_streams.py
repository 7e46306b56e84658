"""Both readers of a stream and the writer of one, event by event."""

import orjson
import pytest

from polyroute.dialects.bedrock_converse.events import read_event, write_event, write_exception
from polyroute.dialects.bedrock_converse.read_stream import ChunkReader
from polyroute.dialects.bedrock_converse.tap import Tap
from polyroute.dialects.bedrock_converse.write_stream import EventWriter
from polyroute.dialects.event_stream import FrameSplitter, encode_frame
from polyroute.errors import MalformedReply, Overloaded, ProviderError, StreamInterrupted
from polyroute.types.content import Opaque, Text
from polyroute.types.response import (
    ChoiceEnded,
    Chunk,
    Ended,
    PartAdded,
    Started,
    StopReason,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
    WireBytes,
)

START = write_event("messageStart", {"role": "assistant"})
TEXT = write_event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Hi"}})
STOP = write_event("messageStop", {"stopReason": "end_turn"})
METADATA = write_event("metadata", {"usage": {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3}})
USAGE = Usage(input_tokens=1, output_tokens=2)


def delta(part: int, **fields: object) -> bytes:
    return write_event("contentBlockDelta", {"contentBlockIndex": part, "delta": fields})


def begin(part: int, **fields: object) -> bytes:
    return write_event("contentBlockStart", {"contentBlockIndex": part, "start": fields})


def told(*chunks: Chunk) -> list[tuple[str, dict[str, object]]]:
    writer = EventWriter()
    sent = b"".join(map(writer.write, chunks)) + writer.end(Ended(usage=USAGE, model="m"), {})
    return [read_event(frame) for frame in FrameSplitter().feed(sent)]


def test_the_tap_waits_for_content_and_keeps_the_end() -> None:
    tap = Tap()
    assert tap.feed(START) == []
    assert tap.feed(TEXT) == [WireBytes(data=START + TEXT)]
    assert tap.feed(TEXT + TEXT) == [WireBytes(data=TEXT + TEXT)]
    assert tap.feed(STOP) == []
    assert tap.feed(METADATA) == [Ended(usage=USAGE, wire=STOP + METADATA)]
    assert tap.close() == []


@pytest.mark.parametrize("make", [Tap, ChunkReader])
def test_a_stream_that_said_why_it_stopped_is_whole_without_its_usage(make: type[Tap | ChunkReader]) -> None:
    reader = make()
    reader.feed(START + TEXT + STOP)
    last = reader.close()[-1]
    assert isinstance(last, Ended)
    assert last.usage is None


@pytest.mark.parametrize("make", [Tap, ChunkReader])
@pytest.mark.parametrize("data", [b"", START, START + TEXT, START + TEXT + METADATA, START + TEXT + STOP[:9]])
def test_a_stream_without_its_end_is_no_answer(make: type[Tap | ChunkReader], data: bytes) -> None:
    reader = make()
    assert not any(isinstance(chunk, Ended) for chunk in reader.feed(data))
    with pytest.raises(StreamInterrupted):
        reader.close()


@pytest.mark.parametrize("make", [Tap, ChunkReader])
@pytest.mark.parametrize(
    ("frame", "error"),
    [
        (write_exception("throttlingException", "slow down"), Overloaded),
        (
            encode_frame({":message-type": "error", ":error-code": "InternalError", ":error-message": "x"}, b""),
            Overloaded,
        ),
        (encode_frame({":message-type": "odd"}, b"{}"), MalformedReply),
        (encode_frame({":message-type": "event"}, b"{}"), MalformedReply),
        (encode_frame({":message-type": "event", ":event-type": "messageStart"}, b"{"), MalformedReply),
        (encode_frame({":message-type": "event", ":event-type": "messageStart"}, b"[]"), MalformedReply),
        (b"data: {}\n\n\n\n\n\n\n", MalformedReply),
    ],
)
def test_errors_and_garbage_are_raised_at_any_point(
    make: type[Tap | ChunkReader], frame: bytes, error: type[ProviderError]
) -> None:
    for before in (b"", START + TEXT):
        with pytest.raises(error):
            make().feed(before + frame)


@pytest.mark.parametrize(
    "frame",
    [
        write_event("contentBlockDelta", {"delta": {"text": "x"}}),
        write_event("contentBlockDelta", {"contentBlockIndex": 0}),
        delta(0, toolUse={"input": "{"}),
        write_event("contentBlockStart", {"contentBlockIndex": 0, "start": []}),
    ],
)
def test_an_event_that_misses_a_field_is_malformed(frame: bytes) -> None:
    with pytest.raises(MalformedReply):
        ChunkReader().feed(frame)


def test_every_delta_becomes_a_chunk() -> None:
    reader = ChunkReader()
    stream = b"".join([
        START,
        delta(0, reasoningContent={"text": "hm"}),
        delta(0, reasoningContent={"signature": "s"}),
        delta(1, reasoningContent={"redactedContent": "xx"}),
        delta(2, text="Hi"),
        delta(2, citation={"title": "t", "location": {"web": {"url": "https://x.example"}}}),
        begin(3, toolUse={"toolUseId": "t1", "name": "f"}),
        delta(3, toolUse={"input": ""}),
        delta(3, toolUse={"input": "{}"}),
        begin(4, toolUse={"toolUseId": "t2", "name": "web", "type": "server_tool_use"}),
        delta(4, toolUse={"input": '{"q":1}'}),
        write_event("contentBlockStop", {"contentBlockIndex": 4}),
        begin(5, toolResult={"toolUseId": "t2", "type": "web_result"}),
        delta(5, toolResult=[{"text": "r"}]),
        write_event("contentBlockStop", {"contentBlockIndex": 5}),
        write_event("brandNew", {"a": 1}),
        STOP,
        METADATA,
    ])  # fmt: skip
    call: dict[str, object] = {
        "toolUse": {"toolUseId": "t2", "name": "web", "type": "server_tool_use", "input": {"q": 1}}
    }
    result: dict[str, object] = {"toolResult": {"toolUseId": "t2", "type": "web_result", "content": [{"text": "r"}]}}
    citation: dict[str, object] = {
        "type": "web_search_result_location", "url": "https://x.example", "title": "t", "cited_text": "",
    }  # fmt: skip
    assert reader.feed(stream) == [
        Started(id="", model=""),
        ThinkingDelta(text="hm", part=0),
        ThinkingDelta(signature="s", part=0),
        ThinkingDelta(redacted="xx", part=1),
        TextDelta(text="Hi", part=2),
        PartAdded(content=Text(text="", citations=(citation,)), part=2),
        ToolCallStarted(id="t1", name="f", part=3),
        ToolCallDelta(arguments="{}", part=3),
        PartAdded(content=Opaque(dialect="bedrock_converse", kind="server_tool_use", raw=call), part=4),
        PartAdded(content=Opaque(dialect="bedrock_converse", kind="server_tool_result", raw=result), part=5),
        ChoiceEnded(stop=StopReason.END, raw_stop="end_turn"),
        Ended(usage=USAGE),
    ]


def test_a_writer_tells_blocks_one_after_another() -> None:
    events = told(
        Started(id="i", model="m"),
        TextDelta(text="Hi"),
        ToolCallStarted(id="call/1", name="f", part=1),
        ToolCallDelta(arguments="{}", part=1),
        TextDelta(text="late", part=0),
        ChoiceEnded(stop=StopReason.TOOL_CALLS),
    )
    assert [kind for kind, _ in events] == [
        "messageStart", "contentBlockDelta", "contentBlockStop", "contentBlockStart", "contentBlockDelta",
        "contentBlockDelta", "contentBlockStop", "messageStop", "metadata",
    ]  # fmt: skip
    assert events[5][1] == {"contentBlockIndex": 0, "delta": {"text": "late"}}
    assert events[-2][1] == {"stopReason": "tool_use"}
    assert events[-1][1]["trace"] == {"promptRouter": {"invokedModelId": "m"}}


def test_an_empty_answer_has_a_beginning_and_an_end() -> None:
    assert [kind for kind, _ in told()] == ["messageStart", "messageStop", "metadata"]


def test_an_error_is_an_exception_frame() -> None:
    frame = EventWriter().error("rate_limit_error", "slow", None)
    with pytest.raises(Overloaded, match="slow"):
        read_event(frame)


def test_another_choice_than_the_first_is_not_told() -> None:
    assert EventWriter().write(TextDelta(text="x", choice=1)) == b""


def test_the_report_stands_in_the_metadata_of_what_is_written_anew() -> None:
    sent = EventWriter().end(Ended(usage=None), {"cost_usd": "1"})
    *_, last = [orjson.loads(frame[frame.index(b"{") : -4]) for frame in FrameSplitter().feed(sent)]
    assert last["polyroute"] == {"cost_usd": "1"}
