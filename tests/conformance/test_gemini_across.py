"""Every recorded exchange between Gemini and the dialects of others: asked at one's door, put to the other, and back.

Nothing a caller said may be lost on the way: a request is put whole or refused with reasons, and an answer arrives
with its texts, tool calls, stop and usage. Data: `../shared/data/conformance/cases.jsonl.gz` beside the checkout.
"""

import gzip
from collections import Counter
from functools import cache
from typing import Any

import orjson
import pytest
from tests.conformance.test_across import (
    ANTHROPIC,
    CORPUS,
    OPENAI,
    QUESTION,
    TARGET,
    all_text,
    answered,
    auto,
    canonical,
    inner,
    joined,
    kind_of_stop,
    read,
    stop_of,
    texts,
)

from polyroute.dialects.gemini import Gemini
from polyroute.dialects.gemini.write_content import UNSIGNED
from polyroute.ports import Dialect
from polyroute.types.content import Document, Image, Inline, Opaque, ToolCall, ToolResult
from polyroute.types.request import Request, Tool
from polyroute.types.response import Ended, Usage

GEMINI = Gemini()
SPOKEN: dict[str, Dialect] = {
    "openai.chat": OPENAI,
    "anthropic.messages": ANTHROPIC,
    "gemini.generateContent": GEMINI,
}
ASKED = {**QUESTION, "gemini": {"model": "m", "stream": True, "contents": [{"parts": [{"text": "q"}]}]}}

# Why a recorded request may be refused: what the other provider does not offer at all.
NOT_OFFERED = (
    "only openai_chat", "only anthropic_messages", "only gemini", "means something only to", "is one of gemini",
    "stored at another provider", "takes no document by its address", "takes none", "takes image/",
    "takes application/pdf and text", "gemini is not asked for audio", "takes at most 5 sequences", "takes text only",
)  # fmt: skip

Case = dict[str, Any]
pytestmark = pytest.mark.skipif(not CORPUS.exists(), reason="the conformance corpus is not beside this checkout")


@cache
def rows() -> list[Case]:
    with gzip.open(CORPUS) as lines:
        return [row for line in lines if (row := orjson.loads(line))["api"] in SPOKEN and row["status"] == 200]


def pairs(*, stream: bool | None = None) -> list[Any]:
    """Each case with each other dialect, one side of the pair being Gemini."""
    if not CORPUS.exists():
        return [pytest.param({}, GEMINI, id="no corpus")]
    return [
        pytest.param(row, other, id=f"{row['id']}-{other.name}")
        for row in rows()
        if stream is None or row["stream"] == stream
        for other in ((OPENAI, ANTHROPIC) if row["api"].startswith("gemini") else (GEMINI,))
    ]


@pytest.mark.parametrize(("case", "upstream"), pairs())
def test_a_request_is_put_whole_to_the_other_dialect_or_refused_with_reasons(case: Case, upstream: Dialect) -> None:
    request = asked(case)
    reasons = upstream.obstacles(request)
    if reasons:
        assert [reason for reason in reasons if not any(mark in reason for mark in NOT_OFFERED)] == []
        return
    sent = upstream.render_request(request, TARGET, max_output_tokens=None)
    body = orjson.loads(sent.body)
    again = upstream.parse_request({**body, "model": "m", "stream": request.stream}, {})

    heard = flat(all_text(again))
    assert [text for text in map(flat, texts(request)) if text not in heard] == []
    assert said(again) == said(request)
    assert paired(again) == paired(request)
    assert [tool.name for tool in again.tools if isinstance(tool, Tool)] == [
        tool.name for tool in request.tools if isinstance(tool, Tool)
    ]
    assert again.stop == request.stop
    assert again.stream == request.stream
    if upstream is GEMINI:
        assert (again.output is None) == (request.output is None)
        assert signatures(body) <= {UNSIGNED}, "a stranger's signature went to Gemini"
    else:
        assert not signatures(body), "a signature went to a stranger"
    if any(isinstance(tool, Tool) for tool in request.tools):
        assert auto(again) == auto(request)
    assert request.max_output_tokens in (None, again.max_output_tokens)


@pytest.mark.parametrize(("case", "door"), pairs(stream=False))
def test_an_answer_reaches_the_other_door_whole(case: Case, door: Dialect) -> None:
    response = SPOKEN[case["api"]].parse_response(orjson.dumps(case["response_body"]))

    again = door.parse_response(door.render_response(response, door.parse_request(ASKED[door.name], {})))

    assert (again.id, again.model) == (response.id, response.model)
    assert answered(again.choices[0].parts) == answered(response.choices[0].parts)
    if not any(isinstance(part, Opaque) for part in response.choices[0].parts):  # has no form here; its request neither
        assert kind_of_stop(again.choices[0].stop) is kind_of_stop(response.choices[0].stop)
    assert counted(again.usage) == counted(response.usage)


@pytest.mark.parametrize(("case", "door"), pairs(stream=True))
def test_a_streamed_answer_reaches_the_other_door_whole(case: Case, door: Dialect) -> None:
    chunks = read(SPOKEN[case["api"]], "".join(case["sse_events"]).encode())
    writer = door.open_writer(door.parse_request(ASKED[door.name], {}))

    *given, ended = chunks
    assert isinstance(ended, Ended)
    again = read(door, b"".join(map(writer.write, given)) + writer.end(ended, {"cost_usd": "1"}))

    assert answered(joined(again)) == answered(joined(chunks))
    assert kind_of_stop(stop_of(again)) is kind_of_stop(stop_of(chunks))
    last = again[-1]
    assert isinstance(last, Ended)
    assert counted(last.usage) == counted(ended.usage)


# ── what is compared ──────────────────────────────────────────────────────────────────────────────────────


def asked(case: Case) -> Request:
    body = case["request_body"]
    more = {"stream": case["stream"]} if case["api"].startswith("gemini") else {}
    return SPOKEN[case["api"]].parse_request({**body, "model": body.get("model") or "asked-model", **more}, {})


def signatures(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {str(given) for name, given in value.items() if name in ("signature", "thoughtSignature")}
        return own.union(*map(signatures, value.values()))
    return set[str]().union(*map(signatures, value)) if isinstance(value, list) else set()


def flat(text: str) -> str:
    """Without what re-writing JSON changes: a result that is an object is one at Gemini's too."""
    return "".join(text.split()).replace("\\u", "").encode("ascii", "ignore").decode()


def said(request: Request) -> Counter[Any]:
    found: Counter[Any] = Counter()
    for message in request.messages:
        for part in inner(message):
            match part:
                case ToolCall():
                    found["call", part.name, canonical(part.arguments)] += 1
                case ToolResult():
                    found["result"] += 1
                case Image(media=Inline(data=data)):
                    found["image", data] += 1
                case Image():
                    found["image", repr(part.media)] += 1
                case Document(media=Inline(media_type="application/pdf", data=data)):
                    found["pdf", data] += 1
                case _:
                    pass
    return found


def paired(request: Request) -> list[str]:
    """The names of the calls that results answer: each finds its call by its id, whoever made it."""
    names = {part.id: part.name for message in request.messages for part in message.parts if isinstance(part, ToolCall)}
    results = [part for message in request.messages for part in message.parts if isinstance(part, ToolResult)]
    return [names[part.call_id] for part in results if part.call_id in names]


def counted(usage: Usage | None) -> Any:
    if usage is None:
        return 0, 0, 0, 0
    return (
        usage.total_input_tokens,
        usage.total_output_tokens,
        usage.cached_input_tokens,
        usage.reasoning_tokens,
    )
