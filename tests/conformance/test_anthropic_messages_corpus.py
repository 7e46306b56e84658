"""Every recorded exchange of Anthropic's API, through the dialect: as a door, as an upstream, as both.

Data: `../shared/data/conformance/cases.jsonl.gz` beside the checkout (its README names sources and licences).
"""

import gzip
import random
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import pytest
from msgspec.structs import replace

from polyroute.dialects.anthropic_messages import AnthropicMessages
from polyroute.errors import AuthRejected, ContextTooLong, InvalidRequest, ProviderError, Rejected
from polyroute.types.cards import Deployment, ModelCard
from polyroute.types.content import Text
from polyroute.types.request import Request
from polyroute.types.response import Chunk, Ended, Usage, WireBytes

CORPUS = Path(__file__).parents[3] / "shared" / "data" / "conformance" / "cases.jsonl.gz"
DIALECT = AnthropicMessages()
TARGET = Deployment(
    id="m@anthropic",
    model="m",
    provider="anthropic",
    dialect="anthropic_messages",
    upstream_model="target-model",
    card=ModelCard(id="anthropic/m"),
)
REQUIRES_CORPUS = pytest.mark.skipif(not CORPUS.exists(), reason="the conformance corpus is not beside this checkout")

Case = dict[str, Any]


def cases(*, api: str = "anthropic.messages", ok: bool = True, stream: bool | None = None) -> list[Any]:
    if not CORPUS.exists():
        return [pytest.param({}, id="no corpus")]
    with gzip.open(CORPUS) as lines:
        rows = [orjson.loads(line) for line in lines]
    chosen = [
        row
        for row in rows
        if row["api"] == api and (row["status"] == 200) == ok and (stream is None or row["stream"] == stream)
    ]
    assert chosen
    return [pytest.param(row, id=row["id"]) for row in chosen]


pytestmark = REQUIRES_CORPUS


# ── requests ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("case", cases())
def test_a_recorded_request_reaches_its_own_provider_unchanged_but_for_the_model(case: Case) -> None:
    request = DIALECT.parse_request(case["request_body"], case["request_headers"])

    assert DIALECT.obstacles(request) == ()
    sent = DIALECT.render_request(request, TARGET, max_output_tokens=None)
    assert orjson.loads(sent.body) == {**case["request_body"], "model": "target-model"}
    assert sent.dropped == ()
    beta = case["request_headers"].get("anthropic-beta")
    assert sent.headers == {"anthropic-version": "2023-06-01"} | ({"anthropic-beta": beta} if beta else {})


@pytest.mark.parametrize("case", cases())
def test_a_recorded_request_written_anew_says_the_same(case: Case) -> None:
    request = DIALECT.parse_request(case["request_body"], {})
    anew = orjson.loads(DIALECT.render_request(without_wire(request), TARGET, max_output_tokens=None).body)

    again = DIALECT.parse_request(anew, {})
    assert merged(again.messages) == merged(request.messages)
    for name in ("tool_choice", "output", "max_output_tokens", "stop", "end_user", "stream"):
        assert getattr(again, name) == getattr(request, name), name
    assert [getattr(tool, "name", "") for tool in again.tools] == [getattr(tool, "name", "") for tool in request.tools]


@pytest.mark.parametrize("case", cases(ok=False))
def test_a_request_that_its_provider_refused_is_refused_here_only_for_its_form(case: Case) -> None:
    body = case["request_body"]
    if all(isinstance(message, dict) for message in body["messages"]):
        assert DIALECT.parse_request(body, {}).model == body["model"]
    else:
        with pytest.raises(InvalidRequest, match=r"messages\[0\]"):
            DIALECT.parse_request(body, {})


@pytest.mark.parametrize("case", cases(api="anthropic.count_tokens"))
def test_a_recorded_count_passes_both_ways(case: Case) -> None:
    request = DIALECT.parse_count_request(case["request_body"], case["request_headers"])

    sent = DIALECT.render_count_request(request, TARGET)
    assert sent.path == "/v1/messages/count_tokens"
    assert orjson.loads(sent.body) == {**case["request_body"], "model": "target-model"}
    tokens = DIALECT.parse_count(orjson.dumps(case["response_body"]))
    assert orjson.loads(DIALECT.render_count(tokens)) == {"input_tokens": case["response_body"]["input_tokens"]}


# ── whole answers ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("case", cases(stream=False))
def test_a_recorded_answer_is_skimmed_for_the_books(case: Case) -> None:
    recorded = case["response_body"]
    body = orjson.dumps(recorded)

    reply = DIALECT.skim_response(body)

    assert reply.wire is body
    assert reply.model == recorded["model"]
    assert reply.stop is DIALECT.parse_response(body).choices[0].stop
    assert adds_up(reply.usage, recorded["usage"])


@pytest.mark.parametrize("case", cases(stream=False))
def test_a_recorded_answer_written_anew_says_the_same(case: Case) -> None:
    recorded = case["response_body"]
    request = DIALECT.parse_request(case["request_body"], {})

    response = DIALECT.parse_response(orjson.dumps(recorded))
    written = orjson.loads(DIALECT.render_response(response, request))

    for name in ("id", "type", "role", "model", "stop_reason", "stop_sequence"):
        assert written[name] == recorded[name], name
    assert bare(written["content"]) == bare(recorded["content"])
    for name in ("input_tokens", "output_tokens"):
        assert written["usage"][name] == recorded["usage"][name]
    assert adds_up(response.usage, recorded["usage"])


# ── streams ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("case", cases(stream=True))
def test_a_tapped_stream_passes_byte_for_byte_however_it_is_cut(case: Case) -> None:
    recorded = "".join(case["sse_events"]).encode()
    for cuts in (1, 7, 60):
        chunks = read(recorded, cuts, same_dialect=True)
        *passed, ended = chunks
        assert isinstance(ended, Ended)
        assert (
            b"".join(chunk.data for chunk in passed if isinstance(chunk, WireBytes)) + (ended.wire or b"") == recorded
        )
        assert adds_up(ended.usage, recorded_usage(case))
        assert ended.model == recorded_message(case)["model"]


@pytest.mark.parametrize("case", cases(stream=True))
def test_the_report_is_placed_in_message_delta_and_no_other_byte_changes(case: Case) -> None:
    recorded = "".join(case["sse_events"]).encode()
    *passed, ended = read(recorded, 5, same_dialect=True)
    assert isinstance(ended, Ended)
    writer = DIALECT.open_writer(DIALECT.parse_request(case["request_body"], {}))

    sent = b"".join(map(writer.write, passed)) + writer.end(ended, {"cost_usd": "0.01"})

    spliced = b',"polyroute":{"cost_usd":"0.01"}'
    assert sent.count(spliced) == 1
    assert sent.replace(spliced, b"") == recorded
    assert accumulated(sent)["polyroute"] == {"cost_usd": "0.01"}


@pytest.mark.parametrize("case", cases(stream=True))
def test_a_stream_written_anew_says_the_same(case: Case) -> None:
    recorded = "".join(case["sse_events"]).encode()
    *chunks, ended = read(recorded, 9, same_dialect=False)
    assert isinstance(ended, Ended)
    writer = DIALECT.open_writer(DIALECT.parse_request(case["request_body"], {}))

    sent = b"".join(map(writer.write, chunks)) + writer.end(ended, {})

    expected, answer = accumulated(recorded), accumulated(sent)
    for name in ("id", "model", "stop_reason", "stop_sequence"):
        assert answer[name] == expected[name], name
    assert bare(answer["content"]) == bare([block for block in expected["content"] if block.get("text") != ""])
    assert adds_up(ended.usage, recorded_usage(case))


@pytest.mark.parametrize("case", cases(stream=True))
def test_a_cut_stream_never_passes_for_a_whole_one(case: Case) -> None:
    events = [event.encode() for event in case["sse_events"]]
    before_stop = next(i for i, event in enumerate(events) if b"event: message_delta" in event)
    for same_dialect in (True, False):
        for kept in {1, before_stop // 2, before_stop}:
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
    if "too long" in message:
        expected = ContextTooLong
    elif case["status"] in (401, 403):
        expected = AuthRejected
    assert type(error) is expected
    assert message in error.message
    assert error.http_status == case["status"]


# ── what nobody recorded ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("seed", range(8))
def test_a_request_with_one_value_gone_wrong_is_refused_or_served_and_never_breaks(seed: int) -> None:
    draw = random.Random(seed)
    bodies = [param.values[0]["request_body"] for param in cases()]
    for _ in range(250):
        body = spoiled(draw.choice(bodies), draw)
        try:
            request = DIALECT.parse_request(body, {})
        except InvalidRequest as refused:
            assert refused.field is not None, refused.message  # noqa: PT017
            continue
        for limit in (None, 5, 3000):
            orjson.loads(DIALECT.render_request(request, TARGET, max_output_tokens=limit).body)
        if not DIALECT.obstacles(without_wire(request)):
            orjson.loads(DIALECT.render_request(without_wire(request), TARGET, max_output_tokens=None).body)


@pytest.mark.parametrize("seed", range(8))
def test_an_answer_with_one_value_gone_wrong_is_read_or_a_providers_error(seed: int) -> None:
    draw = random.Random(seed)
    answers = [param.values[0]["response_body"] for param in cases(stream=False)]
    streams = [events_of("".join(param.values[0]["sse_events"]).encode()) for param in cases(stream=True)]
    request = DIALECT.parse_request({"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "q"}]}, {})
    for _ in range(150):
        body = orjson.dumps(spoiled(draw.choice(answers), draw))
        with suppress(ProviderError):
            DIALECT.skim_response(body)
        with suppress(ProviderError):
            DIALECT.render_response(DIALECT.parse_response(body), request)
        events = list(draw.choice(streams))
        place = draw.randrange(len(events))
        events[place] = spoiled(events[place], draw)
        stream = b"".join(b"event: x\ndata: %b\n\n" % orjson.dumps(event) for event in events)
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


def merged(messages: Any) -> Any:
    """Messages as Anthropic sees them: one turn per role, instructions first."""
    turns: list[tuple[str, list[Any]]] = []
    system: list[Any] = []
    for message in messages:
        role = "user" if message.role == "tool" else message.role
        parts = [part for part in message.parts if not (isinstance(part, Text) and not part.text.strip())]
        if role == "system":
            system += parts
        elif turns and turns[-1][0] == role:
            turns[-1][1].extend(parts)
        else:
            turns.append((role, list(parts)))
    if turns and turns[-1][0] == "assistant" and isinstance(turns[-1][1][-1], Text):
        turns[-1][1][-1] = Text(text=turns[-1][1][-1].text.rstrip())
    return system, turns


def adds_up(usage: Usage | None, recorded: dict[str, Any]) -> bool:
    assert usage is not None
    written = recorded.get("cache_creation_input_tokens") or 0
    return (
        usage.input_tokens == recorded["input_tokens"]
        and usage.cached_input_tokens == (recorded.get("cache_read_input_tokens") or 0)
        and usage.cache_write_tokens + usage.cache_write_1h_tokens == written
        and usage.total_output_tokens == recorded["output_tokens"]
    )


def bare(content: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Blocks without fields that say nothing, or that only a code-executing caller reads."""
    return [
        {
            name: value
            for name, value in block.items()
            if value not in (None, []) and not (name == "caller" and block["type"] == "tool_use")
        }
        for block in content
    ]


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


def accumulated(stream: bytes) -> dict[str, Any]:
    """The message that a client joins from a stream: by index, as the SDKs do."""
    message: dict[str, Any] = {}
    inputs: dict[int, str] = {}
    for event in events_of(stream):
        match event["type"]:
            case "message_start":
                message = event["message"]
            case "content_block_start":
                assert event["index"] == len(message["content"])
                message["content"].append(event["content_block"])
            case "content_block_delta":
                block, delta = message["content"][event["index"]], event["delta"]
                match delta["type"]:
                    case "text_delta":
                        block["text"] += delta["text"]
                    case "thinking_delta":
                        block["thinking"] += delta["thinking"]
                    case "signature_delta":
                        block["signature"] = delta["signature"]
                    case "citations_delta":
                        block["citations"] = [*(block.get("citations") or []), delta["citation"]]
                    case "input_json_delta":
                        inputs[event["index"]] = inputs.get(event["index"], "") + delta["partial_json"]
                    case other:
                        pytest.fail(f"unknown delta {other}")
            case "message_delta":
                message.update(event["delta"])
                if "polyroute" in event:
                    message["polyroute"] = event["polyroute"]
            case _:
                pass
    for index, given in inputs.items():
        if given:
            message["content"][index]["input"] = orjson.loads(given)
    return message


def recorded_message(case: Case) -> dict[str, Any]:
    return next(event["message"] for event in events_of("".join(case["sse_events"]).encode()) if "message" in event)


def recorded_usage(case: Case) -> dict[str, Any]:
    usage = dict(recorded_message(case)["usage"])
    for event in events_of("".join(case["sse_events"]).encode()):
        if event["type"] == "message_delta":
            usage.update({name: value for name, value in event["usage"].items() if value is not None})
    return usage
