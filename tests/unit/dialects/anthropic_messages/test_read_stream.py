from typing import Any

import orjson
import pytest

from polyroute.dialects.anthropic_messages.read_stream import ChunkReader
from polyroute.errors import MalformedReply, Overloaded, StreamInterrupted
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
)

START: dict[str, Any] = {
    "type": "message_start",
    "message": {
        "id": "msg_1",
        "model": "claude",
        "usage": {
            "input_tokens": 9,
            "cache_creation_input_tokens": 6,
            "cache_creation": {"ephemeral_1h_input_tokens": 6, "ephemeral_5m_input_tokens": 0},
            "output_tokens": 1,
        },
    },
}
END: dict[str, Any] = {
    "type": "message_delta",
    "delta": {"stop_reason": "stop_sequence", "stop_sequence": "END"},
    "usage": {"output_tokens": 15, "cache_creation_input_tokens": 6},
}
STOP = {"type": "message_stop"}


def event(value: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (value["type"].encode(), orjson.dumps(value))


def block(block_: dict[str, Any], *deltas: dict[str, Any], index: int = 0) -> list[dict[str, Any]]:
    return [
        {"type": "content_block_start", "index": index, "content_block": block_},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def read(*events: Any) -> list[Chunk]:
    reader = ChunkReader()
    chunks = [chunk for value in events for chunk in reader.feed(event(value))]
    return chunks + reader.close()


def content(*events: Any) -> list[Chunk]:
    return read(START, *events, END, STOP)[1:-2]


def test_a_stream_is_read_from_start_to_end() -> None:
    chunks = read(
        START, {"type": "ping"}, *block({"type": "text", "text": ""}, {"type": "text_delta", "text": "a"}), END, STOP
    )
    assert chunks == [
        Started(id="msg_1", model="claude"),
        TextDelta(text="a"),
        ChoiceEnded(stop=StopReason.STOP_SEQUENCE, stop_sequence="END", raw_stop="stop_sequence"),
        Ended(usage=Usage(input_tokens=9, cache_write_1h_tokens=6, output_tokens=15), model="claude"),
    ]


@pytest.mark.parametrize(
    ("events", "chunks"),
    [
        (
            block(
                {"type": "thinking", "thinking": "", "signature": ""},
                {"type": "thinking_delta", "thinking": "hm"},
                {"type": "signature_delta", "signature": "s"},
            ),
            [ThinkingDelta(text="hm"), ThinkingDelta(signature="s")],
        ),
        (block({"type": "redacted_thinking", "data": "x"}), [ThinkingDelta(redacted="x")]),
        (
            block(
                {"type": "tool_use", "id": "t", "name": "f", "input": {}},
                {"type": "input_json_delta", "partial_json": ""},
                {"type": "input_json_delta", "partial_json": '{"a"'},
                {"type": "input_json_delta", "partial_json": ":1}"},
                index=2,
            ),
            [
                ToolCallStarted(id="t", name="f", part=2),
                ToolCallDelta(arguments='{"a"', part=2),
                ToolCallDelta(arguments=":1}", part=2),
            ],
        ),
        (
            block({"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}}),
            [ToolCallStarted(id="t", name="f", part=0), ToolCallDelta(arguments='{"a":1}', part=0)],
        ),
        (
            block(
                {"type": "text", "text": "", "citations": []}, {"type": "citations_delta", "citation": {"type": "c"}}
            ),
            [PartAdded(content=Text(text="", citations=({"type": "c"},)), part=0)],
        ),
        (
            block({"type": "text", "text": "a", "citations": [{"type": "c"}]}),
            [TextDelta(text="a"), PartAdded(content=Text(text="", citations=({"type": "c"},)), part=0)],
        ),
        (
            block(
                {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
                {"type": "input_json_delta", "partial_json": '{"query":'},
                {"type": "input_json_delta", "partial_json": '"x"}'},
            ),
            [
                PartAdded(
                    content=Opaque(
                        dialect="anthropic_messages",
                        kind="server_tool_use",
                        raw={"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "x"}},
                    ),
                    part=0,
                )
            ],
        ),
        (
            block({"type": "compaction", "content": None}, {"type": "compaction_delta", "content": "short"}),
            [
                PartAdded(
                    content=Opaque(
                        dialect="anthropic_messages", kind="compaction", raw={"type": "compaction", "content": "short"}
                    ),
                    part=0,
                )
            ],
        ),
        ([{"type": "yet_to_come", "x": 1}], []),
        (block({"type": "text", "text": ""}, {"type": "yet_to_come_delta", "x": 1}), []),
    ],
)
def test_events_become_chunks(events: list[Any], chunks: list[Chunk]) -> None:
    assert content(*events) == chunks


def test_a_missing_end_mark_is_forgiven_where_the_stop_reason_came() -> None:
    assert isinstance(read(START, END)[-1], Ended)


@pytest.mark.parametrize("events", [(), (START,), (START, *block({"type": "text", "text": "a"})), (START, STOP)])
def test_a_cut_stream_is_interrupted(events: tuple[Any, ...]) -> None:
    with pytest.raises(StreamInterrupted):
        read(*events)


@pytest.mark.parametrize(
    "wrong",
    [
        {"type": "message_start"},
        {"type": "message_start", "message": 3},
        {"type": "content_block_start", "content_block": {"type": "text"}},
        {"type": "content_block_start", "index": "0", "content_block": {"type": "text"}},
        {"type": "content_block_delta", "index": 0},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": "{"}},
        {"type": "message_delta"},
    ],
)
def test_an_event_of_the_wrong_form_is_malformed(wrong: Any) -> None:
    with pytest.raises(MalformedReply):
        read(wrong)


def test_an_error_event_is_raised_at_any_point() -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    for before in ((), (START,), (START, END)):
        with pytest.raises(Overloaded):
            read(*before, error)


def test_nothing_is_read_after_the_end() -> None:
    assert isinstance(read(START, END, STOP, {"type": "ping"}, START)[-1], Ended)
