"""Whole answers, streams and errors, both ways."""

from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyroute.dialects.gemini import Gemini, GeminiArray
from polyroute.dialects.gemini.write_content import UNSIGNED
from polyroute.errors import (
    AuthRejected,
    ContextTooLong,
    MalformedReply,
    Overloaded,
    ProviderError,
    Rejected,
    Remedy,
    StreamInterrupted,
)
from polyroute.types.content import Text, ToolCall
from polyroute.types.request import ask
from polyroute.types.response import (
    Choice,
    Chunk,
    Ended,
    Response,
    StopReason,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    Usage,
    WireBytes,
)

DIALECT = Gemini()
REQUEST = ask("m", "q")


def body(*parts: Any, finish: Any = "STOP", **more: Any) -> dict[str, Any]:
    candidate = {"content": {"parts": list(parts), "role": "model"}, "index": 0}
    if finish is not None:
        candidate["finishReason"] = finish
    return {"candidates": [{**candidate, **more}], "modelVersion": "m-1", "responseId": "r"}


def parse(value: Any) -> Response:
    return DIALECT.parse_response(orjson.dumps(value))


def event(value: Any, ends: bytes = b"\r\n\r\n") -> bytes:
    return b"data: " + orjson.dumps(value) + ends


def read(stream: bytes, *, same_dialect: bool = False) -> list[Chunk]:
    reader = DIALECT.open_reader(same_dialect=same_dialect)
    return [*reader.feed(stream), *reader.close()]


@pytest.mark.parametrize(
    ("finish", "stop"),
    [
        ("STOP", StopReason.END),
        (1, StopReason.END),
        ("MAX_TOKENS", StopReason.MAX_TOKENS),
        ("SAFETY", StopReason.CONTENT_FILTER),
        (3, StopReason.CONTENT_FILTER),
        ("MODEL_ARMOR", StopReason.CONTENT_FILTER),
        ("A_NEW_ONE", StopReason.UNKNOWN),
    ],
)
def test_why_an_answer_ended(finish: Any, stop: StopReason) -> None:
    assert parse(body({"text": "x"}, finish=finish)).choices[0].stop is stop


def test_a_blocked_prompt_is_an_answer_that_the_filter_ended() -> None:
    answer = {"promptFeedback": {"blockReason": "SAFETY"}, "modelVersion": "m"}
    [choice] = parse(answer).choices
    assert (choice.parts, choice.stop) == ((), StopReason.CONTENT_FILTER)
    assert DIALECT.skim_response(orjson.dumps(answer)).stop is StopReason.CONTENT_FILTER
    assert any(isinstance(chunk, Ended) for chunk in read(event(answer)))


def test_calls_without_ids_get_the_same_ones_at_every_reading() -> None:
    answer = body({"functionCall": {"name": "f"}}, {"functionCall": {"name": "f"}})
    first, second = parse(answer).choices[0].parts, parse(answer).choices[0].parts
    ids = [part.id for part in first if isinstance(part, ToolCall)]
    assert first == second
    assert len(set(ids)) == 2
    other = parse({**answer, "responseId": "another"}).choices[0].parts
    assert not set(ids) & {part.id for part in other if isinstance(part, ToolCall)}


def test_usage_is_counted_once_by_class() -> None:
    usage = {
        "promptTokenCount": 100, "cachedContentTokenCount": 40, "candidatesTokenCount": 20, "thoughtsTokenCount": 5,
        "toolUsePromptTokenCount": 7, "totalTokenCount": 132,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 70}, {"modality": "AUDIO", "tokenCount": 30}],
        "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 10}],
    }  # fmt: skip
    found = parse({**body({"text": "x"}), "usageMetadata": usage}).usage
    assert found == Usage(
        input_tokens=47, cached_input_tokens=40, input_audio_tokens=20, output_tokens=20, reasoning_tokens=5
    )
    assert found.total_tokens == 132


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {},
        {"trafficType": "X"},
        {"promptTokenCount": -1},
        {"promptTokenCount": "9"},
        {"promptTokenCount": 1 << 50},
    ],
)
def test_usage_that_cannot_be_true_is_none(usage: Any) -> None:
    assert parse({**body({"text": "x"}), "usageMetadata": usage}).usage is None


def test_grounding_becomes_citations_by_characters_and_back() -> None:
    grounding = {
        "groundingChunks": [{"web": {"uri": "https://example.com", "title": "t"}}],
        "groundingSupports": [
            {"segment": {"startIndex": 3, "endIndex": 6, "text": "abc"}, "groundingChunkIndices": [0]}
        ],
    }
    response = parse(body({"text": "é abc"}, groundingMetadata=grounding))
    [part] = response.choices[0].parts
    assert isinstance(part, Text)
    cited = {"url": "https://example.com", "title": "t", "start_index": 2, "end_index": 5}
    assert part.citations == ({"type": "url_citation", "url_citation": cited},)
    written = orjson.loads(DIALECT.render_response(response, REQUEST))["candidates"][0]["groundingMetadata"]
    assert written["groundingSupports"][0]["segment"] == {"startIndex": 3, "endIndex": 6}


def test_anothers_call_is_given_the_mark_with_which_gemini_takes_it() -> None:
    calls = tuple(ToolCall(id=str(number), name="f", arguments='{"a": 1}') for number in range(2))
    response = Response(id="", model="m", choices=(Choice(parts=calls, stop=StopReason.TOOL_CALLS),), usage=None)
    parts = orjson.loads(DIALECT.render_response(response, REQUEST))["candidates"][0]["content"]["parts"]
    assert [part.get("thoughtSignature") for part in parts] == [UNSIGNED, None]
    assert parts[0]["functionCall"] == {"id": "0", "name": "f", "args": {"a": 1}}


@pytest.mark.parametrize(
    "answer",
    [b"", b"<html>", b"null", b"[]", b"{}", b'{"candidates": []}', b'{"candidates": 5}', b"\xff\xfe",
     orjson.dumps(body(finish="MALFORMED_FUNCTION_CALL"))],
)  # fmt: skip
def test_what_is_no_answer_is_malformed(answer: bytes) -> None:
    with pytest.raises(MalformedReply):
        DIALECT.parse_response(answer)
    if b"MALFORMED" not in answer:
        with pytest.raises(MalformedReply):
            DIALECT.skim_response(answer)


@pytest.mark.parametrize(
    ("status", "error", "kind", "remedy"),
    [
        (400, {"status": "INVALID_ARGUMENT", "message": "bad"}, Rejected, Remedy.STOP),
        (400, {"status": "INVALID_ARGUMENT", "message": "API key not valid."}, AuthRejected, Remedy.SWITCH),
        (400, {"status": "FAILED_PRECONDITION", "message": "User location is not supported"}, AuthRejected,
         Remedy.SWITCH),
        (400, {"status": "INVALID_ARGUMENT",
               "message": "The input token count (9) exceeds the maximum number of tokens allowed (8)."},
         ContextTooLong, Remedy.SWITCH),
        (403, {"status": "PERMISSION_DENIED", "message": "no"}, AuthRejected, Remedy.SWITCH),
        (404, {"status": "NOT_FOUND", "message": "models/x is not found"}, Rejected, Remedy.SWITCH),
        (429, {"status": "RESOURCE_EXHAUSTED", "message": "slow down"}, Overloaded, Remedy.RETRY),
        (429, {"status": "RESOURCE_EXHAUSTED", "message": "quota",
               "details": [{"violations": [{"quotaId": "RequestsPerDayPerProject"}]}]}, Overloaded, Remedy.SWITCH),
        (503, {"status": "UNAVAILABLE", "message": "overloaded"}, Overloaded, Remedy.RETRY),
    ],
)  # fmt: skip
def test_errors_by_what_may_help(status: int, error: Any, kind: type[ProviderError], remedy: Remedy) -> None:
    for found in ({"error": error}, [{"error": error}]):
        told = DIALECT.classify_error(status, orjson.dumps(found), None)
        assert (type(told), told.remedy) == (kind, remedy)


def test_an_error_inside_a_200_is_an_error_everywhere() -> None:
    broken = {"error": {"code": 503, "message": "lost", "status": "UNAVAILABLE"}}
    with pytest.raises(Overloaded):
        DIALECT.skim_response(orjson.dumps(broken))
    for same_dialect in (True, False):
        with pytest.raises(Overloaded):
            read(event(body({"text": "x"}, finish=None)) + event(broken), same_dialect=same_dialect)


# ── streams ───────────────────────────────────────────────────────────────────────────────────────────────


STREAM = b"".join(
    [
        b": a comment\r\n\r\n",
        event(body({"text": "hm", "thought": True}, finish=None)),
        event(body({"text": "Grüße "}, finish=None), b"\n\n"),
        event(body({"text": "🌍"}, {"functionCall": {"name": "f", "args": {"a": [1]}}}, finish=None)),
        event({**body({"text": ""}), "usageMetadata": {"promptTokenCount": 3, "totalTokenCount": 9}}),
    ]
)


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_a_stream_split_anywhere_reads_alike(places: list[int]) -> None:
    cuts = [0, *sorted(places), len(STREAM)]
    pieces = [STREAM[start:end] for start, end in pairwise(cuts)]
    for same_dialect in (True, False):
        reader = DIALECT.open_reader(same_dialect=same_dialect)
        chunks = [chunk for piece in pieces for chunk in reader.feed(piece)] + reader.close()
        whole = read(STREAM, same_dialect=same_dialect)
        if same_dialect:
            last = chunks[-1]
            assert isinstance(last, Ended)
            assert b"".join(c.data for c in chunks if isinstance(c, WireBytes)) + (last.wire or b"") == STREAM
            assert last.usage == Usage(input_tokens=3, output_tokens=6)
        else:
            assert chunks == whole


def test_a_stream_is_read_part_by_part() -> None:
    chunks = read(STREAM)
    assert "".join(c.text for c in chunks if isinstance(c, TextDelta)) == "Grüße 🌍"
    assert "".join(c.text for c in chunks if isinstance(c, ThinkingDelta)) == "hm"
    assert "".join(c.arguments for c in chunks if isinstance(c, ToolCallDelta)) == '{"a":[1]}'


@pytest.mark.parametrize("same_dialect", [True, False])
@pytest.mark.parametrize(
    "stream",
    [b"", event(body({"text": "x"}, finish=None)), event(body({"text": "x"}))[:-9], b": only a comment\n\n"],
)
def test_a_stream_without_a_finish_was_cut(stream: bytes, same_dialect: bool) -> None:
    with pytest.raises(StreamInterrupted):
        read(stream, same_dialect=same_dialect)


def test_models_that_finish_with_every_event_are_passed_on_to_the_last() -> None:
    stream = event(body({"text": "a"})) + event(body({"text": "b"})) + event(body({"text": "c"}))
    *passed, ended = read(stream, same_dialect=True)
    assert isinstance(ended, Ended)
    assert ended.wire == event(body({"text": "c"}))
    assert b"".join(c.data for c in passed if isinstance(c, WireBytes)) + ended.wire == stream


def test_an_early_error_comes_before_any_byte() -> None:
    reader = DIALECT.open_reader(same_dialect=True)
    assert reader.feed(event(body({"text": ""}, finish=None))) == []
    with pytest.raises(Overloaded):
        reader.feed(event({"error": {"code": 503, "message": "busy", "status": "UNAVAILABLE"}}))


def test_an_array_holds_what_the_events_hold() -> None:
    *passed, ended = read(STREAM, same_dialect=True)
    assert isinstance(ended, Ended)
    writer = GeminiArray().open_writer(REQUEST)
    told = orjson.loads(b"".join(map(writer.write, passed)) + writer.end(ended, {"cost_usd": "0"}))
    assert len(told) == 4
    assert told[-1].pop("polyroute") == {"cost_usd": "0"}
    assert told == [orjson.loads(line[5:]) for line in STREAM.splitlines() if line.startswith(b"data:")]


@pytest.mark.parametrize("dialect", [Gemini(), GeminiArray()])
def test_a_broken_stream_ends_in_googles_error(dialect: Gemini) -> None:
    writer = dialect.open_writer(REQUEST)
    sent = writer.write(TextDelta(text="a")) + writer.error("upstream_error", "lost", None)
    assert b'"status":"INTERNAL"' in sent
    if isinstance(dialect, GeminiArray):
        assert orjson.loads(sent)[-1]["error"]["code"] == 502
