"""What other doors may ask and Converse cannot say."""

import pytest

from polyroute.dialects.bedrock_converse.obstacles import obstacles
from polyroute.types.content import (
    Audio,
    Document,
    FileRef,
    Image,
    Inline,
    Link,
    Message,
    Opaque,
    Part,
    Text,
    ToolCall,
    ToolResult,
)
from polyroute.types.request import ProviderTool, Request, Tool, ToolChoice, Wire

HI = Text(text="hi")


def asked(*parts: Part, **fields: object) -> Request:
    return Request(model="m", messages=(Message(role="user", parts=parts or (HI,)),), **fields)  # type: ignore[arg-type]  # fields by name, for the table


@pytest.mark.parametrize(
    ("request_", "word"),
    [
        (asked(n=2), "n=2"),
        (asked(logprobs=True), "logprobs"),
        (asked(output_modalities=("audio",)), "modalities"),
        (asked(stop=("",)), "stop"),
        (asked(tools=(ProviderTool(dialect="openai_chat", kind="custom", raw={}),)), "custom"),
        (asked(tools=(Tool(name="a.b"),)), "a.b"),
        (asked(tools=(Tool(name="x" * 65),)), "xxx"),
        (asked(HI, Image(media=Link(url="https://x.example/a.png"))), "address"),
        (asked(HI, Document(media=Link(url="https://x.example/a.pdf"))), "address"),
        (asked(HI, Image(media=FileRef(file_id="f"))), "file id"),
        (asked(HI, Image(media=Inline(media_type="image/tiff", data="aGk="))), "image/tiff"),
        (asked(HI, Document(media=Inline(media_type="application/zip", data="aGk="))), "application/zip"),
        (asked(HI, Audio(data="aGk=", format="midi")), "midi"),
        (asked(Opaque(dialect="gemini", kind="exec", raw={})), "exec"),
        (asked(ToolResult(call_id="t", parts=(Opaque(dialect="gemini", kind="exec", raw={}),))), "exec"),
        (asked(Text(text=" ")), "needs some text"),
        (asked(ToolCall(id="t", name="f", arguments="{}"), tool_choice=ToolChoice(mode="none")), "tool_choice none"),
    ],
)
def test_what_changes_the_meaning_is_a_reason(request_: Request, word: str) -> None:
    assert [word in reason for reason in obstacles(request_)] == [True]


@pytest.mark.parametrize(
    "request_",
    [
        asked(),
        asked(HI, Image(media=Inline(media_type="image/jpg", data="aGk="))),
        asked(HI, Document(media=Inline(media_type="text/x-python", data="aGk="))),
        asked(tools=(Tool(name="a-b_C9"),), tool_choice=ToolChoice(mode="none")),
        asked(n=3, wire=Wire(dialect="bedrock_converse", body={})),
    ],
)
def test_what_can_be_said_is_none(request_: Request) -> None:
    assert obstacles(request_) == ()
