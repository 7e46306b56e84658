from typing import Any

import pytest

from polyroute.dialects.openai_chat.write_messages import obstacles_in, write_messages
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
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)

PNG = Image(media=Inline(media_type="image/png", data="QUJD"))
SHOWN = {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}}


def say(role: Role, *parts: Part, name: str | None = None) -> Message:
    return Message(role=role, parts=parts, name=name)


def written(*messages: Message) -> list[dict[str, Any]]:
    return write_messages(messages, set())


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (say("user", Text(text="hi"), name="ann"), {"role": "user", "content": "hi", "name": "ann"}),
        (say("developer", Text(text="be")), {"role": "system", "content": "be"}),
        (say("user"), {"role": "user", "content": ""}),
        (
            say("user", Text(text="what?"), PNG),
            {"role": "user", "content": [{"type": "text", "text": "what?"}, SHOWN]},
        ),
        (
            say("user", Image(media=Link(url="https://example.com/a"), detail="high")),
            {
                "role": "user",
                "content": [{"type": "image_url", "image_url": {"url": "https://example.com/a", "detail": "high"}}],
            },
        ),
        (
            say("user", Audio(data="AA", format="wav")),
            {"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}}]},
        ),
        (
            say("user", Document(media=Inline(media_type="application/pdf", data="QUJD"), title="a.pdf", context="c")),
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "c"},
                    {
                        "type": "file",
                        "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,QUJD"},
                    },
                ],
            },
        ),
        (
            say("user", Document(media=Inline(media_type="text/plain", data="w6k="), title="note")),
            {"role": "user", "content": [{"type": "text", "text": "note\n\né"}]},
        ),
        (
            say("user", Document(media=FileRef(file_id="f1"))),
            {"role": "user", "content": [{"type": "file", "file": {"file_id": "f1"}}]},
        ),
        (say("assistant"), {"role": "assistant", "content": ""}),
        (say("assistant", Text(text="a"), Text(text="b")), {"role": "assistant", "content": "ab"}),
        (say("assistant", Refusal(text="no")), {"role": "assistant", "content": None, "refusal": "no"}),
        (say("assistant", Thinking(text="hm", signature="s"), Text(text="a")), {"role": "assistant", "content": "a"}),
        (
            say("assistant", Text(text="a"), ToolCall(id="1", name="f", arguments='{"x":1}')),
            {
                "role": "assistant",
                "content": "a",
                "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}}],
            },
        ),
        (
            say("assistant", ToolCall(id="1", name="f", arguments="")),
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
            },
        ),
        (
            say("tool", ToolResult(call_id="1", parts=(Text(text="a"), Text(text="b")))),
            {"role": "tool", "tool_call_id": "1", "content": "a\nb"},
        ),
        (say("tool", ToolResult(call_id="1", parts=())), {"role": "tool", "tool_call_id": "1", "content": ""}),
    ],
)
def test_a_message_is_written_in_openais_form(message: Message, expected: dict[str, Any]) -> None:
    assert written(message) == [expected]


def test_results_come_before_the_user_goes_on() -> None:
    turn = say("user", ToolResult(call_id="1", parts=(Text(text="42"),)), Text(text="thanks"))
    assert written(turn) == [
        {"role": "tool", "tool_call_id": "1", "content": "42"},
        {"role": "user", "content": "thanks"},
    ]


@pytest.mark.parametrize("role", ["user", "tool"])
def test_pictures_of_results_follow_the_last_of_them(role: Role) -> None:
    first, second = ToolResult(call_id="1", parts=(PNG,)), ToolResult(call_id="2", parts=(Text(text="42"),))
    messages = [say("user", first, second)] if role == "user" else [say("tool", first), say("tool", second)]
    assert written(*messages, say("assistant", Text(text="ok"))) == [
        {"role": "tool", "tool_call_id": "1", "content": "See the attachments that follow."},
        {"role": "tool", "tool_call_id": "2", "content": "42"},
        {"role": "user", "content": [{"type": "text", "text": "Shown by tool call 1:"}, SHOWN]},
        {"role": "assistant", "content": "ok"},
    ]


def test_hints_without_a_form_are_named() -> None:
    dropped: set[str] = set()
    mark = CacheMark(ttl="1h")
    write_messages(
        [
            say("user", Text(text="a", cache=mark)),
            say("assistant", Thinking(text="hm"), ToolCall(id="1", name="f", arguments="{}")),
            say("user", ToolResult(call_id="1", parts=(Text(text="x"),), is_error=True)),
            say("user", Document(media=Inline(media_type="text/plain", data=""), wants_citations=True)),
        ],
        dropped,
    )
    assert dropped == {"cache", "thinking", "tool_result.is_error", "citations"}


@pytest.mark.parametrize(
    "part",
    [
        Opaque(dialect="anthropic_messages", kind="server_tool_use", raw={}),
        Image(media=FileRef(file_id="f")),
        Document(media=FileRef(file_id="f")),
        Document(media=Link(url="https://example.com/a.pdf")),
        ToolResult(call_id="1", parts=(Opaque(dialect="anthropic_messages", kind="search_result", raw={}),)),
    ],
)
def test_what_has_no_form_is_an_obstacle(part: Part) -> None:
    assert len(obstacles_in([part])) == 1


def test_our_own_parts_are_none() -> None:
    assert obstacles_in([PNG, Text(text="a"), Opaque(dialect="openai_chat", kind="video_url", raw={})]) == []
