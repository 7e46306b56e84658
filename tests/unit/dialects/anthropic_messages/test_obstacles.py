from typing import Any

import pytest
from msgspec.structs import replace

from polyroute.dialects.anthropic_messages.obstacles import obstacles
from polyroute.types.content import Audio, Document, FileRef, Image, Inline, Message, Opaque, Part, Text, ToolResult
from polyroute.types.request import OutputFormat, ProviderTool, Request, Wire, ask

PLAIN = replace(ask("m", "hi"), wire=Wire(dialect="openai_chat", body={}))


def with_part(part: Part) -> Request:
    return replace(PLAIN, messages=(Message(role="user", parts=(Text(text="a"), part)),))


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (replace(PLAIN, n=3), "n=3: anthropic_messages gives one choice"),
        (replace(PLAIN, logprobs=True), "logprobs: anthropic_messages gives none"),
        (
            replace(PLAIN, output_modalities=("text", "audio")),
            "modalities: anthropic_messages answers in text only",
        ),
        (replace(PLAIN, stop=("\n",)), "stop: anthropic_messages takes no stop sequence of white space alone"),
        (
            replace(PLAIN, tools=(ProviderTool(dialect="openai_responses", kind="file_search", raw={}),)),
            "tool file_search: only openai_responses has it",
        ),
        (with_part(Audio(data="A", format="wav")), "audio: anthropic_messages takes none"),
        (
            with_part(Opaque(dialect="openai_chat", kind="video_url", raw={})),
            "video_url content: only openai_chat understands it",
        ),
        (with_part(Document(media=FileRef(file_id="f"))), "file id: the file is stored at another provider"),
        (
            with_part(Image(media=Inline(media_type="image/bmp", data="A"))),
            "image/bmp image: anthropic_messages takes image/gif, image/jpeg, image/png, image/webp",
        ),
        (
            with_part(Document(media=Inline(media_type="application/zip", data="A"))),
            "application/zip document: anthropic_messages takes application/pdf and text",
        ),
        (
            with_part(Document(media=Inline(media_type="text/csv", data="not base64"))),
            "text/csv document: anthropic_messages takes application/pdf and text",
        ),
        (
            with_part(ToolResult(call_id="c", parts=(Opaque(dialect="gemini", kind="x", raw={}),))),
            "x content: only gemini understands it",
        ),
        (ask("m", " "), "messages: anthropic_messages needs some text or media in them"),
        (
            replace(
                PLAIN,
                messages=(Message(role="system", parts=(Image(media=Inline(media_type="image/png", data="A")),)),),
            ),
            "system message: anthropic_messages takes text only",
        ),
    ],
)
def test_what_would_change_the_meaning_is_an_obstacle(request_: Request, reason: str) -> None:
    assert obstacles(request_) == (reason,)


@pytest.mark.parametrize(
    "request_",
    [
        PLAIN,
        replace(PLAIN, temperature=2.0, seed=1, output=OutputFormat()),
        replace(PLAIN, output_modalities=("text",)),
        with_part(Image(media=Inline(media_type="image/jpg", data="A"))),
        with_part(Document(media=Inline(media_type="application/pdf", data="A"))),
        with_part(Document(media=Inline(media_type="text/csv", data="QUJD"))),
    ],
)
def test_what_can_be_said_or_left_out_is_none(request_: Request) -> None:
    assert obstacles(request_) == ()


def test_its_own_requests_have_none() -> None:
    odd: Any = replace(PLAIN, n=3, wire=Wire(dialect="anthropic_messages", body={}))
    assert obstacles(odd) == ()
