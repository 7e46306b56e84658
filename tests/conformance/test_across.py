"""Every recorded exchange through two dialects: asked at one's door and put to the other's upstream, and back.

Nothing a caller said may be lost on the way: a request is put whole or refused with reasons, and an answer arrives
with its texts, tool calls, stop and usage. Data: `../shared/data/conformance/cases.jsonl.gz` beside the checkout.
"""

import gzip
from base64 import b64decode
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pytest

from polyroute.dialects.anthropic_messages import AnthropicMessages
from polyroute.dialects.openai_chat import OpenAIChat
from polyroute.ports import Dialect
from polyroute.types.cards import Deployment, ModelCard
from polyroute.types.content import (
    Document,
    Image,
    Inline,
    Message,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from polyroute.types.request import Request, Tool, ToolChoice
from polyroute.types.response import (
    ChoiceEnded,
    Chunk,
    Ended,
    PartAdded,
    RefusalDelta,
    StopReason,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)

CORPUS = Path(__file__).parents[3] / "shared" / "data" / "conformance" / "cases.jsonl.gz"
OPENAI, ANTHROPIC = OpenAIChat(), AnthropicMessages()
DOORS: dict[str, Dialect] = {"openai.chat": OPENAI, "anthropic.messages": ANTHROPIC}
OTHER: dict[str, Dialect] = {"openai.chat": ANTHROPIC, "anthropic.messages": OPENAI}
TARGET = Deployment(
    id="m@p", model="m", provider="p", dialect="", upstream_model="target-model", card=ModelCard(id="p/m")
)
# The least of a question at each door, streamed and with its usage shown.
QUESTION: dict[str, dict[str, object]] = {
    "openai_chat": {
        "model": "m",
        "messages": [{"role": "user", "content": "q"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    },
    "anthropic_messages": {
        "model": "m",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "q"}],
        "stream": True,
    },
}

# Why a recorded request may be refused: what the other provider does not offer at all.
NOT_OFFERED = (
    "the tool `",
    "means something only to",
    "what the request refers to is bound to",
    "a file stored at another provider",
    "takes no document by its address",
    "only openai_chat has it",
    "only openai_chat understands it",
    "n=2: anthropic_messages gives one choice",
    "audio: anthropic_messages takes none",
    "modalities: anthropic_messages answers in text only",
)

Case = dict[str, Any]
pytestmark = pytest.mark.skipif(not CORPUS.exists(), reason="the conformance corpus is not beside this checkout")


@cache
def rows() -> list[Case]:
    with gzip.open(CORPUS) as lines:
        return [row for line in lines if (row := orjson.loads(line))["api"] in DOORS and row["status"] == 200]


def cases(*, stream: bool | None = None) -> list[Any]:
    if not CORPUS.exists():
        return [pytest.param({}, id="no corpus")]
    return [pytest.param(row, id=row["id"]) for row in rows() if stream is None or row["stream"] == stream]


# ── requests ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("case", cases())
def test_a_request_is_put_whole_to_the_other_dialect_or_refused_with_reasons(case: Case) -> None:
    request = asked(case)
    upstream = OTHER[case["api"]]

    reasons = upstream.obstacles(request)
    if reasons:
        assert [reason for reason in reasons if not any(mark in reason for mark in NOT_OFFERED)] == []
        return
    sent = upstream.render_request(request, TARGET, max_output_tokens=None)
    again = upstream.parse_request(orjson.loads(sent.body), {})

    heard = all_text(again)
    assert [text for text in texts(request) if text.strip() not in heard] == []
    assert said(again) == said(request)
    assert [tool.name for tool in again.tools if isinstance(tool, Tool)] == [
        tool.name for tool in request.tools if isinstance(tool, Tool)
    ]
    assert (again.output is None, again.stop, again.stream) == (
        request.output is None or not is_schema(request, upstream),
        request.stop,
        request.stream,
    )
    if request.tools:
        assert auto(again) == auto(request)
    assert request.max_output_tokens in (None, again.max_output_tokens)


def is_schema(request: Request, upstream: Dialect) -> bool:
    """JSON of any kind is an instruction at Anthropic's, not a field."""
    return request.output is not None and (request.output.schema is not None or upstream is OPENAI)


def auto(request: Request) -> ToolChoice | None:
    """What no choice means where there are tools."""
    return request.tool_choice or (ToolChoice(mode="auto") if request.tools else None)


# ── answers ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("case", cases(stream=False))
def test_an_answer_reaches_the_other_door_whole(case: Case) -> None:
    upstream, door = DOORS[case["api"]], OTHER[case["api"]]
    response = upstream.parse_response(orjson.dumps(case["response_body"]))
    request = door.parse_request(QUESTION[door.name], {})

    again = door.parse_response(door.render_response(response, request))

    assert again.id == response.id
    assert again.model == response.model
    assert answered(again.choices[0].parts) == answered(response.choices[0].parts)
    assert kind_of_stop(again.choices[0].stop) is kind_of_stop(response.choices[0].stop)
    assert counted(again.usage) == counted(response.usage)


@pytest.mark.parametrize("case", cases(stream=True))
def test_a_streamed_answer_reaches_the_other_door_whole(case: Case) -> None:
    upstream, door = DOORS[case["api"]], OTHER[case["api"]]
    recorded = "".join(case["sse_events"]).encode()
    chunks = read(upstream, recorded)
    writer = door.open_writer(door.parse_request(QUESTION[door.name], {}))

    *given, ended = chunks
    assert isinstance(ended, Ended)
    sent = b"".join(map(writer.write, given)) + writer.end(ended, {})
    again = read(door, sent)

    assert answered(joined(again)) == answered(joined(chunks))
    assert kind_of_stop(stop_of(again)) is kind_of_stop(stop_of(chunks))
    last = again[-1]
    assert isinstance(last, Ended)
    assert counted(last.usage) == counted(ended.usage)


# ── what is compared ──────────────────────────────────────────────────────────────────────────────────────


def asked(case: Case) -> Request:
    """The recorded request. Azure names its model in the path only."""
    body = case["request_body"]
    return DOORS[case["api"]].parse_request({**body, "model": body.get("model") or "asked-model"}, {})


def inner(message: Message) -> list[Part]:
    found: list[Part] = []
    for part in message.parts:
        found.append(part)
        if isinstance(part, ToolResult):
            found += part.parts
    return found


def texts(request: Request) -> list[str]:
    """All that is said in words, texts in documents included."""
    found = []
    for message in request.messages:
        for part in inner(message):
            match part:
                case Text() | Refusal():
                    found.append(part.text)
                case Document(media=Inline(media_type="text/plain", data=data)):
                    found.append(b64decode(data).decode())
                case _:
                    pass
    return found


def all_text(request: Request) -> str:
    return "\n".join(texts(request))


def said(request: Request) -> Counter[Any]:
    """Calls, the results they got, and media; ids are left out, for each dialect has its own alphabet of them."""
    found: Counter[Any] = Counter()
    for message in request.messages:
        for part in inner(message):
            match part:
                case ToolCall():
                    found["call", part.name, canonical(part.arguments)] += 1
                case ToolResult():
                    found["result"] += 1
                case Image():
                    found["image", repr(part.media)] += 1
                case Document(media=Inline(media_type="application/pdf", data=data)):
                    found["pdf", data] += 1
                case _:
                    pass
    return found


def canonical(arguments: str) -> object:
    """A call's arguments as a value; none at all are an empty object."""
    try:
        return orjson.dumps(orjson.loads(arguments or "{}"), option=orjson.OPT_SORT_KEYS)
    except orjson.JSONDecodeError:
        return arguments


def answered(parts: tuple[Part, ...]) -> Any:
    return (
        "".join(part.text for part in parts if isinstance(part, Text | Refusal)),
        "".join(part.text for part in parts if isinstance(part, Thinking)),
        [(part.name, canonical(part.arguments)) for part in parts if isinstance(part, ToolCall)],
        len({part.id for part in parts if isinstance(part, ToolCall)}),
    )


def kind_of_stop(stop: StopReason) -> StopReason:
    """OpenAI has one word for a proper end, Anthropic one for what a filter and a model refused."""
    if stop in (StopReason.STOP_SEQUENCE, StopReason.PAUSE, StopReason.UNKNOWN):
        return StopReason.END
    return StopReason.REFUSAL if stop is StopReason.CONTENT_FILTER else stop


def counted(usage: Usage | None) -> Any:
    if usage is None:
        return 0, 0, 0
    return usage.total_input_tokens, usage.total_output_tokens, usage.cached_input_tokens


def read(dialect: Dialect, stream: bytes) -> list[Chunk]:
    reader = dialect.open_reader(same_dialect=False)
    return [*reader.feed(stream), *reader.close()]


def stop_of(chunks: list[Chunk]) -> StopReason:
    return next(chunk.stop for chunk in chunks if isinstance(chunk, ChoiceEnded) and chunk.choice == 0)


def joined(chunks: list[Chunk]) -> tuple[Part, ...]:
    """The parts of the first choice, as a client joins them."""
    parts: list[Part] = []
    calls: dict[int, tuple[str, str, list[str]]] = {}
    for chunk in chunks:
        match chunk:
            case TextDelta(choice=0) | RefusalDelta(choice=0):
                parts.append(Text(text=chunk.text))
            case ThinkingDelta(choice=0):
                parts.append(Thinking(text=chunk.text))
            case ToolCallStarted(choice=0):
                calls[chunk.part] = (chunk.id, chunk.name, [])
            case ToolCallDelta(choice=0):
                calls[chunk.part][2].append(chunk.arguments)
            case PartAdded(choice=0):
                parts.append(chunk.content)
            case _:
                pass
    parts += [ToolCall(id=id_, name=name, arguments="".join(given)) for id_, name, given in calls.values()]
    return tuple(parts)
