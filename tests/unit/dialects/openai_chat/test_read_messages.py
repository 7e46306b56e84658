from typing import Any

import pytest

from polyroute.dialects.openai_chat.read_messages import read_messages
from polyroute.errors import InvalidRequest
from polyroute.types.content import (
    Audio,
    CacheMark,
    Document,
    FileRef,
    Image,
    Inline,
    Link,
    Message,
    Opaque,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)

PNG = "data:image/png;base64,iVBORw0KGgo="
PDF = "data:application/pdf;base64,JVBERi0="


def call(name: str = "f", arguments: str | None = "{}", **more: Any) -> dict[str, Any]:
    return {"id": "call_1", "type": "function", "function": {"name": name, "arguments": arguments}, **more}


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"role": "user", "content": "hi"}, Message(role="user", parts=(Text(text="hi"),))),
        ({"role": "system", "content": "be"}, Message(role="system", parts=(Text(text="be"),))),
        ({"role": "developer", "content": "be"}, Message(role="developer", parts=(Text(text="be"),))),
        (
            {"role": "user", "content": "hi", "name": "ann"},
            Message(role="user", parts=(Text(text="hi"),), name="ann"),
        ),
        ({"role": "assistant", "content": "yes"}, Message(role="assistant", parts=(Text(text="yes"),))),
        (
            {"role": "assistant", "content": None, "tool_calls": [call()]},
            Message(role="assistant", parts=(ToolCall(id="call_1", name="f", arguments="{}"),)),
        ),
        (
            {"role": "assistant", "content": "", "tool_calls": [call(arguments=None)]},
            Message(role="assistant", parts=(ToolCall(id="call_1", name="f", arguments=""),)),
        ),
        (
            {"role": "assistant", "content": None, "refusal": "no"},
            Message(role="assistant", parts=(Refusal(text="no"),)),
        ),
        (
            {"role": "assistant", "content": "4", "reasoning_content": "2+2"},
            Message(role="assistant", parts=(Thinking(text="2+2"), Text(text="4"))),
        ),
        (
            {"role": "assistant", "content": "4", "reasoning": "2+2"},
            Message(role="assistant", parts=(Thinking(text="2+2"), Text(text="4"))),
        ),
        (
            {
                "role": "assistant",
                "content": "4",
                "reasoning": "2+2",
                "reasoning_details": [
                    {"type": "reasoning.text", "text": "2+2", "signature": "s"},
                    {"type": "reasoning.encrypted", "data": "e"},
                    {"type": "reasoning.summary", "summary": "sum"},
                ],
            },
            Message(
                role="assistant",
                parts=(
                    Thinking(text="2+2", signature="s"),
                    Thinking(text="", redacted="e"),
                    Thinking(text="sum"),
                    Text(text="4"),
                ),
            ),
        ),
        (
            {"role": "assistant", "content": None, "audio": {"id": "audio_1"}},
            Message(role="assistant", parts=(Opaque(dialect="openai_chat", kind="audio", raw={"id": "audio_1"}),)),
        ),
        (
            {"role": "tool", "tool_call_id": "call_1", "content": "42"},
            Message(role="tool", parts=(ToolResult(call_id="call_1", parts=(Text(text="42"),)),)),
        ),
        (
            {"role": "tool", "tool_call_id": "c", "content": "42", "cache_control": {"type": "ephemeral"}},
            Message(role="tool", parts=(ToolResult(call_id="c", parts=(Text(text="42"),), cache=CacheMark()),)),
        ),
    ],
)
def test_a_message_becomes_canonical(message: dict[str, Any], expected: Message) -> None:
    assert read_messages([message], "messages") == (expected,)


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({"type": "text", "text": "a"}, Text(text="a")),
        (
            {"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
            Text(text="a", cache=CacheMark(ttl="1h")),
        ),
        (
            {"type": "text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit"}},
            Text(text="a", cache=CacheMark()),
        ),
        (
            {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}},
            Image(media=Inline(media_type="image/png", data="iVBORw0KGgo="), detail="low"),
        ),
        (
            {"type": "image_url", "image_url": "https://example.com/a.png"},
            Image(media=Link(url="https://example.com/a.png")),
        ),
        ({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}, Audio(data="AAAA", format="wav")),
        (
            {"type": "file", "file": {"filename": "a.pdf", "file_data": PDF}},
            Document(media=Inline(media_type="application/pdf", data="JVBERi0="), title="a.pdf"),
        ),
        (
            {"type": "file", "file": {"file_data": "JVBERi0="}},
            Document(media=Inline(media_type="application/pdf", data="JVBERi0=")),
        ),
        (
            {"type": "file", "file": {"file_data": "https://example.com/a.pdf"}},
            Document(media=Link(url="https://example.com/a.pdf")),
        ),
        ({"type": "file", "file": {"file_id": "file-1"}}, Document(media=FileRef(file_id="file-1"))),
        (
            {"type": "document_url", "document_url": "https://example.com/a.pdf"},
            Document(media=Link(url="https://example.com/a.pdf")),
        ),
        ({"type": "refusal", "refusal": "no"}, Refusal(text="no")),
        ({"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, Thinking(text="hm")),
        (
            {"type": "video_url", "video_url": {"url": "https://example.com/a.mp4"}},
            Opaque(
                dialect="openai_chat",
                kind="video_url",
                raw={"type": "video_url", "video_url": {"url": "https://example.com/a.mp4"}},
            ),
        ),
    ],
)
def test_a_content_part_becomes_canonical(part: dict[str, Any], expected: Part) -> None:
    (message,) = read_messages([{"role": "user", "content": [part]}], "messages")
    assert message.parts == (expected,)


def test_functions_of_2023_are_paired_by_position() -> None:
    messages = read_messages(
        [
            {"role": "user", "content": "weather?"},
            {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": '{"a":1}'}},
            {"role": "function", "name": "f", "content": "sunny"},
            {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": None},
        ],
        "messages",
    )
    assert [message.parts[0] for message in messages[1:]] == [
        ToolCall(id="call_1", name="f", arguments='{"a":1}'),
        ToolResult(call_id="call_1", parts=(Text(text="sunny"),)),
        ToolCall(id="call_3", name="f", arguments="{}"),
        ToolResult(call_id="call_3", parts=()),
    ]


def test_a_custom_tools_call_brings_text() -> None:
    raw: dict[str, object] = {"id": "c", "type": "custom", "custom": {"name": "exp", "input": "1 + 1"}}
    (message,) = read_messages([{"role": "assistant", "tool_calls": [raw]}], "messages")
    assert message.parts == (ToolCall(id="c", name="exp", arguments="1 + 1", is_free=True),)


def test_a_call_of_a_kind_we_do_not_know_stays_what_it_is() -> None:
    raw: dict[str, object] = {"id": "c", "type": "of_tomorrow", "of_tomorrow": {}}
    (message,) = read_messages([{"role": "assistant", "tool_calls": [raw]}], "messages")
    assert message.parts == (Opaque(dialect="openai_chat", kind="of_tomorrow_tool_call", raw=raw),)


@pytest.mark.parametrize(
    ("messages", "field"),
    [
        ("hi", "messages"),
        ([], "messages"),
        (["hi"], "messages[0]"),
        ([{"content": "hi"}], "messages[0].role"),
        ([{"role": "robot", "content": "hi"}], "messages[0].role"),
        ([{"role": ["user"], "content": "hi"}], "messages[0].role"),
        ([{"role": "user"}], "messages[0].content"),
        ([{"role": "user", "content": None}], "messages[0].content"),
        ([{"role": "user", "content": 5}], "messages[0].content"),
        ([{"role": "user", "content": {}}], "messages[0].content"),
        ([{"role": "user", "content": ["hi"]}], "messages[0].content[0]"),
        ([{"role": "user", "content": [{}]}], "messages[0].content[0].type"),
        ([{"role": "user", "content": [{"type": 1}]}], "messages[0].content[0].type"),
        ([{"role": "user", "content": [{"type": "text"}]}], "messages[0].content[0].text"),
        ([{"role": "user", "content": "hi", "name": 1}], "messages[0].name"),
        ([{"role": "user", "content": "hi"}, {"role": "assistant"}], "messages[1].content"),
        ([{"role": "assistant", "content": 0}], "messages[0].content"),
        ([{"role": "assistant", "content": "a", "refusal": 1}], "messages[0].refusal"),
        ([{"role": "assistant", "tool_calls": {}}], "messages[0].tool_calls"),
        ([{"role": "assistant", "tool_calls": [1]}], "messages[0].tool_calls[0]"),
        ([{"role": "assistant", "tool_calls": [{"function": {}}]}], "messages[0].tool_calls[0].id"),
        ([{"role": "assistant", "tool_calls": [{"id": "a"}]}], "messages[0].tool_calls[0].function"),
        ([{"role": "assistant", "tool_calls": [call(name="")]}], "messages[0].tool_calls[0].function.name"),
        ([{"role": "assistant", "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": {}}}]}],
         "messages[0].tool_calls[0].function.arguments"),
        ([{"role": "tool", "content": "42"}], "messages[0].tool_call_id"),
        ([{"role": "tool", "tool_call_id": 1, "content": "42"}], "messages[0].tool_call_id"),
        ([{"role": "tool", "tool_call_id": "a"}], "messages[0].content"),
        ([{"role": "tool", "tool_call_id": "a", "content": [{"type": "refusal", "refusal": "x"}]}],
         "messages[0].content[0]"),
    ],
)  # fmt: skip
def test_a_wrong_message_is_refused_by_its_place(messages: object, field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_messages(messages, "messages")
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("part", "field"),
    [
        ({"type": "image_url"}, "image_url"),
        ({"type": "image_url", "image_url": 1}, "image_url"),
        ({"type": "image_url", "image_url": {}}, "image_url.url"),
        ({"type": "image_url", "image_url": {"url": 1}}, "image_url.url"),
        ({"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}, "image_url.url"),
        ({"type": "image_url", "image_url": {"url": "ftp://example.com/a"}}, "image_url.url"),
        ({"type": "image_url", "image_url": {"url": "http://169.254.169.254/latest"}}, "image_url.url"),
        ({"type": "image_url", "image_url": {"url": "data:text/plain;base64,QQ=="}}, "image_url.url"),
        ({"type": "image_url", "image_url": {"url": "data:image/png;base64,"}}, "image_url.url"),
        ({"type": "image_url", "image_url": {"url": "data:image/png,abc"}}, "image_url.url"),
        ({"type": "image_url", "image_url": {"url": PNG, "detail": "huge"}}, "image_url.detail"),
        ({"type": "input_audio"}, "input_audio"),
        ({"type": "input_audio", "input_audio": {"data": "A"}}, "input_audio.format"),
        ({"type": "input_audio", "input_audio": {"data": 1, "format": "wav"}}, "input_audio.data"),
        ({"type": "file"}, "file"),
        ({"type": "file", "file": {}}, "file.file_data"),
        ({"type": "file", "file": {"file_data": "file:///etc/passwd"}}, "file.file_data"),
        ({"type": "file", "file": {"file_id": 1}}, "file.file_id"),
        ({"type": "document_url"}, "document_url"),
        ({"type": "refusal"}, "refusal"),
        ({"type": "thinking"}, "thinking"),
        ({"type": "text", "text": "a", "cache_control": "yes"}, "cache_control"),
        ({"type": "video_url", "video_url": {"url": "file:///etc/passwd"}}, "video_url.url"),
        ({"type": "video_url", "video_url": "http://127.0.0.1/"}, "video_url"),
        ({"type": "new_thing", "source_url": "gopher://example.com"}, "source_url"),
    ],
)
def test_a_wrong_part_is_refused_by_its_place(part: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_messages([{"role": "user", "content": [part]}], "messages")
    assert caught.value.field == f"messages[0].content[0].{field}"


@pytest.mark.parametrize(
    ("data", "part"),
    [
        pytest.param("UklGRgA=", Audio(data="UklGRgA=", format="wav"), id="a format is told by its first bytes"),
        pytest.param(
            "https://a.example/a.mp3",
            Opaque(
                dialect="openai_chat",
                kind="input_audio",
                raw={"type": "input_audio", "input_audio": "https://a.example/a.mp3"},
            ),
            id="an address is Mistral's alone",
        ),
    ],
)
def test_audio_may_be_bare(data: str, part: Part) -> None:  # Mistral
    said = {"role": "user", "content": [{"type": "input_audio", "input_audio": data}]}
    assert read_messages([said], "messages")[0].parts == (part,)


def test_bare_audio_at_a_private_address_is_refused() -> None:
    said = {"role": "user", "content": [{"type": "input_audio", "input_audio": "http://127.0.0.1/a.mp3"}]}
    with pytest.raises(InvalidRequest, match="public internet"):
        read_messages([said], "messages")
