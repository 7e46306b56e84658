"""Every recorded exchange of Google's API, AI Studio's and Vertex's, through the dialect: as door, upstream, and both.

Data: `../shared/data/conformance/cases.jsonl.gz` beside the checkout (its README names sources and licences).
"""

import gzip
import random
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pytest
from msgspec.structs import replace

from polyroute.dialects.gemini import Gemini
from polyroute.errors import ContextTooLong, InvalidRequest, Overloaded, ProviderError, Rejected, Remedy
from polyroute.types.cards import Deployment, ModelCard
from polyroute.types.content import Text, Thinking, ToolCall, ToolResult
from polyroute.types.request import Request, Tool
from polyroute.types.response import Chunk, Ended, Usage, WireBytes

CORPUS = Path(__file__).parents[3] / "shared" / "data" / "conformance" / "cases.jsonl.gz"
DIALECT = Gemini()
TARGET = Deployment(
    id="m@google",
    model="m",
    provider="google",
    dialect="gemini",
    upstream_model="target-model",
    card=ModelCard(id="google/m"),
)
pytestmark = pytest.mark.skipif(not CORPUS.exists(), reason="the conformance corpus is not beside this checkout")

Case = dict[str, Any]


@cache
def rows() -> list[Case]:
    with gzip.open(CORPUS) as lines:
        return [row for line in lines if (row := orjson.loads(line))["api"].startswith("gemini.")]


def cases(*, api: str = "gemini.generateContent", ok: bool = True, stream: bool | None = None) -> list[Any]:
    if not CORPUS.exists():
        return [pytest.param({}, id="no corpus")]
    chosen = [
        row
        for row in rows()
        if row["api"] == api and (row["status"] == 200) == ok and (stream is None or row["stream"] == stream)
    ]
    assert chosen
    return [pytest.param(row, id=row["id"]) for row in chosen]


def asked(case: Case) -> Request:
    return DIALECT.parse_request({**case["request_body"], "model": "asked", "stream": case["stream"]}, {})


# ── requests ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("case", cases())
def test_a_recorded_request_reaches_its_own_provider_unchanged(case: Case) -> None:
    request = asked(case)

    assert DIALECT.obstacles(request) == ()
    sent = DIALECT.render_request(request, TARGET, max_output_tokens=None)
    assert orjson.loads(sent.body) == case["request_body"]
    assert sent.path == "/models/target-model:" + (
        "streamGenerateContent?alt=sse" if case["stream"] else "generateContent"
    )
    assert sent.dropped == ()


@pytest.mark.parametrize("case", cases())
def test_a_recorded_request_written_anew_says_the_same(case: Case) -> None:
    request = asked(case)
    anew = orjson.loads(DIALECT.render_request(without_wire(request), TARGET, max_output_tokens=None).body)

    again = DIALECT.parse_request({**anew, "model": "asked", "stream": case["stream"]}, {})
    assert merged(again) == merged(request)
    for name in ("tool_choice", "output", "max_output_tokens", "stop", "temperature", "top_p", "top_k", "seed", "n"):
        assert getattr(again, name) == getattr(request, name), name
    assert sorted(getattr(tool, "name", "") for tool in again.tools) == sorted(
        getattr(tool, "name", "") for tool in request.tools
    )
    assert [tool.parameters for tool in again.tools if isinstance(tool, Tool) and tool.parameters] == [
        tool.parameters for tool in request.tools if isinstance(tool, Tool) and tool.parameters
    ]


@pytest.mark.parametrize("case", cases(ok=False))
def test_a_request_that_its_provider_refused_is_refused_here_only_for_its_form(case: Case) -> None:
    if case["request_body"]["contents"][0]["role"] == "invalid_role":
        with pytest.raises(InvalidRequest, match=r"contents\[0\].role"):
            asked(case)
    else:
        assert asked(case).model == "asked"


@pytest.mark.parametrize("case", cases(api="gemini.countTokens"))
def test_a_recorded_count_passes_both_ways(case: Case) -> None:
    request = DIALECT.parse_count_request({**case["request_body"], "model": "asked"}, {})

    sent = DIALECT.render_count_request(request, TARGET, is_vertex=case["provider"] == "google-vertex")
    expected = dict(case["request_body"])
    if "generateContentRequest" in expected:
        expected["generateContentRequest"] = {**expected["generateContentRequest"], "model": "models/target-model"}
    assert sent.path == "/models/target-model:countTokens"
    assert orjson.loads(sent.body) == expected
    tokens = DIALECT.parse_count(orjson.dumps(case["response_body"]))
    assert orjson.loads(DIALECT.render_count(tokens)) == {"totalTokens": case["response_body"]["totalTokens"]}


# ── whole answers ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("case", cases(stream=False))
def test_a_recorded_answer_is_skimmed_for_the_books(case: Case) -> None:
    recorded = case["response_body"]
    body = orjson.dumps(recorded)

    reply = DIALECT.skim_response(body)

    assert reply.wire is body
    assert reply.model == recorded["modelVersion"]
    assert reply.stop is DIALECT.parse_response(body).choices[0].stop
    assert adds_up(reply.usage, recorded.get("usageMetadata"))


@pytest.mark.parametrize("case", cases(stream=False))
def test_a_recorded_answer_written_anew_says_the_same(case: Case) -> None:
    recorded = case["response_body"]

    response = DIALECT.parse_response(orjson.dumps(recorded))
    written = orjson.loads(DIALECT.render_response(response, asked(case)))

    for name in ("responseId", "modelVersion"):
        assert written.get(name) == recorded.get(name), name
    for candidate, was in zip(written["candidates"], recorded.get("candidates", []), strict=False):
        assert candidate["finishReason"] == ("STOP" if was["finishReason"] == 1 else was["finishReason"])
        assert bare(candidate["content"]["parts"]) == bare(was.get("content", {}).get("parts", []))
    if response.usage is not None:
        assert written["usageMetadata"]["totalTokenCount"] == recorded["usageMetadata"]["totalTokenCount"]


# ── streams ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("case", cases(stream=True))
def test_a_tapped_stream_passes_byte_for_byte_however_it_is_cut(case: Case) -> None:
    recorded = "".join(case["sse_events"]).encode()
    for cuts in (1, 7, 60):
        *passed, ended = read(recorded, cuts, same_dialect=True)
        assert isinstance(ended, Ended)
        assert (
            b"".join(chunk.data for chunk in passed if isinstance(chunk, WireBytes)) + (ended.wire or b"") == recorded
        )
        assert adds_up(ended.usage, last_usage(recorded))
        assert ended.model == events_of(recorded)[0]["modelVersion"]


@pytest.mark.parametrize("case", cases(stream=True))
def test_the_report_is_placed_in_the_last_event_and_no_other_byte_changes(case: Case) -> None:
    recorded = "".join(case["sse_events"]).encode()
    *passed, ended = read(recorded, 5, same_dialect=True)
    assert isinstance(ended, Ended)
    writer = DIALECT.open_writer(asked(case))

    sent = b"".join(map(writer.write, passed)) + writer.end(ended, {"cost_usd": "0.01"})

    spliced = b',"polyroute":{"cost_usd":"0.01"}'
    assert sent.count(spliced) == 1
    assert sent.replace(spliced, b"") == recorded
    assert events_of(sent)[-1]["polyroute"] == {"cost_usd": "0.01"}


@pytest.mark.parametrize("case", cases(stream=True))
def test_a_stream_written_anew_says_the_same(case: Case) -> None:
    recorded = "".join(case["sse_events"]).encode()
    *chunks, ended = read(recorded, 9, same_dialect=False)
    assert isinstance(ended, Ended)
    writer = DIALECT.open_writer(asked(case))

    sent = b"".join(map(writer.write, chunks)) + writer.end(ended, {})

    assert joined(sent) == joined(recorded)
    assert events_of(sent)[-1]["candidates"][0]["finishReason"] == "STOP"
    assert adds_up(ended.usage, last_usage(recorded))


@pytest.mark.parametrize("case", cases(stream=True))
def test_a_cut_stream_never_passes_for_a_whole_one(case: Case) -> None:
    events = [event.encode() for event in case["sse_events"]]
    finish = next(i for i, event in enumerate(events) if b'"finishReason"' in event)
    for same_dialect in (True, False):
        for kept in {0, finish // 2, finish}:
            reader = DIALECT.open_reader(same_dialect=same_dialect)
            assert not any(isinstance(chunk, Ended) for chunk in reader.feed(b"".join(events[:kept])))
            with pytest.raises(ProviderError):
                reader.close()


# ── errors ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("case", cases(ok=False))
def test_a_recorded_error_is_classified(case: Case) -> None:
    error = DIALECT.classify_error(case["status"], orjson.dumps(case["response_body"]), None)

    message = case["response_body"]["error"]["message"]
    expected: type[ProviderError] = Rejected
    if "input token count" in message:
        expected = ContextTooLong
    elif case["status"] == 429:
        expected = Overloaded
        assert error.retry_after_s is not None
        assert 48 <= error.retry_after_s < 49
    assert type(error) is expected
    assert error.message[:40] == message[:40]
    assert error.http_status == case["status"]
    assert (error.remedy is Remedy.SWITCH) == (case["status"] == 404 or expected is ContextTooLong)


# ── what nobody recorded ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("seed", range(6))
def test_a_request_with_one_value_gone_wrong_is_refused_or_served_and_never_breaks(seed: int) -> None:
    draw = random.Random(seed)
    bodies = [param.values[0]["request_body"] for param in cases()]
    for _ in range(250):
        body = {**spoiled(draw.choice(bodies), draw), "model": "m"}
        try:
            request = DIALECT.parse_request(body, {})
        except InvalidRequest as refused:
            assert refused.field is not None, refused.message  # noqa: PT017
            continue
        for limit in (None, 5, 3000):
            orjson.loads(DIALECT.render_request(request, TARGET, max_output_tokens=limit).body)
        if not DIALECT.obstacles(without_wire(request)):
            orjson.loads(DIALECT.render_request(without_wire(request), TARGET, max_output_tokens=None).body)


@pytest.mark.parametrize("seed", range(6))
def test_an_answer_with_one_value_gone_wrong_is_read_or_a_providers_error(seed: int) -> None:
    draw = random.Random(seed)
    answers = [param.values[0]["response_body"] for param in cases(stream=False)]
    streams = [events_of("".join(param.values[0]["sse_events"]).encode()) for param in cases(stream=True)]
    request = DIALECT.parse_request({"model": "m", "contents": [{"parts": [{"text": "q"}]}]}, {})
    for _ in range(150):
        body = orjson.dumps(spoiled(draw.choice(answers), draw))
        with suppress(ProviderError):
            DIALECT.skim_response(body)
        with suppress(ProviderError):
            DIALECT.render_response(DIALECT.parse_response(body), request)
        events = list(draw.choice(streams))
        place = draw.randrange(len(events))
        events[place] = spoiled(events[place], draw)
        stream = b"".join(b"data: %b\r\n\r\n" % orjson.dumps(event) for event in events)
        for same_dialect in (True, False):
            with suppress(ProviderError):
                *chunks, ended = read(stream, 3, same_dialect=same_dialect)
                assert isinstance(ended, Ended)
                writer = DIALECT.open_writer(request)
                assert b"".join(map(writer.write, chunks)) + writer.end(ended, {"cost_usd": "0"})


def spoiled(value: Any, draw: random.Random) -> Any:
    """A copy of `value` in which one value, anywhere, is gone or of another kind."""
    copy = orjson.loads(orjson.dumps(value))
    holders: list[Any] = [copy]
    for holder in holders:  # grows as it is walked
        inner = holder.values() if isinstance(holder, dict) else holder
        holders += [item for item in inner if isinstance(item, dict | list) and item]
    holder = draw.choice(holders)
    key = draw.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
    if draw.random() < 0.3:
        del holder[key]
    else:
        holder[key] = draw.choice([None, 1, -1, 0.5, True, "", "x", [], {}, [1], [{}], {"type": "text"}, {"type": []}])
    return copy


# ── reading recordings ────────────────────────────────────────────────────────────────────────────────────


def without_wire(request: Request) -> Request:
    return replace(request, wire=None)


def merged(request: Request) -> Any:
    """Messages as Gemini sees them: one turn per role, instructions first, results before what else a turn says."""
    turns: list[tuple[str, list[Any]]] = []
    system: list[Any] = []
    for message in request.messages:
        role = "user" if message.role == "tool" else message.role
        parts = [kept for part in message.parts for kept in as_sent(part)]
        if role == "system":
            system += parts
        elif turns and turns[-1][0] == role:
            turns[-1][1].extend(parts)
        elif parts:
            turns.append((role, parts))
    for _, parts in turns:
        parts.sort(key=lambda part: not isinstance(part, ToolResult))
        if (first := next((i for i, part in enumerate(parts) if isinstance(part, ToolCall)), None)) is not None:
            parts[first] = replace(parts[first], thought_signature="")  # one is put where there was none
    return system, turns


def as_sent(part: Any) -> list[Any]:
    match part:
        case Text(text="", thought_signature=None) | Thinking(thought_signature=None):
            return []
        case ToolResult():
            shown = [inner for inner in part.parts if not isinstance(inner, Text)]
            said = tuple(inner for inner in part.parts if isinstance(inner, Text) and inner.text)
            caption = [Text(text=f"Shown by tool call {part.call_id}:")] if shown else []
            return [replace(part, parts=said), *caption, *shown]
        case _:
            return [part]


def adds_up(usage: Usage | None, recorded: dict[str, Any] | None) -> bool:
    if recorded is None or "promptTokenCount" not in recorded:
        return usage is None
    assert usage is not None
    return bool(
        usage.total_tokens == recorded["totalTokenCount"]
        and usage.cached_input_tokens == recorded.get("cachedContentTokenCount", 0)
        and usage.reasoning_tokens == recorded.get("thoughtsTokenCount", 0)
        and usage.total_input_tokens == recorded["promptTokenCount"] + recorded.get("toolUsePromptTokenCount", 0)
    )


def bare(parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Parts without ids that we made, the mark we put on unsigned calls, and empty texts."""
    kept = []
    for part in parts:
        part = {name: value for name, value in part.items() if name != "thoughtSignature" or "functionCall" not in part}
        if "functionCall" in part:
            part["functionCall"] = {name: value for name, value in part["functionCall"].items() if name != "id"}
        if part != {"text": ""}:
            kept.append(part)
    return kept


def read(stream: bytes, cuts: int, *, same_dialect: bool) -> list[Chunk]:
    draw = random.Random(cuts)
    places = sorted(draw.randrange(len(stream) + 1) for _ in range(cuts))
    reader = DIALECT.open_reader(same_dialect=same_dialect)
    chunks: list[Chunk] = []
    for start, end in zip([0, *places], [*places, len(stream)], strict=True):
        chunks += reader.feed(stream[start:end])
    return chunks + reader.close()


def events_of(stream: bytes) -> list[dict[str, Any]]:
    return [orjson.loads(line[5:]) for line in stream.splitlines() if line.startswith(b"data:")]


def last_usage(stream: bytes) -> dict[str, Any] | None:
    found = [event["usageMetadata"] for event in events_of(stream) if "usageMetadata" in event]
    return found[-1] if found else None


def joined(stream: bytes) -> Any:
    """What a client makes of a stream: texts, thoughts, calls and what only Gemini has, each in its order."""
    parts = [
        part
        for event in events_of(stream)
        for candidate in event.get("candidates", [])
        for part in candidate.get("content", {}).get("parts", [])
    ]
    return (
        "".join(part["text"] for part in parts if "text" in part and not part.get("thought")),
        "".join(part["text"] for part in parts if "text" in part and part.get("thought")),
        [(part["functionCall"]["name"], part["functionCall"]["args"]) for part in parts if "functionCall" in part],
        [part for part in parts if not {"text", "functionCall"} & part.keys()],
    )
