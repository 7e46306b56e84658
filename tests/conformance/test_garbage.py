"""What providers answer when they are broken, in every dialect: a shaped error or an answer, never a crash.

Recorded answers are changed at random places into values of other types, absurd numbers and broken texts; tables hold
what is seen in the field: pages, empty bodies, errors under a status of 200, bodies without end. Whatever comes, the
provider raises a ProviderError or gives a reply whose usage can be believed, in bounded time and memory.
Data: `../shared/data/conformance/cases.jsonl.gz` beside the checkout.
"""

import json
import random
import time
import tracemalloc
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

import pytest
from msgspec.structs import replace
from tests.wire.recordings import CORPUS, answers, requests, streams

from polyroute.dialects import sse
from polyroute.errors import MalformedReply, ProviderError, StreamInterrupted
from polyroute.ports import Dialect
from polyroute.providers.http import HttpProvider
from polyroute.testing.providers import a_deployment
from polyroute.types.cards import Deadlines
from polyroute.types.request import Request, Wire, ask
from polyroute.types.response import Chunk, Ended, Reply, Usage
from polyroute.wiring.dialects import DIALECTS

ROUNDS = 400
BOUND_S = 5.0  # for the worst of them, on a busy machine
BELIEVABLE = 1 << 41  # tokens of one class
# A name of its own is a format of its own: other entries are doors whose streams are told otherwise.
CHATS = [dialect for name, dialect in DIALECTS.items() if dialect.operation == "chat" and dialect.name == name]
SSE = [dialect for dialect in CHATS if dialect.stream_type == sse.MEDIA_TYPE]
needs_corpus = pytest.mark.skipif(not CORPUS.exists(), reason="the conformance corpus is not beside this checkout")


def each(dialects: list[Dialect]) -> pytest.MarkDecorator:
    """Each dialect as an upstream of its own door and, where it can be asked by others, of them."""
    pairs = [(dialect, True) for dialect in dialects]
    pairs += [(dialect, False) for dialect in dialects if not dialect.obstacles(ask("m", "Hello"))]
    return pytest.mark.parametrize(
        ("dialect", "is_same"), pairs, ids=[f"{one.name}, {'own' if same else 'other'} door" for one, same in pairs]
    )


each_chat, each_sse = each(CHATS), each(SSE)


DEEP: Any = None
for _ in range(300):
    DEEP = {"a": [DEEP]}
VALUES: Sequence[Any] = (
    None, True, False, 0, -1, 1.5, -0.1, 1e308, 2**31, 2**63, 2**70, 10**400, "", "x", "\x00", "\ud800", "\udfff\ud800",
    "9" * 5000, [], {}, [None], [[]], [{}], {"": None}, {"error": "no"}, {"type": "error"}, {"message": None}, DEEP,
)  # fmt: skip
HOUSES = {  # no answers at all, by what they look like
    "nothing": b"",
    "white space": b" \n\t\r\n ",
    "null": b"null",
    "true": b"true",
    "a number": b"17",
    "a text": b'"sorry"',
    "a list": b"[]",
    "a list of objects": b'[{"a": 1}]',
    "an empty object": b"{}",
    "another object": b'{"hello": "world"}',
    "half an object": b'{"id": "x", "choices": [',
    "two objects": b"{}{}",
    "a page": b"<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1></body></html>",
    "words": b"upstream connect error or disconnect/reset before headers",
    "no UTF-8": b'{"id": "\xff\xfe"}',
    "zero bytes": b"\0\0\0\0",
    "compressed": b"\x1f\x8b\x08\x00\x00\x00\x00\x00",
    "NaN": b'{"usage": NaN}',
    "nested without end": b"[" * 200_000,
    "nested objects without end": b'{"a":' * 200_000,
    "a very long number": b'{"created": ' + b"9" * 100_000 + b"}",
}


class Answering:
    """A transport that gives one prepared answer."""

    def __init__(self, *pieces: bytes, status: int = 200, flood: bytes = b"") -> None:
        self.status = status
        self.headers: Mapping[str, str] = {}
        self._pieces = pieces
        self._flood = flood
        self.given_bytes = 0

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], deadlines: Deadlines) -> "Answering":
        return self

    async def get(self, url: str, headers: Mapping[str, str], deadlines: Deadlines) -> "Answering":
        raise AssertionError("a provider never asks with GET")

    async def delete(self, url: str, headers: Mapping[str, str], deadlines: Deadlines) -> "Answering":
        raise AssertionError("a provider never deletes")

    async def read(self) -> bytes:
        return b"".join(self._pieces)

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        for piece in self._pieces:
            yield piece
        while self._flood:
            self.given_bytes += len(self._flood)
            assert self.given_bytes < 1 << 30, "it is read for ever"
            yield self._flood

    def close(self) -> None: ...

    def detach(self) -> None: ...

    async def aclose(self) -> None: ...


def asked(dialect: Dialect, *, is_same: bool, stream: bool) -> Request:
    request = replace(ask("route", "Hello"), stream=stream)
    if not is_same:
        return request
    recorded = requests(dialect.name)
    body = recorded[0]["request_body"] if recorded else {}
    return replace(request, wire=Wire(dialect=dialect.name, body=body))


def provider(dialect: Dialect, transport: Answering) -> HttpProvider:
    return HttpProvider(
        dialects=(dialect,), transport=transport, base_url="https://api.example/v1", credentials={}, headers={}
    )


async def whole(dialect: Dialect, transport: Answering, *, is_same: bool) -> Reply | ProviderError:
    request = asked(dialect, is_same=is_same, stream=False)
    try:
        reply = await provider(dialect, transport).complete(request, a_deployment("m"), Deadlines(), None)
        if reply.response is not None:
            for door in CHATS:
                door.render_response(reply.response, request)
        elif reply.usage is None and reply.wire is not None:
            dialect.parse_response(reply.wire)  # as the engine does, to count what was said
    except ProviderError as exc:
        return exc
    check_usage(reply.usage)
    return reply


async def streamed(dialect: Dialect, transport: Answering, *, is_same: bool) -> list[Chunk] | Exception:
    """Every chunk also goes through the writers of all doors that it may come to."""
    request = asked(dialect, is_same=is_same, stream=True)
    writers = [door.open_writer(replace(request, stream_usage=True)) for door in ((dialect,) if is_same else CHATS)]
    chunks: list[Chunk] = []
    try:
        async for chunk in provider(dialect, transport).stream(request, a_deployment("m"), Deadlines(), None):
            chunks.append(chunk)
            for writer in writers:
                if isinstance(chunk, Ended):
                    writer.end(chunk, {"cost_usd": "0"})
                else:
                    writer.write(chunk)
    except ProviderError as exc:
        told = [writer.error("upstream_error", exc.message, exc.code) for writer in writers]
        return exc if all(told) else AssertionError("an error that is told to nobody")
    assert isinstance(chunks[-1], Ended)
    check_usage(chunks[-1].usage)
    return chunks


def check_usage(usage: Usage | None) -> None:
    if usage is not None:
        counts = [getattr(usage, name) for name in usage.__struct_fields__ if name.endswith("_tokens")]
        assert [count for count in counts if type(count) is not int or not 0 <= count <= BELIEVABLE] == []


def shown(error: ProviderError) -> str:
    assert len(error.message) <= 1200
    assert "<html" not in error.message
    assert "Traceback" not in error.message
    return error.message


# ── whole answers ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("body", HOUSES.values(), ids=HOUSES.keys())
@each_chat
async def test_what_is_no_answer_is_an_error(dialect: Dialect, body: bytes, is_same: bool) -> None:
    error = await whole(dialect, Answering(body), is_same=is_same)
    assert isinstance(error, ProviderError), error
    assert shown(error)


@needs_corpus
@each_chat
async def test_an_answer_with_a_field_of_another_type_is_told_or_is_an_error(dialect: Dialect, is_same: bool) -> None:
    draw = random.Random(f"{dialect.name} {is_same}")
    recorded = answers(dialect.name)
    for _ in range(ROUNDS):
        body = json.dumps(mutated(draw.choice(recorded), draw)).encode()
        started_s = time.monotonic()
        await whole(dialect, Answering(body), is_same=is_same)
        assert time.monotonic() - started_s < BOUND_S


@needs_corpus
@each_chat
async def test_an_answer_with_bytes_changed_or_cut_is_told_or_is_an_error(dialect: Dialect, is_same: bool) -> None:
    draw = random.Random(dialect.name)
    recorded = [json.dumps(answer).encode() for answer in answers(dialect.name)]
    for _ in range(ROUNDS):
        await whole(dialect, Answering(corrupted(draw.choice(recorded), draw)), is_same=is_same)


@needs_corpus
@each_chat
async def test_usage_that_cannot_be_true_is_no_usage(dialect: Dialect, is_same: bool) -> None:
    draw = random.Random(dialect.name)
    recorded = [answer for answer in answers(dialect.name) if counts_in(answer)]
    for absurd in (-1, -(2**40), 1.5, True, "12", 2**70, [1], {"a": 1}, 1e30):
        for answer in draw.sample(recorded, min(20, len(recorded))):
            changed = json.loads(json.dumps(answer))
            for holder, name in counts_in(changed):
                holder[name] = absurd
            reply = await whole(dialect, Answering(json.dumps(changed).encode()), is_same=is_same)
            if isinstance(reply, Reply) and reply.usage is not None:
                assert reply.usage.total_tokens == 0, (absurd, reply.usage)


# ── streams ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("body", HOUSES.values(), ids=HOUSES.keys())
@each_chat
async def test_what_is_no_stream_is_an_error(dialect: Dialect, body: bytes, is_same: bool) -> None:
    error = await streamed(dialect, Answering(body), is_same=is_same)
    assert isinstance(error, ProviderError), error
    assert shown(error)


@pytest.mark.parametrize("body", HOUSES.values(), ids=HOUSES.keys())
@each_sse
async def test_an_event_that_is_none_ends_no_stream_cleanly(dialect: Dialect, body: bytes, is_same: bool) -> None:
    data = b"".join(b"data: %b\n" % line for line in body.splitlines()) + b"\n"
    error = await streamed(dialect, Answering(data), is_same=is_same)
    assert isinstance(error, ProviderError), error
    assert shown(error)


@needs_corpus
@each_sse
async def test_a_stream_with_a_field_of_another_type_is_told_or_is_an_error(dialect: Dialect, is_same: bool) -> None:
    draw = random.Random(f"{dialect.name} {is_same}")
    recorded = sorted(streams(dialect.name), key=len)[:40]
    for _ in range(ROUNDS):
        raw = mutated_stream(draw.choice(recorded), draw)
        started_s = time.monotonic()
        await streamed(dialect, Answering(raw), is_same=is_same)
        assert time.monotonic() - started_s < BOUND_S


@needs_corpus
@each_chat
async def test_a_stream_with_bytes_changed_or_cut_is_told_or_is_an_error(dialect: Dialect, is_same: bool) -> None:
    draw = random.Random(dialect.name)
    recorded = sorted(streams(dialect.name), key=len)[:40]
    for _ in range(ROUNDS):
        await streamed(dialect, Answering(corrupted(draw.choice(recorded), draw)), is_same=is_same)


@needs_corpus
@each_sse
async def test_a_stream_with_events_twice_or_missing_is_told_or_is_an_error(dialect: Dialect, is_same: bool) -> None:
    """Also: finish twice, events after the end, parts that were never begun."""
    draw = random.Random(dialect.name)
    recorded = sorted(streams(dialect.name), key=len)[:40]
    for _ in range(ROUNDS):
        splitter = sse.EventSplitter()
        events = splitter.feed(draw.choice(recorded).replace(b"\r\n", b"\n"))
        for _ in range(draw.randint(1, 3)):
            at = draw.randrange(len(events))
            match draw.randrange(3):
                case 0:
                    events.insert(at, draw.choice(events))
                case 1 if len(events) > 1:
                    del events[at]
                case _:
                    events.append(events[at])
        await streamed(dialect, Answering(*events), is_same=is_same)


FLOODS: dict[str, bytes] = {
    "comments": b": still thinking\n\n" * 4096,
    "empty lines": b"\n" * 65536,
    "empty lines of CRLF": b"\r\n" * 32768,
    "spaces": b" " * 65536,
    "bare fields": b"id: 1\nretry: 1\n\n" * 4096,
    "one event without an end": b"x" * 65536,
    "one line of data without an end": b"a" * 65536,
    "one comment of many lines": b": x\n" * 16384,
}


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS.keys())
@each_sse
async def test_a_flood_that_says_nothing_ends(dialect: Dialect, flood: bytes, is_same: bool) -> None:
    first = b"data: " if flood[:1] == b"a" else b""
    transport = Answering(first, flood=flood)
    tracemalloc.start()
    try:
        error = await streamed(dialect, transport, is_same=is_same)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert isinstance(error, MalformedReply | StreamInterrupted), error
    assert transport.given_bytes <= 20 * 1024 * 1024
    assert peak_bytes <= 400 * 1024 * 1024


# ── garbage ───────────────────────────────────────────────────────────────────────────────────────────────


def mutated(value: Any, draw: random.Random) -> Any:
    """A copy of `value` with up to three of its places changed."""
    changed = json.loads(json.dumps(value))
    for _ in range(draw.randint(1, 3)):
        places = list(places_in(changed))
        if not places:
            return json.loads(json.dumps(draw.choice(VALUES)))
        holder, key = draw.choice(places)
        match draw.randrange(4):
            case 0:
                del holder[key]
            case 1 if isinstance(holder, list):
                holder.append(json.loads(json.dumps(holder[key])))
            case _:
                holder[key] = json.loads(json.dumps(draw.choice(VALUES)))
    return changed


def places_in(value: Any) -> list[tuple[Any, Any]]:
    found: list[tuple[Any, Any]] = []
    open_: list[tuple[Any, int]] = [(value, 0)]
    while open_:
        holder, depth = open_.pop()
        keys = holder.keys() if isinstance(holder, dict) else range(len(holder)) if isinstance(holder, list) else ()
        for key in keys:
            found.append((holder, key))
            if depth < 12:
                open_.append((holder[key], depth + 1))
    return found


def counts_in(answer: Any) -> list[tuple[Any, Any]]:
    """Every number under a key that speaks of usage."""
    usages = [
        holder[key]
        for holder, key in places_in(answer)
        if isinstance(key, str) and key.lower().startswith("usage") and isinstance(holder[key], dict)
    ]
    return [
        (holder, key)
        for usage in usages
        for holder, key in places_in(usage)
        if type(holder[key]) is int and isinstance(key, str) and "token" in key.lower()
    ]


def mutated_stream(raw: bytes, draw: random.Random) -> bytes:
    lines = raw.splitlines(keepends=True)
    data = [number for number, line in enumerate(lines) if line.startswith((b"data: {", b"data:{"))]
    for number in draw.sample(data, min(len(data), draw.randint(1, 2))):
        value = json.loads(lines[number][5:])
        lines[number] = b"data: " + json.dumps(mutated(value, draw)).encode() + b"\n"
    return b"".join(lines)


def corrupted(raw: bytes, draw: random.Random) -> bytes:
    changed = bytearray(raw)
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(len(changed)) if changed else 0
        match draw.randrange(4):
            case 0:
                changed[at : at + 1] = bytes([draw.randrange(256)])
            case 1:
                del changed[at : at + draw.randint(1, 50)]
            case 2:
                changed[at:at] = bytes(draw.randrange(256) for _ in range(draw.randint(1, 20)))
            case _:
                del changed[at:]
    return bytes(changed)
