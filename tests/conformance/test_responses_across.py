"""Every recorded exchange between the Responses API and chat completions, Messages, Gemini and Converse, and back.

Nothing a caller said may be lost on the way: a request is put whole or refused with reasons, and an answer arrives
with its texts, tool calls, stop and usage. Data: `../shared/data/conformance/cases.jsonl.gz` beside the checkout.
"""

from typing import Any

import orjson
import pytest
from tests.conformance.test_across import (
    all_text,
    answered,
    canonical,
    counted,
    inner,
    joined,
    kind_of_stop,
    stop_of,
    texts,
)
from tests.wire.recordings import API, CORPUS, requests

from polyroute.ports import Dialect
from polyroute.testing.providers import a_deployment
from polyroute.types.content import Document, Image, Inline, Opaque, ToolCall, ToolResult
from polyroute.types.request import Request, Tool
from polyroute.types.response import Chunk, Ended
from polyroute.wiring.dialects import ANTHROPIC_MESSAGES, OPENAI_CHAT, OPENAI_RESPONSES

Case = dict[str, Any]
pytestmark = pytest.mark.skipif(not CORPUS.exists(), reason="the conformance corpus is not beside this checkout")
PAIRS: list[tuple[Dialect, Dialect]] = [
    (OPENAI_RESPONSES, OPENAI_CHAT),
    (OPENAI_RESPONSES, ANTHROPIC_MESSAGES),
    (OPENAI_CHAT, OPENAI_RESPONSES),
    (ANTHROPIC_MESSAGES, OPENAI_RESPONSES),
]
QUESTION: dict[str, dict[str, object]] = {
    "openai_chat": {"messages": [{"role": "user", "content": "q"}], "stream_options": {"include_usage": True}},
    "openai_responses": {"input": "q"},
    "anthropic_messages": {"max_tokens": 9, "messages": [{"role": "user", "content": "q"}]},
}

# Why a recorded request may be refused: what the other provider does not offer at all.
NOT_OFFERED = (
    "the tool `", "means something only to", "stored at another provider", "takes no document by its address",
    "only openai_responses", "only openai_chat", "only anthropic_messages", "gives one choice", "takes none",
    "knows no stop sequences", "answers in text only",
)  # fmt: skip


def cases(*, stream: bool | None = None, by_upstream: bool = False) -> list[Any]:
    """Recordings of the first of each pair, or of the second."""
    if not CORPUS.exists():
        return [pytest.param(*PAIRS[0], {}, id="no corpus")]
    return [
        pytest.param(door, upstream, row, id=f"{API[door.name]} to {API[upstream.name]}: {row['id']}")
        for door, upstream in PAIRS
        for row in requests((upstream if by_upstream else door).name)
        if stream is None or row["stream"] == stream
    ]


@pytest.mark.parametrize(("door", "upstream", "case"), cases())
def test_a_request_is_put_whole_to_the_other_dialect_or_refused_with_reasons(
    door: Dialect, upstream: Dialect, case: Case
) -> None:
    request = door.parse_request({**case["request_body"], "model": case["request_body"].get("model") or "any"}, {})
    reasons = upstream.obstacles(request)
    if reasons:
        assert [reason for reason in reasons if not any(mark in reason for mark in NOT_OFFERED)] == []
        return
    sent = upstream.render_request(request, a_deployment("m"), max_output_tokens=None)
    again = upstream.parse_request(orjson.loads(sent.body), {})

    heard = all_text(again)
    assert [text for text in texts(request) if text.strip() not in heard] == []
    assert worked(again) == worked(request)
    assert [tool.name for tool in again.tools if isinstance(tool, Tool)] == [
        tool.name for tool in request.tools if isinstance(tool, Tool)
    ]
    assert (again.stop, again.stream) == (request.stop, request.stream)
    if request.output is not None and request.output.schema is not None:
        assert again.output is not None
    assert request.max_output_tokens in (None, again.max_output_tokens)
    if upstream is OPENAI_RESPONSES:
        body = orjson.loads(sent.body)
        assert body["store"] is False
        assert not any(item.get("type") == "reasoning" for item in body["input"])


def worked(request: Request) -> list[Any]:
    """Calls, results and media, in any order; ids are left out, for each dialect has its own alphabet of them."""
    found = []
    for message in request.messages:
        for part in inner(message):
            match part:
                case ToolCall():
                    found.append(repr(("call", part.name, canonical(part.arguments))))
                case ToolResult():
                    found.append("result")
                case Image():
                    found.append(repr(part.media))
                case Document(media=Inline(media_type="application/pdf", data=data)):
                    found.append(data)
                case _:
                    pass
    return sorted(found)


@pytest.mark.parametrize(("door", "upstream", "case"), cases(stream=False, by_upstream=True))
def test_an_answer_reaches_the_other_door_whole(door: Dialect, upstream: Dialect, case: Case) -> None:
    response = upstream.parse_response(orjson.dumps(case["response_body"]))
    if any(isinstance(part, Opaque) and part.kind == "custom_tool_call" for part in response.choices[0].parts):
        return  # an answer to a request that only its own dialect takes
    again = door.parse_response(door.render_response(response, door.parse_request(asked(door), {})))

    assert again.model == response.model
    assert answered(again.choices[0].parts) == answered(response.choices[0].parts)
    assert kind_of_stop(again.choices[0].stop) is kind_of_stop(response.choices[0].stop)
    assert counted(again.usage) == counted(response.usage)


@pytest.mark.parametrize(("door", "upstream", "case"), cases(stream=True, by_upstream=True))
def test_a_streamed_answer_reaches_the_other_door_whole(door: Dialect, upstream: Dialect, case: Case) -> None:
    chunks = read(upstream, "".join(case["sse_events"]).encode())
    writer = door.open_writer(door.parse_request(asked(door), {}))
    *given, ended = chunks
    assert isinstance(ended, Ended)
    again = read(door, b"".join(map(writer.write, given)) + writer.end(ended, {}))

    assert answered(joined(again)) == answered(joined(chunks))
    assert kind_of_stop(stop_of(again)) is kind_of_stop(stop_of(chunks))
    last = again[-1]
    assert isinstance(last, Ended)
    assert counted(last.usage) == counted(ended.usage)


def asked(door: Dialect) -> dict[str, object]:
    return {"model": "m", "stream": True, **QUESTION[door.name]}


def read(dialect: Dialect, stream: bytes) -> list[Chunk]:
    reader = dialect.open_reader(same_dialect=False)
    return [*reader.feed(stream), *reader.close()]
