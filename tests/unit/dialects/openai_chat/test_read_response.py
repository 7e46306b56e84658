import contextlib
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyroute.dialects.openai_chat import OpenAIChat
from polyroute.errors import ContextTooLong, MalformedReply, Overloaded, ProviderError, Rejected
from polyroute.types.content import Image, Inline, Opaque, Part, Refusal, Text, Thinking, ToolCall
from polyroute.types.response import StopReason, TokenLogprob, Usage

DIALECT = OpenAIChat()


def answer(message: dict[str, Any], finish: str | None = "stop", **choice: Any) -> bytes:
    return orjson.dumps(
        {
            "id": "c1",
            "object": "chat.completion",
            "created": 7,
            "model": "m-1",
            "choices": [{"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish, **choice}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
        }
    )


@pytest.mark.parametrize(
    ("message", "parts", "stop"),
    [
        ({"content": "hi"}, (Text(text="hi"),), StopReason.END),
        ({"content": None}, (), StopReason.END),
        ({"content": ""}, (), StopReason.END),
        ({"content": None, "refusal": "no"}, (Refusal(text="no"),), StopReason.REFUSAL),
        ({"content": "4", "reasoning_content": "2+2"}, (Thinking(text="2+2"), Text(text="4")), StopReason.END),
        ({"content": "4", "reasoning": "2+2"}, (Thinking(text="2+2"), Text(text="4")), StopReason.END),
        (
            {
                "content": "4",
                "reasoning": "2+2",
                "reasoning_details": [{"type": "reasoning.text", "text": "2+2", "signature": "s"}],
            },
            (Thinking(text="2+2", signature="s"), Text(text="4")),
            StopReason.END,
        ),
        (
            {
                "content": "4",
                "reasoning": "2+2",
                "reasoning_details": [{"type": "reasoning.encrypted", "data": "e"}],
            },
            (Thinking(text="2+2"), Thinking(text="", redacted="e"), Text(text="4")),
            StopReason.END,
        ),
        (
            {
                "content": [
                    {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
                    {"type": "text", "text": "4"},
                ]
            },
            (Thinking(text="hm"), Text(text="4")),
            StopReason.END,
        ),
        (
            {"content": "see", "annotations": [{"type": "url_citation"}]},
            (Text(text="see", citations=({"type": "url_citation"},)),),
            StopReason.END,
        ),
        (
            {"content": "", "images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}}]},
            (Image(media=Inline(media_type="image/png", data="QUJD")),),
            StopReason.END,
        ),
        (
            {"content": None, "audio": {"id": "a"}},
            (Opaque(dialect="openai_chat", kind="audio", raw={"id": "a"}),),
            StopReason.END,
        ),
        (
            {
                "content": None,
                "tool_calls": [
                    {"id": "1", "function": {"name": "f", "arguments": "{}"}},
                    {"function": {"name": "g", "arguments": {"a": 1}}},
                ],
            },
            (ToolCall(id="1", name="f", arguments="{}"), ToolCall(id="call_1", name="g", arguments='{"a":1}')),
            StopReason.TOOL_CALLS,
        ),
        (
            {"content": None, "function_call": {"name": "f", "arguments": "{}"}},
            (ToolCall(id="call_0", name="f", arguments="{}"),),
            StopReason.TOOL_CALLS,
        ),
    ],
)
def test_a_message_becomes_parts(message: dict[str, Any], parts: tuple[Part, ...], stop: StopReason) -> None:
    (choice,) = DIALECT.parse_response(answer(message)).choices
    assert choice.parts == parts
    assert (choice.stop, choice.raw_stop) == (stop, "stop")


def test_the_rest_of_the_answer_is_read_too() -> None:
    response = DIALECT.parse_response(answer({"content": "hi"}))
    assert (response.id, response.model, response.created_s) == ("c1", "m-1", 7)
    assert response.usage == Usage(input_tokens=3, output_tokens=2)
    assert response.text == "hi"


def test_log_probabilities_are_read() -> None:
    entry = {
        "token": "a",
        "logprob": -0.5,
        "bytes": [97],
        "top_logprobs": [{"token": "b", "logprob": -1, "bytes": None}],
    }
    (choice,) = DIALECT.parse_response(answer({"content": "a"}, logprobs={"content": [entry]})).choices
    top = TokenLogprob(token="b", logprob=-1.0)
    assert choice.logprobs == (TokenLogprob(token="a", logprob=-0.5, bytes=(97,), top=(top,)),)


def test_vllm_says_which_sequence_stopped_it() -> None:
    (choice,) = DIALECT.parse_response(answer({"content": "a"}, stop_reason="END")).choices
    assert (choice.stop, choice.stop_sequence) == (StopReason.STOP_SEQUENCE, "END")
    (choice,) = DIALECT.parse_response(answer({"content": "a"}, stop_reason=128001)).choices
    assert (choice.stop, choice.stop_sequence) == (StopReason.END, None)


def test_the_oldest_form_of_the_finish_is_read() -> None:
    (choice,) = DIALECT.parse_response(answer({"content": "a"}, None, finish_details={"type": "max_tokens"})).choices
    assert choice.stop is StopReason.MAX_TOKENS


def test_skimming_keeps_the_bytes() -> None:
    body = answer({"content": "hi"}, "length")
    reply = DIALECT.skim_response(body)
    assert reply.wire is body
    assert reply.response is None
    assert (reply.model, reply.stop) == ("m-1", StopReason.MAX_TOKENS)
    assert reply.usage == Usage(input_tokens=3, output_tokens=2)


def test_an_answer_without_usage_says_so() -> None:
    body = b'{"choices":[{"message":{"content":"a"},"finish_reason":"stop"}]}'
    assert DIALECT.skim_response(body).usage is None
    assert DIALECT.parse_response(body).usage is None


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", MalformedReply),
        (b"null", MalformedReply),
        (b"[]", MalformedReply),
        (b"{}", MalformedReply),
        (b"<html></html>", MalformedReply),
        (b'{"choices":[]}', MalformedReply),
        (b'{"choices":null}', MalformedReply),
        (b'{"choices":"a"}', MalformedReply),
        (b'{"choices":[null]}', MalformedReply),
        (b'{"choices":[{}]}', MalformedReply),
        (b'{"choices":[{"message":{"content":5},"finish_reason":"stop"}]}', MalformedReply),
        (b'{"choices":[{"message":{"content":"a"},"finish_reason":"stop"}]', MalformedReply),
        (b'{"choices":[{"message":{"content":"a\xff"},"finish_reason":"stop"}]}', MalformedReply),
        (b'{"x":' + b"[" * 100_000, MalformedReply),
        (b'{"error":{"message":"busy","code":503}}', Overloaded),
        (b'{"error":"busy"}', Overloaded),
        (b'{"error":{"message":"bad","type":"invalid_request_error"}}', Rejected),
        (b'{"object":"error","message":"the maximum context length is 5","code":400}', ContextTooLong),
        (b'{"choices":[{"message":{"content":"a"},"finish_reason":"error"}]}', Overloaded),
        (b'{"choices":[{"message":{"content":""},"error":{"code":429,"message":"busy"}}]}', Overloaded),
        (b'{"choices":[{"message":{"content":"a"},"finish_reason":"insufficient_system_resource"}]}', Overloaded),
    ],
)
def test_a_200_that_holds_no_answer_is_an_error(body: bytes, kind: type[ProviderError]) -> None:
    for read in (DIALECT.skim_response, DIALECT.parse_response):
        with pytest.raises(ProviderError) as caught:
            read(body)
        assert type(caught.value) is kind


@given(st.binary(max_size=60), st.integers(0, 300))
def test_any_bytes_are_an_answer_or_a_provider_error(garbage: bytes, cut: int) -> None:
    body = answer({"content": "hi", "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{}"}}]})
    for raw in (garbage, body[:cut] + garbage, body[:cut] + garbage + body[cut:]):
        for read in (DIALECT.skim_response, DIALECT.parse_response):
            with contextlib.suppress(ProviderError):
                assert read(raw) is not None


@pytest.mark.parametrize(
    ("beside", "titles"),
    [
        pytest.param({"citations": ["https://a.example/1"]}, [None], id="addresses (xAI)"),
        pytest.param(
            {"citations": ["https://a.example/1"], "search_results": [{"title": "A", "url": "https://a.example/1"}]},
            ["A"],
            id="with their titles (Perplexity)",
        ),
    ],
)
def test_sources_beside_the_answer_are_its_citations(beside: dict[str, Any], titles: list[str | None]) -> None:
    body = {**orjson.loads(answer({"content": "It is."})), **beside}
    (text,) = OpenAIChat().parse_response(orjson.dumps(body)).choices[0].parts
    assert isinstance(text, Text)
    assert [cited["url_citation"] for cited in text.citations] == [
        {"url": "https://a.example/1", "title": title} for title in titles
    ]


def test_numbers_where_log_probabilities_stand_are_passed_over() -> None:  # Together
    choice = OpenAIChat().parse_response(answer({"content": "a"}, logprobs=-0.25)).choices[0]
    assert (choice.text, choice.logprobs) == ("a", None)


def test_a_calls_id_may_be_a_number() -> None:  # older Text Generation Inference
    call = {"id": 0, "type": "function", "function": {"name": "f", "arguments": {"a": 1}}}
    (part,) = OpenAIChat().parse_response(answer({"tool_calls": [call]})).choices[0].parts
    assert part == ToolCall(id="0", name="f", arguments='{"a":1}')
