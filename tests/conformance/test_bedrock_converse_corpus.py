"""Every recorded exchange of Bedrock's Converse API, through the dialect: as a door, as an upstream, as both.

Data: `../shared/data/conformance/cases.jsonl.gz` beside the checkout (its README names sources and licences). What is
written anew is held against botocore's own description of the service.
"""

import gzip
import random
from base64 import b64decode
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import botocore.session
import orjson
import pytest
from botocore.validate import ParamValidator
from msgspec.structs import replace

from polyroute.dialects.anthropic_messages import AnthropicMessages
from polyroute.dialects.bedrock_converse import BedrockConverse
from polyroute.dialects.bedrock_converse.events import read_event
from polyroute.dialects.event_stream import FrameSplitter, encode_frame
from polyroute.dialects.openai_chat import OpenAIChat
from polyroute.errors import AuthRejected, ContextTooLong, InvalidRequest, ProviderError, Rejected, Remedy
from polyroute.ports import Dialect
from polyroute.types.cards import Deployment, ModelCard
from polyroute.types.content import Part, Refusal, Text, Thinking, ToolCall
from polyroute.types.request import Request
from polyroute.types.response import (
    Chunk,
    Ended,
    PartAdded,
    RefusalDelta,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
    WireBytes,
)

CORPUS = Path(__file__).parents[3] / "shared" / "data" / "conformance" / "cases.jsonl.gz"
DIALECT = BedrockConverse()
OTHERS: dict[str, Dialect] = {"openai.chat": OpenAIChat(), "anthropic.messages": AnthropicMessages()}
QUESTIONS: dict[str, dict[str, object]] = {
    "openai.chat": {
        "model": "m",
        "messages": [{"role": "user", "content": "q"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    },
    "anthropic.messages": {
        "model": "m",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "q"}],
        "stream": True,
    },
}
pytestmark = pytest.mark.skipif(not CORPUS.exists(), reason="the conformance corpus is not beside this checkout")

Case = dict[str, Any]


def target(model: str = "us.anthropic.claude-sonnet-4-5-20250929-v1:0") -> Deployment:
    return Deployment(
        id="m@aws",
        model="m",
        provider="aws",
        dialect="bedrock_converse",
        upstream_model=model,
        card=ModelCard(id=f"aws/{model}"),
    )


@cache
def rows() -> list[Case]:
    with gzip.open(CORPUS) as lines:
        return [orjson.loads(line) for line in lines]


def cases(*, api: str = "bedrock.converse", ok: bool = True, stream: bool | None = None) -> list[Any]:
    if not CORPUS.exists():
        return [pytest.param({}, id="no corpus")]
    return [
        pytest.param(row, id=row["id"])
        for row in rows()
        if row["api"] == api and (row["status"] == 200) == ok and (stream is None or row["stream"] == stream)
    ]


def body_of(case: Case) -> dict[str, Any]:
    """The body as the door hands it on: with what stands in the path."""
    return {**case["request_body"], "model": case["model"], "stream": case["path"].endswith("-stream")}


# ── requests ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("case", cases())
def test_a_recorded_request_reaches_its_own_provider_unchanged(case: Case) -> None:
    request = DIALECT.parse_request(body_of(case), {})

    assert DIALECT.obstacles(request) == ()
    sent = DIALECT.render_request(request, target(case["model"]), max_output_tokens=None)
    assert orjson.loads(sent.body) == case["request_body"]
    assert sent.dropped == ()
    assert sent.path.rpartition("/")[2] == case["path"].rpartition("/")[2]
    assert unquote(sent.path) == f"/model/{case['model']}/{sent.path.rpartition('/')[2]}"


@pytest.mark.parametrize("case", cases())
def test_a_recorded_request_written_anew_says_the_same(case: Case) -> None:
    request = DIALECT.parse_request(body_of(case), {})
    sent = DIALECT.render_request(without_wire(request), target(case["model"]), max_output_tokens=None)
    anew = orjson.loads(sent.body)
    assert_valid(anew)

    again = DIALECT.parse_request({**anew, "model": case["model"], "stream": request.stream}, {})
    assert [text for text in texts(request) if text.strip() not in " ".join(texts(again))] == []
    assert calls(again.messages) == calls(request.messages)
    for name in ("tool_choice", "max_output_tokens", "stop", "stream"):
        assert getattr(again, name) == getattr(request, name), name
    assert (again.output is None) == (request.output is None)
    assert [getattr(tool, "name", "") for tool in again.tools] == [getattr(tool, "name", "") for tool in request.tools]


@pytest.mark.parametrize("case", cases(ok=False))
def test_a_request_that_its_provider_refused_is_read(case: Case) -> None:
    assert DIALECT.parse_request(body_of(case), {}).model == case["model"]


@pytest.mark.parametrize("case", [*cases(api="openai.chat"), *cases(api="anthropic.messages")])
def test_a_request_of_another_door_is_put_to_converse_as_its_service_describes_it_or_refused(case: Case) -> None:
    door = OTHERS[case["api"]]
    body = case["request_body"]
    request = door.parse_request({**body, "model": body.get("model") or "asked"}, {})
    if DIALECT.obstacles(request):
        return
    anew: dict[str, Any] = {}
    for model in ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "us.amazon.nova-2-lite-v1:0", "meta.llama3-1-8b"):
        sent = DIALECT.render_request(request, target(model), max_output_tokens=None)
        anew = orjson.loads(sent.body)
        assert_valid(anew)
    again = DIALECT.parse_request({**anew, "model": "m", "stream": request.stream}, {})
    heard = " ".join(texts(again))
    assert [text for text in texts(request) if text.strip() not in heard] == []
    assert calls(again.messages) == calls(request.messages)
    assert request.max_output_tokens in (None, again.max_output_tokens)


@pytest.mark.parametrize("api", list(OTHERS))
@pytest.mark.parametrize("case", cases())
def test_a_recorded_request_is_put_to_another_provider_whole_or_refused(case: Case, api: str) -> None:
    request = DIALECT.parse_request(body_of(case), {})
    upstream = OTHERS[api]
    if reasons := upstream.obstacles(request):
        allowed = (
            "systemTool",
            "guardrailConfig",
            "document",
            "system message",
            "only bedrock_converse",
            "means something",
        )
        assert all(any(word in reason for word in allowed) for reason in reasons), reasons
        return
    sent = upstream.render_request(request, target(), max_output_tokens=None)
    again = upstream.parse_request(orjson.loads(sent.body), {})
    heard = " ".join(texts(again))
    assert [text for text in texts(request) if text.strip() not in heard] == []
    assert calls(again.messages) == calls(request.messages)


# ── whole answers ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("case", cases(stream=False))
def test_a_recorded_answer_is_skimmed_for_the_books(case: Case) -> None:
    recorded = case["response_body"]
    body = orjson.dumps(recorded)

    reply = DIALECT.skim_response(body)

    assert reply.wire is body
    assert reply.stop is DIALECT.parse_response(body).choices[0].stop
    assert adds_up(reply.usage, recorded["usage"])


@pytest.mark.parametrize("case", cases(stream=False))
def test_a_recorded_answer_written_anew_says_the_same(case: Case) -> None:
    recorded = case["response_body"]
    response = DIALECT.parse_response(orjson.dumps(recorded))
    written = orjson.loads(DIALECT.render_response(response, DIALECT.parse_request(body_of(case), {})))

    assert written["stopReason"] == recorded["stopReason"]
    assert bare(written["output"]["message"]["content"]) == bare(recorded["output"]["message"]["content"])
    for name in ("inputTokens", "outputTokens", "totalTokens"):
        assert written["usage"][name] == recorded["usage"][name]


@pytest.mark.parametrize("api", list(OTHERS))
@pytest.mark.parametrize("case", cases(stream=False))
def test_a_recorded_answer_reaches_another_door_whole(case: Case, api: str) -> None:
    door = OTHERS[api]
    response = DIALECT.parse_response(orjson.dumps(case["response_body"]))
    again = door.parse_response(door.render_response(response, door.parse_request(QUESTIONS[api], {})))

    assert answered(again.choices[0].parts) == answered(response.choices[0].parts)
    assert counted(again.usage) == counted(response.usage)


@pytest.mark.parametrize(
    "case", [*cases(api="openai.chat", stream=False), *cases(api="anthropic.messages", stream=False)]
)
def test_another_providers_answer_reaches_this_door_whole(case: Case) -> None:
    upstream = OTHERS[case["api"]]
    response = upstream.parse_response(orjson.dumps(case["response_body"]))
    request = DIALECT.parse_request({"model": "m", "stream": False, "messages": [USER]}, {})

    again = DIALECT.parse_response(DIALECT.render_response(response, request))

    assert answered(again.choices[0].parts) == answered(response.choices[0].parts)
    assert counted(again.usage) == counted(response.usage)
    assert again.model == response.model


USER = {"role": "user", "content": [{"text": "q"}]}

# ── streams ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("case", cases(stream=True))
def test_a_tapped_stream_passes_byte_for_byte_however_it_is_cut(case: Case) -> None:
    recorded = b64decode(case["stream_b64"])
    for cuts in (1, 7, 60, len(recorded) // 8):
        *passed, ended = read(recorded, cuts, same_dialect=True)
        assert isinstance(ended, Ended)
        data = b"".join(chunk.data for chunk in passed if isinstance(chunk, WireBytes)) + (ended.wire or b"")
        assert data == recorded
        assert adds_up(ended.usage, metadata_of(case)["usage"])
        writer = DIALECT.open_writer(DIALECT.parse_request(body_of(case), {}))
        assert b"".join(map(writer.write, passed)) + writer.end(ended, {"cost_usd": "1"}) == recorded


@pytest.mark.parametrize("case", cases(stream=True))
def test_a_stream_written_anew_says_the_same(case: Case) -> None:
    recorded = b64decode(case["stream_b64"])
    *chunks, ended = read(recorded, 9, same_dialect=False)
    assert isinstance(ended, Ended)
    writer = DIALECT.open_writer(DIALECT.parse_request(body_of(case), {}))

    sent = b"".join(map(writer.write, chunks)) + writer.end(ended, {"cost_usd": "0.01"})

    expected, answer = accumulated(recorded), accumulated(sent)
    assert answer["content"] == expected["content"]
    assert answer["stopReason"] == expected["stopReason"]
    assert answer["metadata"]["polyroute"] == {"cost_usd": "0.01"}
    for name in ("inputTokens", "outputTokens", "totalTokens"):
        assert answer["metadata"]["usage"][name] == expected["metadata"]["usage"][name]


@pytest.mark.parametrize("api", list(OTHERS))
@pytest.mark.parametrize("case", cases(stream=True))
def test_a_recorded_stream_reaches_another_door_whole(case: Case, api: str) -> None:
    door = OTHERS[api]
    chunks = read(b64decode(case["stream_b64"]), 5, same_dialect=False)
    writer = door.open_writer(door.parse_request(QUESTIONS[api], {}))
    *given, ended = chunks
    assert isinstance(ended, Ended)
    sent = b"".join(map(writer.write, given)) + writer.end(ended, {})
    reader = door.open_reader(same_dialect=False)
    again = [*reader.feed(sent), *reader.close()]

    assert answered(joined(again)) == answered(joined(chunks))


@pytest.mark.parametrize(
    "case", [*cases(api="openai.chat", stream=True), *cases(api="anthropic.messages", stream=True)]
)
def test_another_providers_stream_reaches_this_door_whole(case: Case) -> None:
    upstream = OTHERS[case["api"]]
    reader = upstream.open_reader(same_dialect=False)
    chunks = [*reader.feed("".join(case["sse_events"]).encode()), *reader.close()]
    writer = DIALECT.open_writer(DIALECT.parse_request({"model": "m", "stream": True, "messages": [USER]}, {}))
    *given, ended = chunks
    assert isinstance(ended, Ended)
    sent = b"".join(map(writer.write, given)) + writer.end(ended, {})

    again = read(sent, 11, same_dialect=False)

    assert answered(joined(again)) == answered(joined(chunks))
    last = again[-1]
    assert isinstance(last, Ended)
    assert counted(last.usage) == counted(ended.usage)


@pytest.mark.parametrize("case", cases(stream=True))
def test_a_cut_or_spoiled_stream_never_passes_for_a_whole_one(case: Case) -> None:
    recorded = b64decode(case["stream_b64"])
    frames = FrameSplitter().feed(recorded)
    before_stop = next(at for at, frame in enumerate(frames) if b"messageStop" in frame)
    draw = random.Random(1)
    for same_dialect in (True, False):
        for kept in {0, 1, before_stop // 2, before_stop}:
            reader = DIALECT.open_reader(same_dialect=same_dialect)
            assert not any(isinstance(chunk, Ended) for chunk in reader.feed(b"".join(frames[:kept])))
            with pytest.raises(ProviderError):
                reader.close()
        for _ in range(20):
            place = draw.randrange(len(b"".join(frames[:before_stop])))
            spoiled = recorded[:place] + bytes([recorded[place] ^ (1 << draw.randrange(8))]) + recorded[place + 1 :]
            with pytest.raises(ProviderError):
                read(spoiled, 5, same_dialect=same_dialect)


# ── errors ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("case", cases(ok=False))
def test_a_recorded_error_is_classified(case: Case) -> None:
    header = case["response_headers"].get("x-amzn-errortype")
    error = DIALECT.classify_failure(case["status"], orjson.dumps(case["response_body"]), None, header)

    message = case["response_body"]["message"]
    expected: type[ProviderError] = Rejected
    if "Input Tokens Exceeded" in message:
        expected = ContextTooLong
    elif case["status"] in (401, 403):
        expected = AuthRejected
    assert type(error) is expected
    assert error.message == message
    assert error.http_status == case["status"]
    assert error.remedy is Remedy.SWITCH


# ── what nobody recorded ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("seed", range(8))
def test_a_request_with_one_value_gone_wrong_is_refused_or_served_and_never_breaks(seed: int) -> None:
    draw = random.Random(seed)
    bodies = [body_of(param.values[0]) for param in cases()]
    for _ in range(200):
        body = spoil(draw.choice(bodies), draw)
        try:
            request = DIALECT.parse_request(body, {})
        except InvalidRequest as refused:
            assert refused.field is not None, refused.message  # noqa: PT017
            continue
        for limit in (None, 5, 3000):
            DIALECT.render_request(request, target(), max_output_tokens=limit)
        if not DIALECT.obstacles(without_wire(request)):
            DIALECT.render_request(without_wire(request), target(), max_output_tokens=None)


@pytest.mark.parametrize("seed", range(8))
def test_an_answer_with_one_value_gone_wrong_is_read_or_a_providers_error(seed: int) -> None:
    draw = random.Random(seed)
    answers = [param.values[0]["response_body"] for param in cases(stream=False)]
    streams = [events_of(b64decode(param.values[0]["stream_b64"])) for param in cases(stream=True)]
    request = DIALECT.parse_request({"model": "m", "messages": [USER]}, {})
    for _ in range(100):
        body = orjson.dumps(spoil(draw.choice(answers), draw))
        with suppress(ProviderError):
            DIALECT.skim_response(body)
        with suppress(ProviderError):
            DIALECT.render_response(DIALECT.parse_response(body), request)
        events = list(draw.choice(streams))
        place = draw.randrange(len(events))
        events[place] = (events[place][0], spoil(events[place][1], draw))
        stream = b"".join(
            encode_frame({":event-type": kind, ":message-type": "event"}, orjson.dumps(payload))
            for kind, payload in events
        )
        for same_dialect in (True, False):
            with suppress(ProviderError):
                *chunks, ended = read(stream, 3, same_dialect=same_dialect)
                assert isinstance(ended, Ended)
                writer = DIALECT.open_writer(request)
                assert b"".join(map(writer.write, chunks)) + writer.end(ended, {"cost_usd": "0"})


def spoil(value: Any, draw: random.Random) -> Any:
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
        holder[key] = draw.choice([None, 1, -1, 0.5, True, "", "x", [], {}, [1], [{}], {"text": []}, {"type": []}])
    return copy


# ── reading recordings ────────────────────────────────────────────────────────────────────────────────────


@cache
def service() -> Any:
    return botocore.session.get_session().get_service_model("bedrock-runtime").operation_model("Converse").input_shape


def assert_valid(body: dict[str, Any]) -> None:
    """As botocore would send it: it knows bytes where the wire has base64."""
    report = ParamValidator().validate({**with_bytes(body), "modelId": "m"}, service())
    assert not report.has_errors(), report.generate_report()


def with_bytes(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: inner.encode() if name in ("bytes", "redactedContent") else with_bytes(inner)
            for name, inner in value.items()
        }
    return [with_bytes(item) for item in value] if isinstance(value, list) else value


def without_wire(request: Request) -> Request:
    return replace(request, wire=None)


def inner(messages: Any) -> Iterator[Part]:
    for message in messages:
        for part in message.parts:
            yield part
            yield from getattr(part, "parts", ())


def texts(request: Request) -> list[str]:
    return [part.text for part in inner(request.messages) if isinstance(part, Text | Refusal)]


def calls(messages: Any) -> Any:
    return [(part.name, canonical(part.arguments)) for part in inner(messages) if isinstance(part, ToolCall)]


def canonical(arguments: str) -> object:
    try:
        value = orjson.loads(arguments or "{}")
    except orjson.JSONDecodeError:
        value = {"INVALID_JSON": arguments}
    return orjson.dumps(value if isinstance(value, dict) else {"INVALID_JSON": arguments}, option=orjson.OPT_SORT_KEYS)


def adds_up(usage: Usage | None, recorded: dict[str, Any]) -> bool:
    assert usage is not None
    return bool(
        usage.input_tokens == recorded["inputTokens"]
        and usage.cached_input_tokens == recorded.get("cacheReadInputTokens", 0)
        and usage.cache_write_tokens + usage.cache_write_1h_tokens == recorded.get("cacheWriteInputTokens", 0)
        and usage.output_tokens == recorded["outputTokens"]
        and usage.total_tokens == recorded["totalTokens"]
    )


def counted(usage: Usage | None) -> Any:
    if usage is None:
        return 0, 0, 0
    return usage.total_input_tokens, usage.total_output_tokens, usage.cached_input_tokens


def answered(parts: Any) -> Any:
    return (
        "".join(part.text for part in parts if isinstance(part, Text | Refusal)).strip(),
        "".join(part.text for part in parts if isinstance(part, Thinking)),
        [(part.name, canonical(part.arguments)) for part in parts if isinstance(part, ToolCall)],
        len({part.id for part in parts if isinstance(part, ToolCall)}),
    )


def bare(content: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Blocks without blank texts, and without what a citation says of an address beside it."""
    kept = []
    for block in content:
        if block.get("text") is not None and not block["text"].strip():
            continue
        if "citationsContent" in block:
            for citation in block["citationsContent"]["citations"]:
                citation["location"].get("web", {}).pop("domain", None)
        if block.get("toolUse", {}).get("type") == "tool_use":  # a word that the service's description does not have
            del block["toolUse"]["type"]
        kept.append(block)
    return kept


def read(stream: bytes, cuts: int, *, same_dialect: bool) -> list[Chunk]:
    draw = random.Random(cuts)
    places = sorted(draw.randrange(len(stream) + 1) for _ in range(cuts))
    reader = DIALECT.open_reader(same_dialect=same_dialect)
    chunks: list[Chunk] = []
    for start, end in zip([0, *places], [*places, len(stream)], strict=True):
        chunks += reader.feed(stream[start:end])
    return chunks + reader.close()


def events_of(stream: bytes) -> list[tuple[str, dict[str, Any]]]:
    return [read_event(frame) for frame in FrameSplitter().feed(stream)]


def metadata_of(case: Case) -> dict[str, Any]:
    return next(event["payload"] for event in case["stream_events"] if event["headers"][":event-type"] == "metadata")


def accumulated(stream: bytes) -> dict[str, Any]:
    """What a client joins from a stream, by index."""
    answer: dict[str, Any] = {}
    blocks: dict[int, dict[str, Any]] = {}
    for kind, payload in events_of(stream):
        match kind:
            case "contentBlockStart":
                if payload["start"].get("toolUse", {}).get("type") == "tool_use":
                    del payload["start"]["toolUse"]["type"]
                blocks[payload["contentBlockIndex"]] = {**payload["start"], "input": ""}
            case "contentBlockDelta":
                block = blocks.setdefault(payload["contentBlockIndex"], {})
                for name, value in payload["delta"].items():
                    match name, value:
                        case "text", str():
                            block["text"] = block.get("text", "") + value
                        case "toolUse", dict():
                            block["input"] += value["input"]
                        case "reasoningContent", dict():
                            for word, said in value.items():
                                block[word] = block.get(word, "") + said
                        case "citation", dict():
                            value["location"].get("web", {}).pop("domain", None)
                            block["citations"] = [*block.get("citations", []), value]
                        case _:
                            block[name] = value
            case "messageStop":
                answer["stopReason"] = payload["stopReason"]
            case "metadata":
                answer["metadata"] = payload
            case _:
                pass
    for block in blocks.values():
        if block.get("input"):
            block["input"] = orjson.loads(block["input"])
    answer["content"] = [block for _, block in sorted(blocks.items()) if block and block.get("text") != ""]
    return answer


def joined(chunks: list[Chunk]) -> list[Part]:
    """The parts of the first choice, as a client joins them."""
    parts: list[Part] = []
    begun: dict[int, tuple[str, str, list[str]]] = {}
    for chunk in chunks:
        match chunk:
            case TextDelta(choice=0) | RefusalDelta(choice=0):
                parts.append(Text(text=chunk.text))
            case ThinkingDelta(choice=0):
                parts.append(Thinking(text=chunk.text))
            case ToolCallStarted(choice=0):
                begun[chunk.part] = (chunk.id, chunk.name, [])
            case ToolCallDelta(choice=0):
                begun[chunk.part][2].append(chunk.arguments)
            case PartAdded(choice=0):
                parts.append(chunk.content)
            case _:
                pass
    return parts + [ToolCall(id=id_, name=name, arguments="".join(said)) for id_, name, said in begun.values()]
