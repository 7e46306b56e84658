from typing import Any

import orjson
import pytest

from polyroute.dialects.openai_chat import OpenAIChat
from polyroute.types.content import Image, Inline, Opaque, Part, Refusal, Text, Thinking, ToolCall
from polyroute.types.request import Request, ask
from polyroute.types.response import Choice, Response, StopReason, TokenLogprob, Usage

DIALECT = OpenAIChat()
CALL = ToolCall(id="1", name="f", arguments='{"a":1}')


def written(*parts: Part, stop: StopReason = StopReason.END, request: Request | None = None) -> dict[str, Any]:
    response = Response(id="r1", model="m-1", choices=(Choice(parts=parts, stop=stop),), usage=None, created_s=7)
    body: dict[str, Any] = orjson.loads(DIALECT.render_response(response, request or ask("m", "hi")))
    return body


def test_an_answer_has_openais_form() -> None:
    assert written(Text(text="a"), Text(text="b")) == {
        "id": "r1",
        "object": "chat.completion",
        "created": 7,
        "model": "m-1",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "ab", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
    }


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (Refusal(text="no"), {"refusal": "no"}),
        (Thinking(text="hm"), {"reasoning_content": "hm"}),
        (
            Thinking(text="hm", signature="s"),
            {
                "reasoning_content": "hm",
                "reasoning_details": [{"type": "reasoning.text", "text": "hm", "signature": "s", "index": 0}],
            },
        ),
        (
            Thinking(text="", redacted="e"),
            {
                "reasoning_content": "",
                "reasoning_details": [{"type": "reasoning.encrypted", "data": "e", "index": 0}],
            },
        ),
        (CALL, {"tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}]}),
        (
            Image(media=Inline(media_type="image/png", data="QUJD")),
            {"images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}}]},
        ),
        (Opaque(dialect="openai_chat", kind="audio", raw={"id": "a"}), {"audio": {"id": "a"}}),
        (Opaque(dialect="anthropic_messages", kind="server_tool_use", raw={}), {}),
    ],
)
def test_each_part_has_its_field(part: Part, expected: dict[str, Any]) -> None:
    message = written(part)["choices"][0]["message"]
    assert message == {"role": "assistant", "content": None, "refusal": None, **expected}


def test_citations_say_which_text_they_support() -> None:
    own: dict[str, object] = {
        "type": "url_citation",
        "url_citation": {"url": "https://a.example", "start_index": 0, "end_index": 1},
    }
    web: dict[str, object] = {
        "type": "web_search_result_location",
        "url": "https://b.example",
        "title": "B",
        "cited_text": "x",
    }
    message = written(Text(text="ab", citations=(own,)), Text(text="cde", citations=(web,)))["choices"][0]["message"]
    cited = {"url": "https://b.example", "title": "B", "start_index": 2, "end_index": 5}
    assert message["annotations"] == [own, {"type": "url_citation", "url_citation": cited}]


def test_log_probabilities_are_written() -> None:
    top = TokenLogprob(token="b", logprob=-1.0)
    choice = Choice(
        parts=(Text(text="a"),),
        stop=StopReason.END,
        logprobs=(TokenLogprob(token="a", logprob=-0.5, bytes=(97,), top=(top,)),),
    )
    body = orjson.loads(
        DIALECT.render_response(
            Response(id="", model="", choices=(choice,), usage=Usage(input_tokens=1)), ask("m", "hi")
        )
    )
    assert body["choices"][0]["logprobs"]["content"] == [
        {
            "token": "a",
            "logprob": -0.5,
            "bytes": [97],
            "top_logprobs": [{"token": "b", "logprob": -1.0, "bytes": None}],
        }
    ]
    assert body["usage"]["total_tokens"] == 1


def test_callers_of_2023_get_function_call() -> None:
    request = DIALECT.parse_request(
        {"model": "m", "messages": [{"role": "user", "content": "hi"}], "functions": [{"name": "f"}]}, {}
    )
    choice = written(CALL, stop=StopReason.TOOL_CALLS, request=request)["choices"][0]
    assert choice["message"]["function_call"] == {"name": "f", "arguments": '{"a":1}'}
    assert "tool_calls" not in choice["message"]
    assert choice["finish_reason"] == "function_call"


def test_a_citation_that_says_its_place_keeps_it_after_other_text() -> None:
    cited = {"type": "url_citation", "url": "https://a.example", "title": "A", "start_index": 1, "end_index": 3}
    message = written(Text(text="Before. "), Text(text="It is.", citations=(cited,)))["choices"][0]["message"]
    place = message["annotations"][0]["url_citation"]
    assert message["content"][place["start_index"] : place["end_index"]] == "t "
