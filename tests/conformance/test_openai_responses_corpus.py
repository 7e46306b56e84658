"""Every recorded exchange of the Responses API, through the dialect: as a door, as an upstream, as both.

Data: `../shared/data/conformance/cases.jsonl.gz` beside the checkout (its README names sources and licences).
"""

import gzip
import random
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pytest
from msgspec.structs import replace

from polyroute.dialects.openai_responses import OpenAIResponses
from polyroute.dialects.openai_responses.names import is_made
from polyroute.errors import AuthRejected, ContextTooLong, InvalidRequest, ProviderError, Rejected, Remedy
from polyroute.ports import StreamReader
from polyroute.stages.assembly.chunks import chunks_of
from polyroute.testing.providers import a_deployment
from polyroute.types.content import Opaque, Part, Refusal, Text, Thinking, ToolCall, ToolResult
from polyroute.types.request import Request
from polyroute.types.response import (
    ChoiceEnded,
    Chunk,
    Ended,
    PartAdded,
    RefusalDelta,
    Started,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
    WireBytes,
)

CORPUS = Path(__file__).parents[3] / "shared" / "data" / "conformance" / "cases.jsonl.gz"
DIALECT = OpenAIResponses()
TARGET = a_deployment("target-model")
WITHOUT_WORDS = ("response.created", "response.queued", "response.in_progress", "response.output_item.added",
                 "response.content_part.added", "response.reasoning_summary_part.added")  # fmt: skip

Case = dict[str, Any]
pytestmark = pytest.mark.skipif(not CORPUS.exists(), reason="the conformance corpus is not beside this checkout")


@cache
def rows() -> list[Case]:
    with gzip.open(CORPUS) as lines:
        return [row for line in lines if (row := orjson.loads(line))["api"] == "openai.responses"]


def cases(*, ok: bool = True, stream: bool | None = None) -> list[Any]:
    if not CORPUS.exists():
        return [pytest.param({}, id="no corpus")]
    chosen = [row for row in rows() if (row["status"] == 200) == ok and stream in (None, row["stream"])]
    assert chosen
    return [pytest.param(row, id=row["id"]) for row in chosen]


def asked(case: Case) -> Request:
    """The recorded request; what OpenAI itself refuses is not asked."""
    return DIALECT.parse_request({**case["request_body"], "model": case["request_body"].get("model") or "any"}, {})


# ── requests ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("case", cases())
def test_a_recorded_request_reaches_its_own_provider_unchanged_but_for_the_model(case: Case) -> None:
    request = asked(case)

    assert DIALECT.obstacles(request) == ()
    sent = DIALECT.render_request(request, TARGET, max_output_tokens=None)
    assert orjson.loads(sent.body) == {**case["request_body"], "model": TARGET.upstream_model}
    assert (sent.dropped, sent.path) == ((), "/responses")
    clamped = orjson.loads(DIALECT.render_request(request, TARGET, max_output_tokens=20).body)
    assert clamped == {**orjson.loads(sent.body), "max_output_tokens": 20}


@pytest.mark.parametrize("case", cases())
def test_a_recorded_request_written_anew_says_the_same(case: Case) -> None:
    request = asked(case)
    if any(name in case["request_body"] for name in ("previous_response_id", "conversation", "prompt", "background")):
        return  # what lives at the provider has no form outside its own wire
    anew = replace(request, wire=None)
    stored = [reason for reason in DIALECT.obstacles(anew) if "stored at another provider" not in reason]
    assert stored == []
    sent = DIALECT.render_request(anew, TARGET, max_output_tokens=None)

    again = DIALECT.parse_request(orjson.loads(sent.body), {})
    assert said(again) == said(request)
    for name in ("output", "max_output_tokens", "end_user", "stream", "temperature", "top_p", "parallel_tool_calls"):
        expected = getattr(request, name) if request.tools or name != "parallel_tool_calls" else None
        assert getattr(again, name) == expected, name
    assert [getattr(tool, "name", None) for tool in again.tools] == [
        getattr(tool, "name", None) for tool in request.tools
    ]


def said(request: Request) -> list[Any]:
    """Who says what; reasoning is never sent abroad, and neighbours of one role are one."""
    found: list[Any] = []
    for message in request.messages:
        for part in message.parts:
            match part:
                case Thinking():
                    continue
                case Text() | Refusal():
                    heard: Any = part.text
                case ToolCall():
                    heard = (part.id, part.name, part.arguments or "{}")
                case ToolResult():
                    heard = (part.call_id, [unmarked(inner) for inner in part.parts])
                case _:
                    heard = unmarked(part)
            found.append((message.role, heard))
    return found


def unmarked(part: Part) -> Any:
    match part:
        case Text():
            return part.text
        case Opaque() | Thinking() | Refusal():
            return part
        case _:
            detail = {"detail": getattr(part, "detail", None) or "auto"} if hasattr(part, "detail") else {}
            return replace(part, cache=None, **detail) if hasattr(part, "cache") else part


# ── whole answers ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("case", cases(stream=False))
def test_a_recorded_answer_is_skimmed_as_it_is_parsed(case: Case) -> None:
    recorded = case["response_body"]
    body = orjson.dumps(recorded)

    reply, response = DIALECT.skim_response(body), DIALECT.parse_response(body)
    assert reply.wire == body
    assert reply.model == response.model == recorded["model"]
    assert reply.usage == response.usage
    assert reply.stop == response.choices[0].stop
    assert_adds_up(response.usage, recorded.get("usage"))


@pytest.mark.parametrize("case", cases(stream=False))
def test_a_recorded_answer_written_anew_says_the_same(case: Case) -> None:
    recorded = case["response_body"]
    response = DIALECT.parse_response(orjson.dumps(recorded))
    written = orjson.loads(DIALECT.render_response(response, asked(case)))

    assert items_of(written) == items_of(recorded)
    assert written["id"] == recorded["id"] or (is_made(written["id"]) and not recorded["id"].startswith("resp_"))
    for name in ("object", "model", "error", "incomplete_details", "created_at"):
        assert written[name] == recorded[name], name
    assert written["status"] == {"complete": "completed"}.get(recorded["status"], recorded["status"])
    for name in ("temperature", "top_p", "tool_choice", "max_output_tokens", "parallel_tool_calls", "truncation"):
        if case["request_body"].get(name) is not None:
            assert written[name] == case["request_body"][name], name
    again = DIALECT.parse_response(orjson.dumps(written))
    assert again.usage == response.usage
    assert again.choices[0].parts == response.choices[0].parts
    assert again.choices[0].stop == response.choices[0].stop


@pytest.mark.parametrize("case", cases(stream=False))
def test_a_recorded_answer_told_as_a_stream_says_the_same(case: Case) -> None:
    response = DIALECT.parse_response(orjson.dumps(case["response_body"]))
    writer = DIALECT.open_writer(asked(case))
    *given, ended = chunks_of(response)
    assert isinstance(ended, Ended)
    sent = b"".join(map(writer.write, given)) + writer.end(ended, {})

    last = events_in(sent)[-1]["response"]
    assert items_of(last) == items_of(case["response_body"])
    assert last["model"] == response.model
    assert [event["sequence_number"] for event in events_in(sent)] == list(range(len(events_in(sent))))


def items_of(response: Case) -> list[Any]:
    """What an answer puts out; ids of items are the writer's own, where it has to make them."""
    found: list[Any] = []
    for item in response["output"]:
        match item["type"]:
            case "message":
                found += [part_of(part) for part in item["content"] if part.get("text") != ""]
            case "function_call" if not item.get("namespace"):
                found.append((item["call_id"], item["name"], item["arguments"] or "{}"))
            case "custom_tool_call" if not item.get("namespace"):
                found.append((item["call_id"], item["name"], item["input"]))
            case "reasoning" if not item.get("encrypted_content"):
                shown = [*(item.get("summary") or ()), *(item.get("content") or ())]
                found += [("thought", part["text"]) for part in shown]
            case _:
                found.append(item)
    return found


def part_of(part: Case) -> Any:
    if part["type"] == "refusal":
        return "refusal", part["refusal"]
    return part["text"], [(note["type"], note.get("url"), note.get("start_index")) for note in part["annotations"]]


def assert_adds_up(usage: Usage | None, recorded: Case | None) -> None:
    """Our disjoint classes sum to what the provider counted."""
    if recorded is None:
        assert usage is None
        return
    assert usage is not None
    assert usage.total_input_tokens == recorded["input_tokens"]
    assert usage.total_output_tokens == recorded["output_tokens"]
    inside = recorded.get("input_tokens_details") or {}
    assert usage.cached_input_tokens == (inside.get("cached_tokens") or 0)
    assert usage.cache_write_tokens == (inside.get("cache_write_tokens") or 0)
    assert usage.reasoning_tokens == ((recorded.get("output_tokens_details") or {}).get("reasoning_tokens") or 0)


# ── streams ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("case", cases(stream=True))
def test_a_recorded_stream_passes_byte_for_byte_however_it_is_cut(case: Case) -> None:
    raw = "".join(case["sse_events"]).encode()
    for pieces in ([raw], [event.encode() for event in case["sse_events"]], *(cut(raw, seed) for seed in range(3))):
        chunks = read(DIALECT.open_reader(same_dialect=True), pieces)
        ended = chunks[-1]
        assert isinstance(ended, Ended)
        assert ended.wire is not None
        assert b"".join(chunk.data for chunk in chunks if isinstance(chunk, WireBytes)) + ended.wire == raw
        last = events_in(raw)[-1]["response"]
        assert ended.model == last["model"]
        assert_adds_up(ended.usage, last["usage"])


@pytest.mark.parametrize("case", cases(stream=True))
def test_nothing_leaves_before_the_first_word_nor_the_end_before_its_time(case: Case) -> None:
    reader = DIALECT.open_reader(same_dialect=True)
    passed: list[Case] = []
    for event in case["sse_events"]:
        for chunk in reader.feed(event.encode()):
            if isinstance(chunk, WireBytes):
                if not passed:
                    assert events_in(chunk.data)[-1]["type"] not in WITHOUT_WORDS[:3]
                passed += events_in(chunk.data)
    assert "response.completed" not in [event["type"] for event in passed]


@pytest.mark.parametrize("case", cases(stream=True))
def test_the_report_is_added_and_no_other_byte_changed(case: Case) -> None:
    raw = "".join(case["sse_events"]).encode()
    writer = DIALECT.open_writer(asked(case))
    sent = b""
    for chunk in read(DIALECT.open_reader(same_dialect=True), [raw]):
        sent += writer.end(chunk, {"cost_usd": "0.01"}) if isinstance(chunk, Ended) else writer.write(chunk)
    assert events_in(sent)[-1]["response"]["polyroute"] == {"cost_usd": "0.01"}
    assert sent.replace(b',"polyroute":{"cost_usd":"0.01"}', b"") == raw


@pytest.mark.parametrize("case", cases(stream=True))
def test_a_recorded_stream_cut_short_never_ends_well(case: Case) -> None:
    events = case["sse_events"]
    for same_dialect in (True, False):
        for kept in (0, 1, len(events) // 2, len(events) - 1):
            with pytest.raises(ProviderError):
                read(DIALECT.open_reader(same_dialect=same_dialect), ["".join(events[:kept]).encode()])
        with pytest.raises(ProviderError):
            read(DIALECT.open_reader(same_dialect=same_dialect), ["".join(events)[:-40].encode()])


@pytest.mark.parametrize("case", cases(stream=True))
def test_a_recorded_stream_says_in_canonical_chunks_what_its_answer_says(case: Case) -> None:
    raw = "".join(case["sse_events"]).encode()
    chunks = read(DIALECT.open_reader(same_dialect=False), cut(raw, 1))
    assert isinstance(chunks[0], Started)
    last = events_in(raw)[-1]["response"]
    answer = DIALECT.parse_response(orjson.dumps(last))
    whole = [part for part in answer.choices[0].parts if not is_sealed(part)]
    assert gathered(chunks) == told(whole)
    ended, stopped = chunks[-1], chunks[-2]
    assert isinstance(ended, Ended)
    assert isinstance(stopped, ChoiceEnded)
    assert (ended.usage, ended.model, stopped.stop) == (answer.usage, answer.model, answer.choices[0].stop)

    # and once more through our own door
    writer = DIALECT.open_writer(asked(case))
    sent = b"".join(map(writer.write, chunks[:-1])) + writer.end(ended, {})
    again = read(DIALECT.open_reader(same_dialect=False), [sent])
    assert gathered(again) == gathered(chunks)
    assert again[-1] == ended


def is_sealed(part: Part) -> bool:
    """What only our own door could tell, and that one gets the bytes."""
    return isinstance(part, Opaque) and part.kind == "reasoning"


def told(parts: list[Part]) -> Any:
    return (
        "".join(part.text for part in parts if isinstance(part, Text)),
        "".join(part.text for part in parts if isinstance(part, Refusal)),
        "".join(part.text for part in parts if isinstance(part, Thinking)),
        [(part.id, part.name, part.arguments or "{}") for part in parts if isinstance(part, ToolCall)],
        # Tools that run side by side end in any order, and some are sealed anew each time they are told.
        sorted((part.kind, str(part.raw["id"])) for part in parts if isinstance(part, Opaque)),
        sum(len(part.citations) for part in parts if isinstance(part, Text)),
    )


def gathered(chunks: list[Chunk]) -> Any:
    parts: list[Part] = []
    calls: dict[int, ToolCall] = {}
    for chunk in chunks:
        match chunk:
            case TextDelta():
                parts.append(Text(text=chunk.text))
            case RefusalDelta():
                parts.append(Refusal(text=chunk.text))
            case ThinkingDelta():
                parts.append(Thinking(text=chunk.text))
            case ToolCallStarted():
                calls[chunk.part] = ToolCall(id=chunk.id, name=chunk.name, arguments="")
            case ToolCallDelta():
                call = calls[chunk.part]
                calls[chunk.part] = replace(call, arguments=call.arguments + chunk.arguments)
            case PartAdded():
                parts.append(chunk.content)
            case _:
                pass
    return told([*parts, *calls.values()])


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


def events_in(raw: bytes) -> list[Case]:
    return [orjson.loads(line[5:]) for line in raw.split(b"\n") if line.startswith(b"data:")]


# ── errors ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("case", cases(ok=False))
def test_a_recorded_error_is_classified(case: Case) -> None:
    body = orjson.dumps(case["response_body"]) if case.get("response_body") else b""
    error = DIALECT.classify_error(case["status"], body, None)
    assert error.http_status == case["status"]
    code = (case.get("response_body") or {}).get("error", {}).get("code")
    expected = {
        "invalid_api_key": (AuthRejected, Remedy.SWITCH),
        "model_not_found": (Rejected, Remedy.SWITCH),
        "context_length_exceeded": (ContextTooLong, Remedy.SWITCH),
    }.get(code, (Rejected, Remedy.STOP))
    assert (type(error), error.remedy) == expected
    assert "sk-" not in error.message
    if code == "decimal_below_min_value":
        with pytest.raises(InvalidRequest, match="temperature"):
            asked(case)
