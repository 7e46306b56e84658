from typing import Any

import orjson
import pytest

from polyroute.dialects.anthropic_messages.write_stream import EventWriter
from polyroute.types.content import Opaque, Text, Thinking, ToolCall
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
    ToolCallDelta,
    ToolCallStarted,
    Usage,
    WireBytes,
)

BEGIN = Started(id="chatcmpl-1", model="gpt")


def events(stream: bytes) -> list[Any]:
    values = [orjson.loads(line[6:]) for line in stream.splitlines() if line.startswith(b"data: ")]
    names = [line[7:].decode() for line in stream.splitlines() if line.startswith(b"event: ")]
    assert names == [value["type"] for value in values]
    return values


def write(*chunks: Chunk) -> list[Any]:
    writer = EventWriter()
    return events(b"".join(map(writer.write, chunks)))


def starts(index: int, block: dict[str, Any]) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def delta(index: int, value: dict[str, Any]) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": value}


def stops(index: int) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


def test_a_stream_opens_with_the_model_that_answers() -> None:
    (start,) = write(BEGIN)
    message = start["message"]
    assert (message["id"], message["model"], message["content"]) == ("chatcmpl-1", "gpt", [])
    assert (message["role"], message["stop_reason"]) == ("assistant", None)


@pytest.mark.parametrize(
    ("chunks", "written"),
    [
        (
            [TextDelta(text="a"), TextDelta(text=""), TextDelta(text="b")],
            [
                starts(0, {"type": "text", "text": ""}),
                delta(0, {"type": "text_delta", "text": "a"}),
                delta(0, {"type": "text_delta", "text": "b"}),
                stops(0),
            ],
        ),
        (
            [ThinkingDelta(text="hm", part=3), ThinkingDelta(signature="s", part=3), TextDelta(text="a", part=5)],
            [
                starts(0, {"type": "thinking", "thinking": "", "signature": ""}),
                delta(0, {"type": "thinking_delta", "thinking": "hm"}),
                delta(0, {"type": "signature_delta", "signature": "s"}),
                stops(0),
                starts(1, {"type": "text", "text": ""}),
                delta(1, {"type": "text_delta", "text": "a"}),
                stops(1),
            ],
        ),
        (
            [ThinkingDelta(redacted="x")],
            [starts(0, {"type": "redacted_thinking", "data": "x"}), stops(0)],
        ),
        (
            [
                ToolCallStarted(id="a", name="f", part=0),
                ToolCallDelta(arguments="{", part=0),
                ToolCallStarted(id="b", name="g", part=1),
                ToolCallDelta(arguments="}", part=0),
                ToolCallDelta(arguments="{}", part=1),
            ],
            [
                starts(0, {"type": "tool_use", "id": "a", "name": "f", "input": {}}),
                delta(0, {"type": "input_json_delta", "partial_json": "{"}),
                stops(0),
                starts(1, {"type": "tool_use", "id": "b", "name": "g", "input": {}}),
                delta(0, {"type": "input_json_delta", "partial_json": "}"}),
                delta(1, {"type": "input_json_delta", "partial_json": "{}"}),
                stops(1),
            ],
        ),
        (
            [TextDelta(text="a"), PartAdded(content=Text(text="", citations=({"type": "c"},)), part=0)],
            [
                starts(0, {"type": "text", "text": ""}),
                delta(0, {"type": "text_delta", "text": "a"}),
                delta(0, {"type": "citations_delta", "citation": {"type": "c"}}),
                stops(0),
            ],
        ),
        (
            [RefusalDelta(text="no")],
            [starts(0, {"type": "text", "text": ""}), delta(0, {"type": "text_delta", "text": "no"}), stops(0)],
        ),
        (
            [PartAdded(content=ToolCall(id="a", name="f", arguments="{}"), part=0)],
            [
                starts(0, {"type": "tool_use", "id": "a", "name": "f", "input": {}}),
                delta(0, {"type": "input_json_delta", "partial_json": "{}"}),
                stops(0),
            ],
        ),
        (
            [PartAdded(content=Thinking(text="hm"), part=0)],
            [
                starts(0, {"type": "thinking", "thinking": "", "signature": ""}),
                delta(0, {"type": "thinking_delta", "thinking": "hm"}),
                stops(0),
            ],
        ),
        (
            [PartAdded(content=Opaque(dialect="anthropic_messages", kind="x", raw={"type": "x"}), part=0)],
            [starts(0, {"type": "x"}), stops(0)],
        ),
        ([PartAdded(content=Opaque(dialect="openai_chat", kind="x", raw={"type": "x"}), part=0)], []),
        ([TextDelta(text="other", choice=1)], []),
    ],
)
def test_parts_become_blocks(chunks: list[Chunk], written: list[Any]) -> None:
    assert write(BEGIN, *chunks, ChoiceEnded(stop=StopReason.END))[1:] == written


def test_the_end_tells_stop_usage_and_report() -> None:
    writer = EventWriter()
    writer.write(BEGIN)
    writer.write(ChoiceEnded(stop=StopReason.MAX_TOKENS, raw_stop="length"))
    closing, stop = events(writer.end(Ended(usage=Usage(input_tokens=3, output_tokens=5)), {"cost_usd": "0.1"}))
    assert closing == {
        "type": "message_delta",
        "delta": {"stop_reason": "max_tokens", "stop_sequence": None},
        "usage": {
            "input_tokens": 3,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": 5,
        },
        "polyroute": {"cost_usd": "0.1"},
    }
    assert stop == {"type": "message_stop"}


def test_even_an_empty_answer_is_a_whole_message() -> None:
    kinds = [event["type"] for event in events(EventWriter().end(Ended(usage=None, model="m"), {}))]
    assert kinds == ["message_start", "message_delta", "message_stop"]


def test_its_own_bytes_pass_and_take_the_report_in_the_delta() -> None:
    writer = EventWriter()
    assert writer.write(WireBytes(data=b"as it came")) == b"as it came"
    tail = (
        b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{}   }\n\n'
        b'event: ping\ndata: {"type": "ping"}\n\nevent: message_stop\ndata: {"type":"message_stop" }\n\n'
    )
    assert writer.end(Ended(usage=None, wire=tail), {}) == tail
    with_report = writer.end(Ended(usage=None, wire=tail), {"a": 1})
    assert with_report == tail.replace(b"{}   }", b'{}   ,"polyroute":{"a":1}}')


def test_an_error_takes_the_place_of_the_end() -> None:
    stream = EventWriter().error("service_unavailable_error", "cut", None)
    assert events(stream) == [{"type": "error", "error": {"type": "overloaded_error", "message": "cut"}}]
