"""A conversation in Bedrock's order."""

from msgspec.structs import replace

from polyroute.dialects.bedrock_converse.turns import Conversation, write_turns
from polyroute.types.content import (
    CacheMark,
    Document,
    Inline,
    Message,
    Part,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from polyroute.types.request import Request, Wire


def say(role: Role, *parts: Part) -> Message:
    return Message(role=role, parts=parts)


def text(words: str) -> Text:
    return Text(text=words)


def turns(
    *messages: Message, mid_system: bool = False, caches: bool = True, foreign: bool = False
) -> tuple[Conversation, list[str]]:
    dropped: list[str] = []
    request = Request(model="m", messages=messages)
    if foreign:
        request = replace(request, wire=Wire(dialect="openai_chat", body={}))
    return write_turns(request, dropped, has_mid_system=mid_system, caches=caches), dropped


def test_instructions_stand_apart_and_neighbours_of_one_role_are_joined() -> None:
    written, dropped = turns(say("system", text("s")), say("user", text("a")), say("user", text("b")))
    assert written.system == [{"text": "s"}]
    assert written.turns == [{"role": "user", "content": [{"text": "a"}, {"text": "b"}]}]
    assert dropped == []


def test_later_instructions_move_to_the_front_or_stay_where_the_model_takes_them() -> None:
    messages = (say("user", text("a")), say("assistant", text("b")), say("system", text("s")), say("user", text("c")))
    moved, dropped = turns(*messages)
    assert (moved.system, len(moved.turns), dropped) == ([{"text": "s"}], 3, ["position of later system messages"])
    kept, dropped = turns(*messages, mid_system=True)
    assert ([turn["role"] for turn in kept.turns], dropped) == (["user", "assistant", "system", "user"], [])


def test_results_come_first_with_the_cache_points_after_them() -> None:
    result = ToolResult(call_id="t", parts=(text("x"),), cache=CacheMark())
    written, _ = turns(
        say("assistant", ToolCall(id="t", name="f", arguments="")), say("user", text("a")), say("tool", result)
    )
    content = written.turns[1]["content"]
    assert isinstance(content, list)
    assert [next(iter(block)) for block in content] == ["toolResult", "cachePoint", "text"]
    assert written.calls_tools


def test_marks_are_points_or_named_as_left_out() -> None:
    marked = say("user", Text(text="a", cache=CacheMark(ttl="5m")))
    written, dropped = turns(marked)
    point = {"cachePoint": {"type": "default", "ttl": "5m"}}
    assert (written.turns[0]["content"], dropped) == ([{"text": "a"}, point], [])
    written, dropped = turns(marked, caches=False)
    assert (written.turns[0]["content"], dropped) == ([{"text": "a"}], ["cache"])


def test_thinking_goes_back_to_its_own_provider_only() -> None:
    thought = Thinking(text="hm", signature="s")
    own, _ = turns(say("user", text("q")), say("assistant", thought, text("a")), say("user", text("r")))
    assert own.turns[1]["content"] == [
        {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "s"}}},
        {"text": "a"},
    ]
    foreign, dropped = turns(say("user", text("q")), say("assistant", thought, text("a")), foreign=True)
    assert (foreign.turns[1]["content"], dropped) == ([{"text": "a"}], ["thinking"])


def test_documents_have_different_names_in_letters_that_bedrock_takes() -> None:
    media = Inline(media_type="application/pdf", data="aGk=")
    documents = [Document(media=media, title="a_b.pdf"), Document(media=media, title="a b pdf"), Document(media=media)]
    written, _ = turns(say("user", *documents))
    content = written.turns[0]["content"]
    assert isinstance(content, list)
    assert [block["document"]["name"] for block in content] == ["a b pdf", "a b pdf 2", "document"]


def test_instructions_alone_are_the_question() -> None:
    written, dropped = turns(say("system", text("answer me")))
    assert written.turns == [{"role": "user", "content": [{"text": "answer me"}]}]
    assert dropped == ["role of the only system message"]


def test_blank_texts_are_left_out_and_a_prefill_ends_in_no_space() -> None:
    written, _ = turns(say("user", text("q"), text("  ")), say("assistant", text("So ")))
    assert written.turns == [
        {"role": "user", "content": [{"text": "q"}]},
        {"role": "assistant", "content": [{"text": "So"}]},
    ]
