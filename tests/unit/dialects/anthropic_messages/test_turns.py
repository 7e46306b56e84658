from typing import Any

import pytest

from polyroute.dialects.anthropic_messages.turns import Conversation, write_turns
from polyroute.types.content import Message, Role, Text, Thinking, ToolCall
from polyroute.types.request import Request, Wire


def says(role: Role, *texts: str) -> Message:
    return Message(role=role, parts=tuple(Text(text=text) for text in texts))


def written(*messages: Message, mid: bool = False, foreign: bool = True) -> tuple[Conversation, list[str]]:
    dropped: list[str] = []
    wire = Wire(dialect="openai_chat", body={}) if foreign else None
    request = Request(model="m", messages=messages, wire=wire)
    return write_turns(request, dropped, has_mid_system=mid), dropped


def outline(conversation: Conversation) -> list[Any]:
    system = [block["text"] for block in conversation.system]
    turns: Any = conversation.turns
    return [system, *((turn["role"], [block.get("text") for block in turn["content"]]) for turn in turns)]


@pytest.mark.parametrize(
    ("messages", "expected", "dropped"),
    [
        ([says("system", "s"), says("user", "u")], [["s"], ("user", ["u"])], []),
        ([says("system", "s"), says("developer", "d"), says("user", "u")], [["s", "d"], ("user", ["u"])], []),
        ([says("user", "a"), says("user", "b")], [[], ("user", ["a", "b"])], []),
        (
            [says("user", "a"), says("assistant", "b"), says("assistant", "c"), says("user", "d")],
            [[], ("user", ["a"]), ("assistant", ["b", "c"]), ("user", ["d"])],
            [],
        ),
        (
            [says("user", "a"), says("system", "s"), says("user", "b")],
            [["s"], ("user", ["a", "b"])],
            ["position of later system messages"],
        ),
        ([says("system", "s")], [[], ("user", ["s"])], ["role of the only system message"]),
        ([says("user", "a", "", " \n"), says("assistant", ""), says("user", "b")], [[], ("user", ["a", "b"])], []),
        ([says("user", "a"), says("assistant", "so: ")], [[], ("user", ["a"]), ("assistant", ["so:"])], []),
        ([says("assistant", "hello"), says("user", "a")], [[], ("assistant", ["hello"]), ("user", ["a"])], []),
    ],
)
def test_write_turns(messages: list[Message], expected: list[Any], dropped: list[str]) -> None:
    conversation, left_out = written(*messages)
    assert outline(conversation) == expected
    assert left_out == dropped


def test_a_model_that_takes_later_instructions_in_place_gets_them_there() -> None:
    conversation, dropped = written(says("user", "a"), says("system", "s"), says("user", "b"), mid=True)
    assert outline(conversation) == [[], ("user", ["a"]), ("system", ["s"]), ("user", ["b"])]
    assert dropped == []


def test_thinking_of_another_dialect_is_left_out_and_named() -> None:
    thought = Message(role="assistant", parts=(Thinking(text="hm", signature="s"), Text(text="a")))
    conversation, dropped = written(says("user", "q"), thought, says("user", "r"))
    assert outline(conversation)[2] == ("assistant", ["a"])
    assert dropped == ["thinking"]


def test_signed_thinking_of_its_own_is_kept() -> None:
    thought = Message(role="assistant", parts=(Thinking(text="hm", signature="s"), Text(text="a")))
    conversation, dropped = written(says("user", "q"), thought, says("user", "r"), foreign=False)
    assert conversation.turns[1]["content"] == [
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "text", "text": "a"},
    ]
    assert dropped == []


def test_names_citations_and_broken_arguments_are_named() -> None:
    _, dropped = written(
        Message(role="user", name="ann", parts=(Text(text="q"),)),
        Message(
            role="assistant",
            parts=(
                Text(text="a", citations=({"type": "url_citation"},)),
                ToolCall(id="i", name="f", arguments='{"cut'),
            ),
        ),
    )
    assert dropped == ["name", "citations", "tool call arguments that are no JSON object, kept as text"]
