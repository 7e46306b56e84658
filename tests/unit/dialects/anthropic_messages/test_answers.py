from typing import Any

import orjson
import pytest

from polyroute.dialects.anthropic_messages.answers import parse_response, skim_response, write_response
from polyroute.errors import MalformedReply, Overloaded
from polyroute.types.content import Opaque, Refusal, Text, Thinking, ToolCall
from polyroute.types.response import Choice, Response, StopReason, Usage

ANSWER: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude",
    "content": [
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "text", "text": "a"},
        {"type": "tool_use", "id": "t", "name": "f", "input": {"x": 1}},
        {"type": "web_search_tool_result", "tool_use_id": "w", "content": []},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {"input_tokens": 3, "output_tokens": 5, "service_tier": "standard"},
}


def test_an_answer_is_read_whole() -> None:
    response = parse_response(orjson.dumps(ANSWER))
    assert response == Response(
        id="msg_1",
        model="claude",
        choices=(
            Choice(
                parts=(
                    Thinking(text="hm", signature="s"),
                    Text(text="a"),
                    ToolCall(id="t", name="f", arguments='{"x":1}'),
                    Opaque(dialect="anthropic_messages", kind="web_search_tool_result", raw=ANSWER["content"][3]),
                ),
                stop=StopReason.TOOL_CALLS,
                raw_stop="tool_use",
            ),
        ),
        usage=Usage(input_tokens=3, output_tokens=5),
        service_tier="standard",
    )


def test_the_skim_finds_what_the_books_need_and_keeps_the_bytes() -> None:
    body = orjson.dumps(ANSWER)
    reply = skim_response(body)
    assert (reply.model, reply.stop, reply.usage) == (
        "claude",
        StopReason.TOOL_CALLS,
        Usage(input_tokens=3, output_tokens=5),
    )
    assert reply.wire is body


@pytest.mark.parametrize("usage", [None, "many", {"input_tokens": -1, "output_tokens": 2}, {"input_tokens": "x"}])
def test_usage_that_cannot_be_believed_is_none(usage: object) -> None:
    body = orjson.dumps({**ANSWER, "usage": usage})
    assert skim_response(body).usage is None
    assert parse_response(body).usage is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"3",
        b"<html>",
        b"\xff",
        b"{",
        b"{}",
        b'{"content":null}',
        b'{"content":{}}',
        b'{"type":"message"}',
    ],
)
def test_what_is_no_message_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedReply):
        skim_response(body)
    with pytest.raises(MalformedReply):
        parse_response(body)


def test_a_block_of_the_wrong_form_is_malformed() -> None:
    with pytest.raises(MalformedReply, match=r"content\[0\]"):
        parse_response(orjson.dumps({**ANSWER, "content": [{"type": "text"}]}))


def test_an_error_behind_a_200_is_an_error() -> None:
    body = b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'
    with pytest.raises(Overloaded):
        skim_response(body)
    with pytest.raises(Overloaded):
        parse_response(body)


def test_an_answer_of_another_dialect_is_written_as_anthropic_would() -> None:
    response = Response(
        id="chatcmpl-1",
        model="gpt",
        choices=(
            Choice(
                parts=(
                    Thinking(text="hm"),
                    Refusal(text="no"),
                    ToolCall(id="call_1", name="f", arguments='{"cut'),
                    Text(text=""),
                ),
                stop=StopReason.CONTENT_FILTER,
                raw_stop="content_filter",
            ),
        ),
        usage=Usage(input_tokens=3, cached_input_tokens=2, output_tokens=5, reasoning_tokens=4),
    )
    assert orjson.loads(write_response(response)) == {
        "id": "chatcmpl-1",
        "type": "message",
        "role": "assistant",
        "model": "gpt",
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": ""},
            {"type": "text", "text": "no"},
            {"type": "tool_use", "id": "call_1", "name": "f", "input": {"INVALID_JSON": '{"cut'}},
        ],
        "stop_reason": "refusal",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 3,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 2,
            "output_tokens": 9,
            "output_tokens_details": {"thinking_tokens": 4},
        },
    }
