from typing import Any

import orjson
import pytest

from polyroute.dialects.openai_chat import OpenAIChat
from polyroute.ports import StreamWriter
from polyroute.types.content import Image, Inline, Opaque, Refusal, Text, Thinking, ToolCall
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
    WireBytes,
)

DIALECT = OpenAIChat()
DONE = b"data: [DONE]\n\n"
REPORT = {"cost_usd": "0.01"}
COUNTED = Usage(input_tokens=3, output_tokens=2)
USAGE_EVENT = b'data: {"id":"c","choices":[],"usage":{"prompt_tokens":3}}\n\n'


def writer(*, usage: bool = False, **fields: Any) -> StreamWriter:
    body: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True, **fields}
    if usage:
        body["stream_options"] = {"include_usage": True}
    opened = DIALECT.open_writer(DIALECT.parse_request(body, {}))
    opened.write(Started(id="r1", model="m-1", created_s=7))
    return opened


def bodies(raw: bytes) -> list[dict[str, Any]]:
    events = [item.removeprefix(b"data: ") for item in raw.split(b"\n\n") if item]
    return [orjson.loads(item) for item in events if item != b"[DONE]"]


def deltas(*chunks: Chunk, **fields: Any) -> list[dict[str, Any]]:
    opened = writer(**fields)
    return [body["choices"][0]["delta"] for chunk in chunks for body in bodies(opened.write(chunk))]


def test_an_event_has_openais_form() -> None:
    (body,) = bodies(writer(usage=True).write(TextDelta(text="a")))
    assert body == {
        "id": "r1",
        "object": "chat.completion.chunk",
        "created": 7,
        "model": "m-1",
        "choices": [
            {"index": 0, "delta": {"role": "assistant", "content": "a"}, "logprobs": None, "finish_reason": None}
        ],
        "usage": None,
    }
    assert "usage" not in bodies(writer().write(TextDelta(text="a")))[0]


@pytest.mark.parametrize(
    ("chunk", "delta"),
    [
        (TextDelta(text="a"), {"content": "a"}),
        (RefusalDelta(text="no"), {"refusal": "no"}),
        (ThinkingDelta(text="hm"), {"reasoning_content": "hm"}),
        (
            ThinkingDelta(signature="s", part=2),
            {"reasoning_details": [{"type": "reasoning.text", "text": "", "signature": "s", "index": 2}]},
        ),
        (
            ThinkingDelta(redacted="e"),
            {"reasoning_details": [{"type": "reasoning.encrypted", "data": "e", "index": 0}]},
        ),
        (
            ToolCallStarted(id="1", name="f", part=3),
            {"tool_calls": [{"index": 0, "id": "1", "type": "function", "function": {"name": "f", "arguments": ""}}]},
        ),
        (PartAdded(content=Text(text="b"), part=1), {"content": "b"}),
        (PartAdded(content=Thinking(text="hm"), part=1), {"reasoning_content": "hm"}),
        (PartAdded(content=Refusal(text="no"), part=1), {"refusal": "no"}),
        (
            PartAdded(content=ToolCall(id="1", name="f", arguments="{}"), part=1),
            {"tool_calls": [{"index": 0, "id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        ),
        (
            PartAdded(content=Image(media=Inline(media_type="image/png", data="QUJD")), part=1),
            {"images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}}]},
        ),
        (
            PartAdded(content=Opaque(dialect="openai_chat", kind="audio", raw={"id": "a"}), part=1),
            {"audio": {"id": "a"}},
        ),
    ],
)
def test_a_chunk_becomes_a_delta(chunk: Chunk, delta: dict[str, Any]) -> None:
    assert deltas(TextDelta(text="x"), chunk)[1:] == [delta]


def test_parallel_calls_are_numbered_from_zero() -> None:
    said = deltas(
        TextDelta(text="x"),
        ToolCallStarted(id="1", name="f", part=4),
        ToolCallStarted(id="2", name="g", part=7),
        ToolCallDelta(arguments='{"a"', part=7),
        ToolCallDelta(arguments="{}", part=4),
    )[1:]
    assert [delta["tool_calls"][0]["index"] for delta in said] == [0, 1, 1, 0]
    assert said[2] == {"tool_calls": [{"index": 1, "function": {"arguments": '{"a"'}}]}


def test_citations_say_which_text_they_support() -> None:
    cited = PartAdded(content=Text(text="", citations=({"url": "https://a.example"},)), part=0)
    (delta,) = deltas(TextDelta(text="abc"), cited)[1:]
    assert delta["annotations"][0]["url_citation"]["end_index"] == 3


def test_log_probabilities_are_written() -> None:
    (body,) = bodies(writer().write(TextDelta(text="a", logprobs=(TokenLogprob(token="a", logprob=-0.5),))))
    entry = {"token": "a", "logprob": -0.5, "bytes": None, "top_logprobs": []}
    assert body["choices"][0]["logprobs"] == {"content": [entry], "refusal": None}


def test_the_finish_leaves_with_the_end() -> None:
    opened = writer(usage=True)
    opened.write(TextDelta(text="a"))
    assert opened.write(ChoiceEnded(stop=StopReason.MAX_TOKENS)) == b""
    raw = opened.end(Ended(usage=COUNTED, model="m-1"), REPORT)
    finish, usage = bodies(raw)
    assert finish["choices"][0]["finish_reason"] == "length"
    assert finish["choices"][0]["delta"] == {}
    assert (usage["choices"], usage["polyroute"], usage["usage"]["total_tokens"]) == ([], REPORT, 5)
    assert raw.endswith(DONE)


def test_usage_is_for_those_who_asked() -> None:
    opened = writer()
    opened.write(TextDelta(text="a"))
    opened.write(ChoiceEnded(stop=StopReason.END))
    raw = opened.end(Ended(usage=COUNTED), REPORT)
    assert b"usage" not in raw
    assert b"polyroute" not in raw
    assert raw.endswith(DONE)


def test_a_call_without_arguments_has_an_empty_object() -> None:
    opened = writer()
    opened.write(ToolCallStarted(id="1", name="f", part=0))
    opened.write(ToolCallDelta(arguments="", part=0))
    opened.write(ChoiceEnded(stop=StopReason.TOOL_CALLS))
    first, _ = bodies(opened.end(Ended(usage=None), {}))
    assert first["choices"][0]["delta"] == {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}


def test_callers_of_2023_get_function_call() -> None:
    opened = writer(functions=[{"name": "f"}])
    raw = opened.write(ToolCallStarted(id="1", name="f", part=0)) + opened.write(ToolCallDelta(arguments="{}", part=0))
    assert [body["choices"][0]["delta"].get("function_call") for body in bodies(raw)] == [
        {"name": "f", "arguments": ""},
        {"arguments": "{}"},
    ]
    opened.write(ChoiceEnded(stop=StopReason.TOOL_CALLS))
    (last,) = bodies(opened.end(Ended(usage=None), {}))
    assert last["choices"][0]["finish_reason"] == "function_call"


def test_an_error_is_an_event_and_no_end() -> None:
    raw = writer().error("api_error", "It broke.", "stream_interrupted")
    error = {"message": "It broke.", "type": "api_error", "param": None, "code": "stream_interrupted"}
    assert bodies(raw) == [{"error": error}]
    assert DONE not in raw


# ── the wire's own bytes ──────────────────────────────────────────────────────────────────────────────────


def wired(tail: bytes, *, usage: bool, counted: Usage | None = COUNTED) -> bytes:
    return writer(usage=usage).end(Ended(usage=counted, model="m-1", wire=tail), REPORT)


STOP = b'data: {"id":"c","model":"m-1","choices":[{"delta":{},"finish_reason":"stop"}],"usage":null}\n\n'


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b'data: {"choices":[{}]}\n\n', b'data: {"choices":[{}]}\n\n'),
        (b'data: {"choices":[{}],"usage":null}\n\n', b'data: {"choices":[{}]}\n\n'),
        (b'data: {"choices": [{}], "usage": null}\n\n', b'data: {"choices":[{}]}\n\n'),
        (b'data: {"choices":[{}],"usage":{"prompt_tokens":3}}\n\n', b'data: {"choices":[{}]}\n\n'),
        (b'data: {"choices":[],"x":1,"usage": null}\n\n', b'data: {"choices":[],"x":1}\n\n'),
        (b'data: {"choices":[{"t":"\\"usage\\":null"}]}\n\n', b'data: {"choices":[{"t":"\\"usage\\":null"}]}\n\n'),
        (b": usage\n\n", b": usage\n\n"),
        (b'data: broken "usage"\n\n', b'data: broken "usage"\n\n'),
    ],
)
def test_bytes_pass_without_usage_for_those_who_did_not_ask(data: bytes, expected: bytes) -> None:
    assert writer().write(WireBytes(data=data)) == expected
    assert writer(usage=True).write(WireBytes(data=data)) == data


def test_the_report_is_spliced_into_the_providers_usage_event() -> None:
    raw = wired(STOP + USAGE_EVENT + DONE, usage=True)
    assert raw == STOP + USAGE_EVENT[:-3] + b',"polyroute":{"cost_usd":"0.01"}}\n\n' + DONE


def test_a_provider_without_usage_gets_an_event_for_it() -> None:
    raw = wired(STOP + DONE, usage=True)
    assert raw.startswith(STOP)
    assert raw.endswith(DONE)
    added = bodies(raw)[1]
    assert (added["id"], added["model"], added["choices"]) == ("c", "m-1", [])
    assert (added["usage"]["total_tokens"], added["polyroute"]) == (5, REPORT)
    assert bodies(wired(STOP + DONE, usage=True, counted=None))[1]["usage"] is None


def test_the_usage_event_is_taken_out_for_those_who_did_not_ask() -> None:
    assert wired(STOP + USAGE_EVENT + DONE, usage=False) == STOP.replace(b',"usage":null', b"") + DONE


@pytest.mark.parametrize("usage", [True, False])
@pytest.mark.parametrize("tail", [STOP, STOP + b"data: [DONE]", STOP + b"data: [DONE]\n", STOP + DONE])
def test_every_stream_ends_with_its_mark(tail: bytes, usage: bool) -> None:
    raw = wired(tail, usage=usage)
    assert raw.count(b"[DONE]") == 1
    assert raw.rstrip(b"\n").endswith(b"\n\ndata: [DONE]")
    assert raw.endswith(b"\n\n")
