"""Messages for servers that take them otherwise."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyroute.dialects.openai_chat.fit_messages import MESSAGE_QUIRKS, bounded_id, fit_messages, short_id
from polyroute.types.quirks import QUIRKS


def said(role: str, content: Any = "x", **fields: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **fields}


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


CALL = {"id": "call_2qwy5kxj", "type": "function", "function": {"name": "f", "arguments": "{}"}}
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}
FILE = {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AA"}}


@pytest.mark.parametrize(
    ("quirk", "messages", "expected"),
    [
        ("no_developer", [said("developer")], [said("system")]),
        ("no_system", [said("system", "be"), said("user", "hi")], [said("user", "be\n\nhi")]),
        ("no_system", [said("system", "be"), said("assistant")], [said("user", "be"), said("assistant")]),
        (
            "no_system",
            [said("developer", "be"), said("user", [text("a"), PICTURE])],
            [said("user", [text("be"), text("a"), PICTURE])],
        ),
        ("alternating", [said("user", "a"), said("user", "b")], [said("user", "a\n\nb")]),
        (
            "alternating",
            [said("assistant", None, tool_calls=[CALL]), said("assistant", "b")],
            [said("assistant", None, tool_calls=[CALL]), said("assistant", "b")],
        ),
        ("text_content", [said("user", [text("a"), text("b")])], [said("user", "a\nb")]),
        ("text_content", [said("user", [text("a"), PICTURE])], [said("user", [text("a"), PICTURE])]),
        (
            "plain_messages",
            [said("assistant", refusal=None, annotations=[], prefix=True)],
            [said("assistant", prefix=True)],
        ),
        ("plain_messages", [said("assistant", None, refusal="no")], [said("assistant", "no")]),
        ("no_names", [said("user", name="ann"), said("tool", name="f")], [said("user"), said("tool", name="f")]),
        ("prefix_last", [said("user"), said("assistant", "so")], [said("user"), said("assistant", "so", prefix=True)]),
        ("prefix_last", [said("assistant"), said("user")], [said("assistant"), said("user")]),
        (
            "document_url",
            [said("user", [text("a"), FILE])],
            [
                said(
                    "user",
                    [
                        text("a"),
                        {
                            "type": "document_url",
                            "document_url": "data:application/pdf;base64,AA",
                            "document_name": "a.pdf",
                        },
                    ],
                )
            ],
        ),
    ],
)
def test_a_message_is_put_as_the_server_takes_it(quirk: str, messages: list[Any], expected: list[Any]) -> None:
    assert fit_messages(messages, frozenset({quirk}), set()) == expected


def test_what_is_left_out_is_named() -> None:
    dropped: set[str] = set()
    fit_messages(
        [said("assistant", reasoning_content="hm", annotations=[]), said("user", name="ann")],
        frozenset({"plain_messages", "no_names"}),
        dropped,
    )
    assert dropped == {"messages.reasoning_content", "messages.name"}


@given(st.text(max_size=60), st.text(max_size=60))
def test_ids_are_short_and_as_different_as_they_were(one: str, other: str) -> None:
    assert len(short_id(one)) == 9
    assert short_id(one).isascii()
    assert short_id(one).isalnum()
    assert (short_id(one) == short_id(other)) == (one == other)
    assert len(bounded_id(one)) <= 40
    assert (bounded_id(one) == bounded_id(other)) == (one == other)


def test_a_call_and_its_result_keep_one_id() -> None:
    messages = [said("assistant", None, tool_calls=[CALL]), said("tool", tool_call_id="call_2qwy5kxj")]
    call, result = fit_messages(messages, frozenset({"tool_ids_9"}), set())
    assert call["tool_calls"][0]["id"] == result["tool_call_id"] == short_id("call_2qwy5kxj")
    assert fit_messages(messages, frozenset({"tool_ids_40"}), set()) == messages
    assert short_id("Caf7Pyrd8") == "Caf7Pyrd8"  # Mistral's own


def test_every_quirk_of_messages_is_a_known_word() -> None:
    assert QUIRKS.keys() >= MESSAGE_QUIRKS
