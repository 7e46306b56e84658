"""Every recorded exchange of an OpenAI-shaped chat API, through the dialect: as a door, as an upstream, as both.

Data: `../shared/data/conformance/cases.jsonl.gz` beside the checkout (its README names sources and licences).
"""

import base64
import gzip
import random
from collections import defaultdict
from pathlib import Path
from typing import Any

import orjson
import pytest
from msgspec.structs import replace

from polyroute.dialects.openai_chat import OpenAIChat
from polyroute.errors import AuthRejected, ContextTooLong, Overloaded, ProviderError, Rejected, Remedy
from polyroute.ports import StreamReader
from polyroute.types.cards import Deployment, ModelCard
from polyroute.types.content import Refusal, Text, Thinking, ToolCall, ToolResult, text_of
from polyroute.types.request import Request, Tool
from polyroute.types.response import (
    ChoiceEnded,
    Chunk,
    Ended,
    PartAdded,
    RefusalDelta,
    Started,
    StopReason,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
    WireBytes,
)

CORPUS = Path(__file__).parents[3] / "shared" / "data" / "conformance" / "cases.jsonl.gz"
DIALECT = OpenAIChat()
TARGET = Deployment(
    id="m@openai",
    model="m",
    provider="openai",
    dialect="openai_chat",
    upstream_model="target-model",
    card=ModelCard(id="openai/m"),
)

Case = dict[str, Any]
pytestmark = pytest.mark.skipif(not CORPUS.exists(), reason="the conformance corpus is not beside this checkout")


def cases(*, ok: bool = True, stream: bool | None = None) -> list[Any]:
    if not CORPUS.exists():
        return [pytest.param({}, id="no corpus")]
    with gzip.open(CORPUS) as lines:
        rows = [orjson.loads(line) for line in lines]
    chosen = [
        row
        for row in rows
        if row["api"] == "openai.chat" and (row["status"] == 200) == ok and (stream is None or row["stream"] == stream)
    ]
    assert chosen
    return [pytest.param(row, id=row["id"]) for row in chosen]


def asked(case: Case, **changes: Any) -> Request:
    """The recorded request. Azure names its model in the path only."""
    body = case["request_body"]
    return DIALECT.parse_request({**body, "model": body.get("model") or "asked-model", **changes}, {})


# ── requests ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("case", [*cases(), *cases(ok=False)])
def test_a_recorded_request_reaches_its_own_provider_unchanged_but_for_model_and_usage(case: Case) -> None:
    request = asked(case)

    assert DIALECT.obstacles(request) == ()
    sent = DIALECT.render_request(request, TARGET, max_output_tokens=None)
    expected = {**case["request_body"], "model": "target-model"}
    if expected.get("stream"):
        expected["stream_options"] = {**expected.get("stream_options", {}), "include_usage": True}
    assert orjson.loads(sent.body) == expected
    assert sent.dropped == ()
    assert sent.path == "/chat/completions"


@pytest.mark.parametrize("case", cases())
def test_a_recorded_request_written_anew_says_the_same(case: Case) -> None:
    request = asked(case)
    anew = orjson.loads(DIALECT.render_request(replace(request, wire=None), TARGET, max_output_tokens=None).body)

    again = DIALECT.parse_request(anew, {})
    assert said(again) == said(request)
    for name in ("output", "max_output_tokens", "stop", "end_user", "stream", "n", "seed", "temperature", "top_p"):
        assert getattr(again, name) == getattr(request, name), name
    assert again.tools == tuple(replace(tool, cache=None) if isinstance(tool, Tool) else tool for tool in request.tools)
    assert again.tool_choice == (request.tool_choice if request.tools else None)


def said(request: Request) -> list[Any]:
    """Who says what: texts, media, calls and results; without thinking and cache marks, which are never sent abroad."""
    found: list[Any] = []
    for message in request.messages:
        role = "system" if message.role == "developer" else message.role
        text = text_of(message.parts)
        if text:
            found.append((role, text))
        for part in message.parts:
            match part:
                case Text() | Thinking():
                    pass
                case ToolCall():
                    found.append((role, part.id, part.name, part.arguments or "{}"))
                case ToolResult():
                    text = "\n".join(inner.text for inner in part.parts if isinstance(inner, Text))
                    found.append((role, part.call_id, text or "See the attachments that follow."))
                    pictures = [inner for inner in part.parts if not isinstance(inner, Text)]
                    if pictures:
                        found.append(("user", f"Shown by tool call {part.call_id}:"))
                        found += [("user", picture) for picture in pictures]
                case _:
                    found.append((role, part))
    return found


# ── whole answers ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("case", cases(stream=False))
def test_a_recorded_answer_is_skimmed_as_it_is_parsed(case: Case) -> None:
    body = orjson.dumps(case["response_body"])

    reply, response = DIALECT.skim_response(body), DIALECT.parse_response(body)
    assert reply.wire == body
    assert reply.model == response.model == case["response_body"]["model"]
    assert reply.usage == response.usage
    assert_adds_up(response.usage, case["response_body"].get("usage"))
    if response.choices[0].raw_stop is not None and "finish_details" not in case["response_body"]["choices"][0]:
        assert reply.stop == response.choices[0].stop


@pytest.mark.parametrize("case", cases(stream=False))
def test_a_recorded_answer_written_anew_says_the_same(case: Case) -> None:
    recorded = case["response_body"]
    response = DIALECT.parse_response(orjson.dumps(recorded))
    written = orjson.loads(DIALECT.render_response(response, asked(case)))

    for name in ("id", "object", "created", "model"):
        assert written[name] == recorded[name], name
    for ours, theirs in zip(written["choices"], recorded["choices"], strict=True):
        assert content_of(ours["message"]) == content_of(theirs["message"])
        assert ours["message"].get("audio") == theirs["message"].get("audio")
        assert [call_of(call) for call in ours["message"].get("tool_calls") or ()] == [
            call_of(call) for call in theirs["message"].get("tool_calls") or ()
        ]
        if not theirs["message"].get("tool_calls") and theirs.get("finish_reason"):
            assert ours["finish_reason"] == theirs["finish_reason"]
        if theirs.get("logprobs"):
            assert ours["logprobs"]["content"] == theirs["logprobs"]["content"]
    again = DIALECT.parse_response(orjson.dumps(written))
    assert again.usage == response.usage
    assert [(choice.text, choice.stop) for choice in again.choices] == [
        (choice.text, choice.stop) for choice in response.choices
    ]


def content_of(message: Case) -> tuple[str, str, str]:
    content = message.get("content")
    if isinstance(content, list):
        thoughts = [part["text"] for item in content if item["type"] == "thinking" for part in item["thinking"]]
        texts = [item["text"] for item in content if item["type"] == "text"]
        return "".join(texts), message.get("refusal") or "", "".join(thoughts)
    return content or "", message.get("refusal") or "", thought_of(message)


def thought_of(message: Case) -> str:
    details = message.get("reasoning_details") or ()
    told = "".join(item.get("text") or item.get("summary") or "" for item in details)
    return message.get("reasoning_content") or message.get("reasoning") or told


def call_of(call: Case) -> tuple[Any, ...]:
    if "custom" in call:
        return call["id"], call["custom"]
    function = call["function"]
    return call["id"], function["name"], function.get("arguments") or "{}"


def assert_adds_up(usage: Usage | None, recorded: Case | None) -> None:
    """Our disjoint classes sum to what the provider counted, whichever way it counts."""
    if recorded is None:
        assert usage is None
        return
    assert usage is not None
    total = usage.total_input_tokens + usage.total_output_tokens
    assert total == max(recorded["total_tokens"], recorded["prompt_tokens"] + recorded["completion_tokens"])
    if recorded["total_tokens"] == recorded["prompt_tokens"] + recorded["completion_tokens"]:
        assert usage.total_input_tokens == recorded["prompt_tokens"]
        assert usage.total_output_tokens == recorded["completion_tokens"]
    inside = recorded.get("prompt_tokens_details") or {}
    assert usage.cached_input_tokens == (inside.get("cached_tokens") or 0)
    assert usage.cache_write_tokens == (inside.get("cache_write_tokens") or 0)
    outside = recorded.get("completion_tokens_details") or {}
    assert usage.reasoning_tokens == (outside.get("reasoning_tokens") or 0)


# ── streams ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("case", cases(stream=True))
def test_a_recorded_stream_passes_byte_for_byte_however_it_is_cut(case: Case) -> None:
    raw = "".join(case["sse_events"]).encode()
    whole = read(DIALECT.open_reader(same_dialect=True), [raw])
    ended = whole[-1]
    assert isinstance(ended, Ended)
    assert_adds_up(ended.usage, recorded_usage(case))
    assert ended.model == recorded_model(case)

    for pieces in ([raw], [event.encode() for event in case["sse_events"]], *(cut(raw, seed) for seed in range(3))):
        chunks = read(DIALECT.open_reader(same_dialect=True), pieces)
        assert joined(chunks) == raw
        assert chunks[-1] == ended
        assert sum(isinstance(chunk, Ended) for chunk in chunks) == 1


@pytest.mark.parametrize("case", cases(stream=True))
def test_nothing_leaves_before_the_first_word_nor_the_finish_before_the_end(case: Case) -> None:
    reader = DIALECT.open_reader(same_dialect=True)
    passed = b""
    for event in case["sse_events"]:
        for chunk in reader.feed(event.encode()):
            if isinstance(chunk, WireBytes):
                assert passed or says_something(event)
                passed += chunk.data
    assert b"[DONE]" not in passed
    finishes = passed.count(b'"finish_reason":"') + passed.count(b'"finish_reason": "')
    assert finishes < max(case["request_body"].get("n") or 1, 1)


@pytest.mark.parametrize("case", cases(stream=True))
def test_a_recorded_stream_cut_short_never_ends_well(case: Case) -> None:
    raw = "".join(case["sse_events"])
    first_finish = min(raw.index(mark) for mark in ('"finish_reason":"', '"finish_reason": "') if mark in raw)
    for same_dialect in (True, False):
        for share in (0.0, 0.5, 0.99):
            with pytest.raises(ProviderError):
                read(DIALECT.open_reader(same_dialect=same_dialect), [raw[: int(first_finish * share)].encode()])


@pytest.mark.parametrize("case", cases(stream=True))
def test_a_caller_that_asked_for_usage_gets_the_recorded_bytes_and_the_report(case: Case) -> None:
    request = asked(case, stream_options={"include_usage": True})
    raw = "".join(case["sse_events"]).encode()
    writer = DIALECT.open_writer(request)
    sent = b""
    for chunk in read(DIALECT.open_reader(same_dialect=True), [raw]):
        sent += writer.end(chunk, {"cost_usd": "0.01"}) if isinstance(chunk, Ended) else writer.write(chunk)

    report = b',"polyroute":{"cost_usd":"0.01"}'
    assert sent.count(report) == 1
    if recorded_usage(case) is not None:
        assert sent.replace(report, b"") == raw
    reports = [event for event in events_in(sent) if "polyroute" in event]
    assert reports[-1]["usage"] == recorded_usage(case)
    assert sent.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("case", cases(stream=True))
def test_a_caller_that_did_not_ask_for_usage_sees_none(case: Case) -> None:
    request = asked(case, stream_options=None)
    raw = "".join(case["sse_events"]).encode()
    writer = DIALECT.open_writer(request)
    sent = b""
    for chunk in read(DIALECT.open_reader(same_dialect=True), [raw]):
        sent += writer.end(chunk, {"cost_usd": "0.01"}) if isinstance(chunk, Ended) else writer.write(chunk)

    assert b'"usage"' not in sent
    assert b"polyroute" not in sent
    kept = [event for event in events_in(raw) if event["choices"] or not event.get("usage")]
    for event in kept:
        event.pop("usage", None)
    assert events_in(sent) == kept


@pytest.mark.parametrize("case", cases(stream=True))
def test_a_recorded_stream_says_in_canonical_chunks_what_it_said(case: Case) -> None:
    raw = "".join(case["sse_events"]).encode()
    chunks = read(DIALECT.open_reader(same_dialect=False), cut(raw, 1))

    assert isinstance(chunks[0], Started)
    ended = chunks[-1]
    assert isinstance(ended, Ended)
    assert_adds_up(ended.usage, recorded_usage(case))
    assert gathered(chunks) == recorded_content(case)

    # and once more through our own door
    writer = DIALECT.open_writer(asked(case, stream_options={"include_usage": True}))
    sent = b"".join(map(writer.write, chunks[:-1])) + writer.end(ended, {})
    again = read(DIALECT.open_reader(same_dialect=False), [sent])
    assert gathered(again) == gathered(chunks)
    last = again[-1]
    assert isinstance(last, Ended)
    assert last.usage == ended.usage
    assert stops(again) == stops(chunks)


def read(reader: StreamReader, pieces: list[bytes]) -> list[Chunk]:
    chunks: list[Chunk] = []
    for piece in pieces:
        chunks += reader.feed(piece)
    return chunks + reader.close()


def cut(raw: bytes, seed: int) -> list[bytes]:
    draw = random.Random(seed)
    pieces = []
    while raw:
        size = draw.choice((1, 7, 60, 400, 3000))
        pieces.append(raw[:size])
        raw = raw[size:]
    return pieces


def joined(chunks: list[Chunk]) -> bytes:
    passed = b"".join(chunk.data for chunk in chunks if isinstance(chunk, WireBytes))
    ended = chunks[-1]
    assert isinstance(ended, Ended)
    return passed + (ended.wire or b"")


def events_in(raw: bytes) -> list[Case]:
    lines = [line.removeprefix("data: ") for line in raw.decode().split("\n") if line.startswith("data: {")]
    return [orjson.loads(line) for line in lines]


def says_something(event: str) -> bool:
    deltas = [choice.get("delta") or {} for body in events_in(event.encode()) for choice in body["choices"]]
    return any(value for delta in deltas for name, value in delta.items() if name != "role")


def recorded_usage(case: Case) -> Case | None:
    reported = [event["usage"] for event in events_in("".join(case["sse_events"]).encode()) if event.get("usage")]
    return reported[-1] if reported else None


def recorded_model(case: Case) -> str:
    models = [event["model"] for event in events_in("".join(case["sse_events"]).encode()) if event.get("model")]
    return str(models[-1])


def recorded_content(case: Case) -> dict[int, Any]:
    found: dict[int, Any] = defaultdict(lambda: {"text": "", "refusal": "", "thinking": "", "calls": {}})
    for event in events_in("".join(case["sse_events"]).encode()):
        for choice in event["choices"]:
            entry, delta = found[choice["index"]], choice.get("delta") or {}
            text, refusal, thinking = content_of(delta)
            entry["text"] += text
            entry["refusal"] += refusal
            entry["thinking"] += thinking
            for position, call in enumerate(delta.get("tool_calls") or ()):
                function = call["function"]
                index = call.get("index", position)
                known = entry["calls"].setdefault(index, [call.get("id"), function.get("name"), ""])
                known[2] += function.get("arguments") or ""
    return {index: {**entry, "calls": list(entry["calls"].values())} for index, entry in found.items()}


def gathered(chunks: list[Chunk]) -> dict[int, Any]:
    found: dict[int, Any] = defaultdict(lambda: {"text": "", "refusal": "", "thinking": "", "calls": {}})
    for chunk in chunks:
        match chunk:
            case TextDelta():
                found[chunk.choice]["text"] += chunk.text
            case RefusalDelta():
                found[chunk.choice]["refusal"] += chunk.text
            case ThinkingDelta():
                found[chunk.choice]["thinking"] += chunk.text
            case ToolCallStarted():
                found[chunk.choice]["calls"][chunk.part] = [chunk.id, chunk.name, ""]
            case ToolCallDelta():
                found[chunk.choice]["calls"][chunk.part][2] += chunk.arguments
            case PartAdded(content=Text(text=text)):
                found[chunk.choice]["text"] += text
            case PartAdded(content=Refusal(text=text)):
                found[chunk.choice]["refusal"] += text
            case ChoiceEnded():
                found[chunk.choice]["text"] += ""
            case _:
                pass
    return {index: {**entry, "calls": list(entry["calls"].values())} for index, entry in found.items()}


def stops(chunks: list[Chunk]) -> list[StopReason]:
    return [chunk.stop for chunk in chunks if isinstance(chunk, ChoiceEnded)]


# ── errors ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("case", cases(ok=False))
def test_a_recorded_error_is_classified(case: Case) -> None:
    recorded = case.get("response_b64")
    body = base64.b64decode(recorded) if recorded else orjson.dumps(case["response_body"])
    error = DIALECT.classify_error(case["status"], body, 7.0)

    assert error.http_status == case["status"]
    assert error.retry_after_s == 7.0
    assert 0 < len(error.message) <= 500
    assert "http" not in error.message
    if b"maximum context length" in body:
        assert type(error) is ContextTooLong
    else:
        expected = {400: Rejected, 401: AuthRejected, 404: Rejected, 429: Overloaded}[case["status"]]
        assert type(error) is expected
    remedies = {400: Remedy.STOP, 401: Remedy.SWITCH, 404: Remedy.SWITCH, 429: Remedy.RETRY}
    if type(error) is not ContextTooLong:
        assert error.remedy is remedies[case["status"]]
