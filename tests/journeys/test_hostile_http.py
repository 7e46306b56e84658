"""HTTP that no honest client sends: answered with one shaped error or closed, never with a 5xx, never let through."""

import asyncio
import re

import orjson
import pytest
from tests.journeys.rig import KEY, PATIENCE_S, Rig, Told, ask, request
from tests.journeys.upstream import Upstream, chat_events, chunk, stream

from polyroute.server import protocol

CHAT = "/v1/chat/completions"
BODY = orjson.dumps(ask())
AUTH = b"authorization: Bearer " + KEY.encode() + b"\r\n"
HOST = b"host: gateway\r\n"


def post(*fields: bytes, body: bytes = BODY, line: bytes = b"POST /v1/chat/completions HTTP/1.1") -> bytes:
    """A request whose header fields are given as they are."""
    return b"\r\n".join([line, HOST.strip(), AUTH.strip(), *fields, b"", b""]) + body


def length(body: bytes = BODY) -> bytes:
    return b"content-length: %d" % len(body)


REFUSED = {
    "no HTTP at all": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 64,
    "a line of noise": b"hello, is anybody there?\r\n\r\n",
    "an empty target": b"GET  HTTP/1.1\r\n" + HOST + b"\r\n",
    "a target without a slash": b"GET v1/models HTTP/1.1\r\n" + HOST + b"\r\n",
    "an unknown method": b"BREW /v1/models HTTP/1.1\r\n" + HOST + b"\r\n",
    "a lower-case method": b"get /v1/models HTTP/1.1\r\n" + HOST + b"\r\n",
    "a version that is none": b"GET /v1/models HTTP/9.9\r\n" + HOST + b"\r\n",
    "HTTP/0.9": b"GET /v1/models\r\n\r\n",
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a header without a colon": b"GET /v1/models HTTP/1.1\r\n" + HOST + b"nonsense\r\n\r\n",
    "a space before the colon": b"GET /v1/models HTTP/1.1\r\n" + HOST + b"x-a : b\r\n\r\n",
    "a header name with a space": b"GET /v1/models HTTP/1.1\r\n" + HOST + b"x a: b\r\n\r\n",
    "a header name of nothing": b"GET /v1/models HTTP/1.1\r\n" + HOST + b": b\r\n\r\n",
    "a folded header": b"GET /v1/models HTTP/1.1\r\n" + HOST + b"x-a: b\r\n c\r\n\r\n",
    "a NUL in a header": b"GET /v1/models HTTP/1.1\r\n" + HOST + b"x-a: b\0c\r\n\r\n",
    "a NUL in the path": b"GET /v1/mod\0els HTTP/1.1\r\n" + HOST + b"\r\n",
    "a bare CR": b"GET /v1/models HTTP/1.1\r\n" + HOST + b"x-a: b\rc\r\n\r\n",
    "bare LFs": b"GET /v1/models HTTP/1.1\nhost: gateway\n\n",
    "bytes beyond ASCII in the path": b"GET /v1/m\xc3\xb6dels HTTP/1.1\r\n" + HOST + b"\r\n",
    "no host": b"GET /health HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /health HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
    "a tunnel": b"CONNECT example.com:443 HTTP/1.1\r\n" + HOST + b"\r\n",
    "two lengths": post(length(), b"content-length: 3"),
    "a list of lengths": post(b"content-length: 3, 3"),
    "a length below zero": post(b"content-length: -1"),
    "a length with a sign": post(b"content-length: +%d" % len(BODY)),
    "a length that is no number": post(b"content-length: ten"),
    "a length in hexadecimal": post(b"content-length: 0x10"),
    "a length beyond 64 bits": post(b"content-length: 99999999999999999999999"),
    "length and chunks": post(length(), b"transfer-encoding: chunked", body=b"0\r\n\r\n"),
    "chunks and length": post(b"transfer-encoding: chunked", length(), body=b"0\r\n\r\n"),
    "a coding after chunked": post(b"transfer-encoding: chunked, gzip", body=b"0\r\n\r\n"),
    "a coding that is none": post(b"transfer-encoding: xchunked", body=b"0\r\n\r\n"),
    "chunked with a tab": post(b"transfer-encoding:\x0bchunked", body=b"0\r\n\r\n"),
    "a chunk size that is none": post(b"transfer-encoding: chunked", body=b"zz\r\nabc\r\n0\r\n\r\n"),
    "a chunk size below zero": post(b"transfer-encoding: chunked", body=b"-1\r\nabc\r\n0\r\n\r\n"),
    "a chunk size beyond 64 bits": post(b"transfer-encoding: chunked", body=b"fffffffffffffffff\r\nabc"),
    "a chunk longer than it says": post(b"transfer-encoding: chunked", body=b"2\r\nabcdef\r\n0\r\n\r\n"),
    "a chunk that ends in LF": post(b"transfer-encoding: chunked", body=b"2\nab\n0\n\n"),
}


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED.keys())
async def test_what_is_no_proper_http_is_refused_shaped_and_its_connection_closed(
    rig: Rig, provider: Upstream, data: bytes
) -> None:
    connection = await rig.send(data)
    told = await connection.read()
    assert told.status in (400, 404, 405, 501, 505)
    shaped(told)
    assert told.headers["connection"] == "close"
    assert await connection.reader.read() == b""
    assert provider.log == []


async def test_a_request_that_breaks_off_is_answered_to_nobody(rig: Rig, provider: Upstream) -> None:
    for end in (10, len(BODY) // 2 + 120, len(post(length())) - 1):
        connection = await rig.send(post(length())[:end])
        connection.writer.write_eof()
        assert await connection.reader.read() == b""
    assert provider.log == []


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", id="a long target"),
        pytest.param(b"GET /health HTTP/1.1\r\n" + HOST + b"x: " + b"a" * 70_000 + b"\r\n\r\n", id="a long value"),
        pytest.param(b"GET /health HTTP/1.1\r\n" + HOST + b"a" * 70_000 + b": a\r\n\r\n", id="a long name"),
        pytest.param(b"GET /health HTTP/1.1\r\n" + HOST + b"x-a: b\r\n" * 10_000 + b"\r\n", id="many headers"),
        pytest.param(b"GET /health HTTP/1.1\r\n" + HOST + b"x-a: " + b"a" * 500_000, id="a head without an end"),
        pytest.param(b"\r\n" * 200_000, id="empty lines"),
    ],
)
async def test_a_head_over_its_limit_is_431(rig: Rig, head: bytes) -> None:
    connection = await rig.send(head)
    told = await connection.read("GET")
    assert told.status in (400, 431)
    shaped(told)


async def test_a_head_just_within_the_limit_is_served(rig: Rig) -> None:
    told = await rig.get("/health", headers={"x-long": "a" * 60_000})
    assert told.status == 200


async def test_a_head_that_ends_between_two_reads_is_no_long_head(rig: Rig) -> None:
    body = orjson.dumps(ask("x" * 200_000))
    data = request("POST", CHAT, body)
    at = data.index(b"\r\n\r\n") + 2
    connection = await rig.send(data[:at])
    await asyncio.sleep(0)
    connection.writer.write(data[at:])
    assert (await connection.read()).status == 200


async def test_trailers_are_no_headers(rig: Rig, provider: Upstream) -> None:
    """RFC 9110, 6.5.1: a field after the content must not pass for one before it, least of all a credential."""
    head = b"POST /v1/chat/completions HTTP/1.1\r\n" + HOST + b"transfer-encoding: chunked\r\nconnection: close\r\n\r\n"
    trailer = b"authorization: Bearer " + KEY.encode()
    told = await (await rig.send(head + b"%x\r\n%s\r\n0\r\n%s\r\n\r\n" % (len(BODY), BODY, trailer))).read()
    assert told.status == 401
    assert provider.log == []


@pytest.mark.parametrize(
    "flood",
    [
        pytest.param(b"0\r\nx-a: " + b"a" * 400_000, id="a trailer without an end"),
        pytest.param(b"0\r\n" + b"x-a: b\r\n" * 50_000, id="many trailers"),
        pytest.param(b"1;" + b"a" * 400_000, id="a chunk extension without an end"),
    ],
)
async def test_what_comes_beside_a_body_is_bounded(rig: Rig, flood: bytes) -> None:
    connection = await rig.send(post(b"transfer-encoding: chunked", body=flood))
    told = await connection.read()
    assert told.status in (400, 431)


async def test_two_requests_in_one_write_are_answered_in_order(rig: Rig, provider: Upstream) -> None:
    first, second = (orjson.dumps(ask(text)) for text in ("one", "two"))
    keep = {"connection": "keep-alive"}
    connection = await rig.send(
        request("POST", CHAT, first, headers=keep)
        + request("GET", "/health", headers=keep)
        + request("POST", CHAT, second)
    )
    statuses = [(await connection.read()).status for _ in range(3)]
    assert statuses == [200, 200, 200]
    assert [heard.json["messages"][0]["content"] for heard in provider.log] == ["one", "two"]


async def test_noise_behind_a_request_never_lands_in_its_answer(rig: Rig, provider: Upstream) -> None:
    gate = asyncio.Event()
    events = chat_events("a", "b")
    provider.answers(stream(*events[:2], gate, *events[2:]))
    connection = await rig.send(
        request("POST", CHAT, orjson.dumps(ask(stream=True)), headers={"connection": "keep-alive"})
    )
    head = await connection.until(b'"content":"a"')
    connection.writer.write(b"\0\0 noise \r\n\r\n")
    rest = await connection.reader.read()
    gate.set()
    assert b"HTTP/1.1 400" not in head + rest


async def test_http_1_0_is_served_and_closed(rig: Rig) -> None:
    connection = await rig.send(b"GET /health HTTP/1.0\r\n\r\n")
    told = await connection.read("GET")
    assert (told.status, told.body) == (200, b'{"status":"ok"}')
    assert await connection.reader.read() == b""


async def test_a_stream_for_http_1_0_ends_with_its_connection(rig: Rig, provider: Upstream) -> None:
    """Chunks are HTTP/1.1's; proxies that speak 1.0 to their upstreams would pass them on as text."""
    provider.answers(stream(*chat_events("a", "b")))
    data = request("POST", CHAT, orjson.dumps(ask(stream=True))).replace(b"HTTP/1.1", b"HTTP/1.0", 1)
    head, _, body = (await (await rig.send(data)).reader.read()).partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head
    assert b"connection: close" in head
    assert body.startswith(b"data: {")
    assert body.endswith(b"data: [DONE]\n\n")


async def test_an_absolute_target_means_its_path(rig: Rig) -> None:
    connection = await rig.send(
        b"GET http://elsewhere.example/health HTTP/1.1\r\n" + HOST + b"connection: close\r\n\r\n"
    )
    assert (await connection.read("GET")).status == 200


@pytest.mark.parametrize("upgrade", ["websocket", "h2c"])
async def test_nothing_is_upgraded_to(rig: Rig, provider: Upstream, upgrade: str) -> None:
    told = await rig.get("/health", headers={"connection": "upgrade", "upgrade": upgrade, "sec-websocket-key": "x"})
    assert told.status == 200
    told = await rig.post(CHAT, ask(), headers={"connection": "upgrade", "upgrade": upgrade})
    assert told.status == 200
    assert len(provider.log) == 1


async def test_a_caller_that_expects_to_be_asked_for_its_body_is_asked(rig: Rig) -> None:
    data = request("POST", CHAT, BODY, headers={"expect": "100-continue"})
    head, body = data[: -len(BODY)], data[-len(BODY) :]
    connection = await rig.send(head)
    assert await connection.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    connection.writer.write(body)
    assert (await connection.read()).status == 200


async def test_a_stranger_is_not_asked_for_its_body(rig: Rig) -> None:
    data = request("POST", CHAT, BODY, key=None, headers={"expect": "100-continue"})
    connection = await rig.send(data[: -len(BODY)])
    head = await connection.until(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 401 ")


PATHS = [
    "/v1//models", "//v1/models", "/v1/models/", "/v1/./models", "/v1/../v1/models", "/V1/models", "/v1/models;a=b",
    "/v1/models%00", "/v1%2fmodels", "/v1/models%2f..%2fmodels", "/%2e%2e/v1/models", "/v1/models%20", "/v1\\models",
    "/v1/models/..", "/.", "/..", "/../../etc/passwd", "/v1/receipts/..%2f..%2fbooks.db", "/metrics/..", "/metrics%2f",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("key", [None, "pk-wrong"])
async def test_no_form_of_a_path_goes_round_the_key(rig: Rig, path: str, key: str | None) -> None:
    told = await rig.get(path, key=key)
    assert told.status in (400, 401, 404)
    assert b"gpt" not in told.body


@pytest.mark.parametrize(
    "host", ["evil.example/v1/models?", "gateway/../health", "@health", "127.0.0.1:1/health#", "[::1]", "a" * 5_000]
)
async def test_the_host_never_decides(rig: Rig, host: str) -> None:
    assert (await rig.get("/v1/models", key=None, headers={"host": host})).status in (400, 401)


async def test_method_overrides_are_nothing(rig: Rig) -> None:
    headers = {"x-http-method-override": "GET", "x-original-url": "/health", "x-rewrite-url": "/health"}
    assert (await rig.post("/v1/models", {}, key=None, headers=headers)).status in (401, 405)
    assert (await rig.get("/v1/models", key=None, headers={**headers, "x-forwarded-for": "127.0.0.1"})).status == 401


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits so short that a test sees them pass."""
    monkeypatch.setattr(protocol, "SWEEP_S", 0.01)
    monkeypatch.setattr(protocol, "STALL_S", 0.05)
    monkeypatch.setattr(protocol, "_LIMIT_S", dict.fromkeys(protocol._LIMIT_S, 0.05))


@pytest.mark.parametrize("phase", ["head", "body", "idle"])
async def test_the_slow_are_let_go(impatient: None, rig: Rig, phase: str) -> None:
    data = {"head": b"POST /v1/ch", "body": post(length())[:-5], "idle": b""}[phase]
    connection = await rig.send(data)
    async with asyncio.timeout(5):
        told = await connection.reader.read()
    assert told == b"" if phase == "idle" else told.startswith(b"HTTP/1.1 408 ")


async def test_a_caller_that_reads_nothing_is_let_go_and_its_upstream_with_it(
    impatient: None, rig: Rig, provider: Upstream
) -> None:
    provider.answers(stream(*[chunk({"content": "x" * 1_000_000})] * 50, end="hang"))
    await rig.send(request("POST", CHAT, orjson.dumps(ask(stream=True))))
    (receipt,) = await rig.settled()
    assert receipt.state == "cancelled"
    async with asyncio.timeout(PATIENCE_S):
        await provider.last.left.wait()


def shaped(told: Told) -> None:
    """An error that a program can read, of modest length, without a trace of how we are built."""
    error = told.json["error"]
    assert error["message"]
    assert error["type"]
    assert len(told.body) <= 2048
    assert not re.search(rb"Traceback|\.py\b|site-packages|httptools|uvicorn|llhttp", told.body)


async def test_connections_beyond_the_limit_are_told_so_and_those_within_go_on(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "MAX_CONNECTIONS", 2)
    waiting = [await rig.send(b"GET /health HTTP/1.1\r\nhost: g\r\n") for _ in range(2)]
    async with asyncio.timeout(10):
        while (told := await rig.get("/health", key=None)).status != 503:
            await asyncio.sleep(0.01)
    assert told.json["error"]["code"] == "overloaded"
    waiting[0].writer.write(b"connection: close\r\n\r\n")
    assert (await waiting[0].read("GET")).status == 200
    async with asyncio.timeout(10):
        while (await rig.get("/health", key=None)).status != 200:
            await asyncio.sleep(0.01)
