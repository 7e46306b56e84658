import json

import pytest

from polyroute.errors import MalformedReply
from polyroute.privacy.detector import Detector
from polyroute.telemetry.otlp.content import Spoken, attributes_of, masked
from polyroute.types.content import Image, Inline, Message, Part, Text, Thinking, ToolCall, ToolResult
from polyroute.types.request import Request, ask
from polyroute.types.response import Response

DETECTOR = Detector()


@pytest.mark.parametrize(
    ("part", "told"),
    [
        (Text(text="hi"), {"type": "text", "content": "hi"}),
        (Thinking(text="hm"), {"type": "reasoning", "content": "hm"}),
        (
            ToolCall(id="1", name="send", arguments='{"to":"ann@example.com"}'),
            {"type": "tool_call", "id": "1", "name": "send", "arguments": '{"to":"[email]"}'},
        ),
        (
            ToolResult(call_id="1", parts=(Text(text="sent to ann@example.com"),)),
            {"type": "tool_call_response", "id": "1", "response": "sent to [email]"},
        ),
        (Image(media=Inline(media_type="image/png", data="c2VjcmV0")), {"type": "image"}),
    ],
)
def test_each_part_is_told_as_the_conventions_say(part: Part, told: dict[str, str]) -> None:
    request = Request(model="m", messages=(Message(role="user", parts=(part,)),))
    found = attributes_of(Spoken(request, None), DETECTOR)
    assert json.loads(found["gen_ai.input.messages"]) == [{"role": "user", "parts": [told]}]
    assert "gen_ai.output.messages" not in found


def test_an_answer_of_no_form_leaves_the_prompt() -> None:
    def unreadable() -> Response:
        raise MalformedReply("no form")

    assert set(attributes_of(Spoken(ask("m", "hi"), unreadable), DETECTOR)) == {"gen_ai.input.messages"}


def test_a_long_text_is_cut_and_says_so() -> None:
    found = masked("a" * 10_000, DETECTOR)
    assert (len(found), found[-1]) == (8193, "…")


def test_nothing_that_is_found_is_left() -> None:
    text = "ann@example.com, 4111 1111 1111 1111, and ann@example.com again"
    assert masked(text, DETECTOR) == "[email], [card], and [email] again"
