"""Every transport against a scripted peer on loopback: proper answers, odd ones, late ones, and callers that leave."""

import asyncio
import gzip
import struct
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from socket import SO_LINGER, SOL_SOCKET

import pytest

from polyroute.errors import (
    MalformedReply,
    ProviderError,
    ProviderTimeout,
    Rejected,
    Remedy,
    StreamInterrupted,
    Unreachable,
)
from polyroute.ports import Transport
from polyroute.providers.transport import open_transport
from polyroute.types.cards import Deadlines

PATIENT = Deadlines(connect_s=5, first_token_s=5, between_tokens_s=5, total_s=10)
OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
HELLO = OK + b"content-length: 5\r\n\r\nhello"
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n"


def packed(body: bytes, encoding: bytes) -> bytes:
    return OK + b"content-encoding: %b\r\ncontent-length: %d\r\n\r\n%b" % (encoding, len(body), body)


class Peer:
    """One accepted connection, from the upstream's side."""

    def __init__(self, server: "Server", reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.server = server
        self.reader = reader
        self.writer = writer

    async def request(self) -> bytes:
        """The next request: head and body."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
        whole = head + await self.reader.readexactly(length)
        self.server.requests.append(whole)
        return whole

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def left(self) -> None:
        """Until the client has closed."""
        try:
            while await self.reader.read(65536):
                pass
        except ConnectionError:
            pass
        self.server.left.set()

    def reset(self) -> None:
        self.writer.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Script = Callable[[Peer], Awaitable[None]]


class Server:
    def __init__(self) -> None:
        self.url = ""
        self.connections = 0
        self.requests: list[bytes] = []
        self.left = asyncio.Event()


@asynccontextmanager
async def serving(script: Script) -> AsyncIterator[Server]:
    server = Server()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.connections += 1
        try:
            await script(Peer(server, reader, writer))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    listener = await asyncio.start_server(accept, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/v1/chat/completions"
    try:
        yield server
    finally:
        listener.close()


def always(answer: bytes, *, then_close: bool = False) -> Script:
    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.send(answer)
            if then_close:
                return

    return script


def once(answer: bytes) -> Script:
    return always(answer, then_close=True)


@pytest.fixture(params=["http1", "aiohttp"])
async def transport(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Transport]:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    transport = open_transport(request.param)
    yield transport
    await transport.aclose()


async def call(transport: Transport, server: Server, deadlines: Deadlines = PATIENT, body: bytes = b"{}") -> bytes:
    reply = await transport.post(server.url, body, {"content-type": "application/json"}, deadlines)
    return await reply.read()


async def error_of(transport: Transport, server: Server, deadlines: Deadlines = PATIENT) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await call(transport, server, deadlines)
    return caught.value


# ── proper answers ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        pytest.param(HELLO, b"hello", id="content-length"),
        pytest.param(CHUNKED + b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", b"hello", id="chunked"),
        pytest.param(CHUNKED + b"5;a=b\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n", b"hello", id="chunk extension and trailer"),
        pytest.param(OK + b"connection: close\r\n\r\nhello", b"hello", id="until the connection ends"),
        pytest.param(b"HTTP/1.0 200 OK\r\n\r\nhello", b"hello", id="HTTP/1.0"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" + HELLO, b"hello", id="after 100"),
        pytest.param(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" + HELLO, b"hello", id="after 103"),
        pytest.param(b"HTTP/1.1 204 No Content\r\n\r\n", b"", id="204"),
        pytest.param(OK + b"content-length: 0\r\n\r\n", b"", id="empty body"),
        pytest.param(OK + b"content-encoding: identity\r\ncontent-length: 5\r\n\r\nhello", b"hello", id="identity"),
        pytest.param(packed(gzip.compress(b"hello"), b"gzip"), b"hello", id="gzip, though not asked for"),
        pytest.param(packed(zlib.compress(b"hello"), b"Deflate"), b"hello", id="deflate, though not asked for"),
        pytest.param(OK + b"content-encoding: gzip\r\n\r\n" + gzip.compress(b"hello"), b"hello", id="gzip to the end"),
        pytest.param(HELLO.replace(b"200 OK", b"429 Too Many Requests"), b"hello", id="an error answer is an answer"),
    ],
)
async def test_a_proper_answer_is_read(transport: Transport, answer: bytes, body: bytes) -> None:
    async with serving(once(answer)) as server:
        assert await call(transport, server) == body


async def test_the_request_goes_out_as_given(transport: Transport) -> None:
    async with serving(once(HELLO)) as server:
        reply = await transport.post(server.url + "?api-version=1", b'{"a": 1}', {"authorization": "Bearer x"}, PATIENT)
        await reply.read()
        head, _, body = server.requests[0].partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    assert lines[0] == b"post /v1/chat/completions?api-version=1 http/1.1"
    assert {b"authorization: bearer x", b"accept-encoding: identity", b"content-length: 8"} < set(lines)
    assert sum(line.startswith(b"host: 127.0.0.1:") for line in lines) == 1
    assert body == b'{"a": 1}'


async def test_a_get_has_no_body_and_reads_the_same(transport: Transport) -> None:
    async with serving(always(HELLO)) as server:
        reply = await transport.get(f"{server.url}?q=a%2Fb", {"x-key": "k"}, PATIENT)
        assert (reply.status, await reply.read()) == (200, b"hello")
        assert await call(transport, server) == b"hello"
        assert server.connections == 1
    head, body = server.requests[0].split(b"\r\n\r\n")
    line, *fields = head.split(b"\r\n")
    assert line == b"GET /v1/chat/completions?q=a%2Fb HTTP/1.1"
    assert b"x-key: k" in [field.lower() for field in fields]
    assert not any(field.lower().startswith((b"content-length", b"transfer-encoding")) for field in fields)
    assert body == b""


async def test_a_large_request_and_a_large_answer_arrive_whole(transport: Transport) -> None:
    sent, answer = b"q" * 3_000_000, b"a" * 3_000_000
    async with serving(once(OK + b"content-length: 3000000\r\n\r\n" + answer)) as server:
        assert await call(transport, server, body=sent) == answer
        assert server.requests[0].endswith(sent)


async def test_head_names_are_lower_case(transport: Transport) -> None:
    async with serving(once(b"HTTP/1.1 429 No\r\nRetry-After: 7\r\ncontent-length: 0\r\n\r\n")) as server:
        reply = await transport.post(server.url, b"{}", {}, PATIENT)
        assert (reply.status, reply.headers["retry-after"]) == (429, "7")
        reply.close()


async def test_one_byte_at_a_time_is_the_same_answer(transport: Transport) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        for byte in CHUNKED + b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n":
            await peer.send(bytes((byte,)))
            await asyncio.sleep(0)

    async with serving(script) as server:
        assert await call(transport, server) == b"hello"


async def test_a_stream_is_handed_on_as_it_arrives(transport: Transport) -> None:
    seen = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(CHUNKED + b"3\r\none\r\n")
        await seen.wait()
        await peer.send(b"3\r\ntwo\r\n0\r\n\r\n")

    async with serving(script) as server:
        reply = await transport.post(server.url, b"{}", {}, PATIENT)
        chunks = reply.chunks()
        assert await anext(chunks) == b"one"
        seen.set()
        assert [data async for data in chunks] == [b"two"]


async def test_a_stream_nobody_reads_makes_the_upstream_wait(transport: Transport) -> None:
    block = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    sent = 0

    async def script(peer: Peer) -> None:
        nonlocal sent
        peer.writer.transport.set_write_buffer_limits(high=0)
        await peer.request()
        await peer.send(CHUNKED)
        try:
            async with asyncio.timeout(0.2):
                for _ in range(1000):
                    await peer.send(block)
                    sent += 1
        except TimeoutError:
            stalled.set()
        await peer.send(b"0\r\n\r\n")

    stalled = asyncio.Event()
    async with serving(script) as server:
        reply = await transport.post(server.url, b"{}", {}, PATIENT)
        await stalled.wait()
        assert sent < 500  # 32 MB; kernel buffers take some
        total = 0
        async for data in reply.chunks():
            total += len(data)
        assert sent * 0x10000 <= total <= (sent + 1) * 0x10000


# ── connections ───────────────────────────────────────────────────────────────────────────────────────


async def test_a_connection_is_used_again(transport: Transport) -> None:
    async with serving(always(HELLO)) as server:
        for _ in range(3):
            assert await call(transport, server) == b"hello"
        assert server.connections == 1


async def test_a_connection_is_used_again_after_a_stream(transport: Transport) -> None:
    async with serving(always(CHUNKED + b"5\r\nhello\r\n0\r\n\r\n")) as server:
        for _ in range(3):
            reply = await transport.post(server.url, b"{}", {}, PATIENT)
            assert b"".join([data async for data in reply.chunks()]) == b"hello"
        assert server.connections == 1


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(HELLO.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"), id="connection: close"),
        pytest.param(HELLO.replace(b"HTTP/1.1", b"HTTP/1.0"), id="HTTP/1.0"),
        pytest.param(HELLO + b"garbage", id="bytes behind the answer"),
        pytest.param(HELLO + HELLO, id="a second answer nobody asked for"),
    ],
)
async def test_a_connection_in_doubt_is_not_used_again(transport: Transport, answer: bytes) -> None:
    async with serving(always(answer)) as server:
        for _ in range(2):
            with suppress(MalformedReply):  # where the whole answer is doubted with the connection
                assert await call(transport, server) == b"hello"
        assert server.connections == 2


async def test_a_kept_connection_that_the_upstream_closed_is_replaced(transport: Transport) -> None:
    async with serving(once(HELLO)) as server:
        for _ in range(3):
            assert await call(transport, server) == b"hello"
        assert server.connections == 3


async def test_parallel_calls_get_their_own_answers(transport: Transport) -> None:
    async def script(peer: Peer) -> None:
        while True:
            body = (await peer.request()).partition(b"\r\n\r\n")[2]
            await peer.send(OK + b"content-length: %d\r\n\r\n" % len(body) + body)

    async with serving(script) as server:
        bodies = [str(number).encode() for number in range(50)]
        for _ in range(2):
            assert await asyncio.gather(*(call(transport, server, body=body) for body in bodies)) == bodies
        assert server.connections <= 50


# ── odd answers ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        pytest.param(b"", Unreachable, id="closed without a word"),
        pytest.param(b"SSH-2.0-OpenSSH_9.6\r\n\r\n", MalformedReply, id="another protocol"),
        pytest.param(b"HTTP/1.1 banana\r\n\r\n", MalformedReply, id="bad status line"),
        pytest.param(OK + b"content-length: 50\r\n\r\nhello", StreamInterrupted, id="short body"),
        pytest.param(CHUNKED + b"5\r\nhello\r\n", StreamInterrupted, id="chunks without an end"),
        pytest.param(CHUNKED + b"zz\r\nhello\r\n0\r\n\r\n", MalformedReply, id="bad chunk"),
        pytest.param(OK + b"x: " + b"y" * 300_000 + b"\r\ncontent-length: 0\r\n\r\n", MalformedReply, id="long header"),
        pytest.param(OK + b"x: yyyyyyyy\r\n" * 9_000 + b"content-length: 0\r\n\r\n", MalformedReply, id="many headers"),
        pytest.param(HELLO.replace(b"\r\n\r\n", b"\r\ncontent-encoding: gzip\r\n\r\n"), MalformedReply, id="gzip"),
        pytest.param(packed(gzip.compress(b"hello")[:-9], b"gzip"), MalformedReply, id="gzip cut short"),
        pytest.param(packed(gzip.compress(b"0" * (1 << 26)), b"gzip"), MalformedReply, id="a gzip bomb"),
        pytest.param(packed(b"hello", b"br"), MalformedReply, id="brotli"),
        pytest.param(b"HTTP/1.1 302 Found\r\nlocation: /b\r\ncontent-length: 0\r\n\r\n", MalformedReply, id="redirect"),
        pytest.param(b"HTTP/1.1 307 T\r\nlocation: http://a/\r\ncontent-length: 0\r\n\r\n", MalformedReply, id="307"),
        pytest.param(OK + b"content-length: 2\r\ncontent-length: 3\r\n\r\nhey", MalformedReply, id="two lengths"),
    ],
)
async def test_an_odd_answer_is_a_provider_error(transport: Transport, answer: bytes, error: type) -> None:
    async with serving(once(answer)) as server:
        caught = await error_of(transport, server)
        assert type(caught) is error
        assert "127.0.0.1" not in caught.message


async def test_a_redirect_is_never_followed(transport: Transport) -> None:
    async with serving(always(HELLO)) as elsewhere:
        location = elsewhere.url.encode()
        answer = b"HTTP/1.1 307 Moved\r\nlocation: %s\r\ncontent-length: 0\r\n\r\n" % location
        async with serving(always(answer)) as server:
            caught = await error_of(transport, server)
            assert caught.http_status == 307
            assert caught.remedy is Remedy.SWITCH
        assert elsewhere.requests == []


async def test_a_reset_in_the_middle_is_an_interruption(transport: Transport) -> None:
    seen = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(CHUNKED + b"5\r\nhello\r\n")
        await seen.wait()
        peer.reset()

    async with serving(script) as server:
        reply = await transport.post(server.url, b"{}", {}, PATIENT)
        chunks = reply.chunks()
        assert await anext(chunks) == b"hello"
        seen.set()
        with pytest.raises(StreamInterrupted):
            await anext(chunks)


async def test_after_an_error_the_next_call_is_served_on_a_fresh_connection(transport: Transport) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(CHUNKED + b"zz\r\n" if peer.server.connections == 1 else HELLO)
        await peer.left()

    async with serving(script) as server:
        assert isinstance(await error_of(transport, server), MalformedReply)
        assert await call(transport, server) == b"hello"
        assert server.connections == 2


async def test_an_endless_body_is_not_swallowed_whole(transport: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("connection", "aiohttp_client", "bounds"):
        monkeypatch.setattr(f"polyroute.providers.transport.{module}.MAX_BODY_BYTES", 1_000_000)

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(CHUNKED)
        while True:
            await peer.send(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")

    async with serving(script) as server:
        assert "longer than 1000000 bytes" in (await error_of(transport, server)).message


async def test_nobody_listening_is_unreachable(transport: Transport) -> None:
    async with serving(once(HELLO)) as server:
        pass
    caught = await error_of(transport, server)
    assert isinstance(caught, Unreachable)
    assert caught.remedy is Remedy.RETRY
    assert "127.0.0.1" not in caught.message


@pytest.mark.parametrize("value", ["a\r\nx-evil: 1", "a\nb", "☃"])
async def test_a_header_cannot_break_out_of_its_line(transport: Transport, value: str) -> None:
    async with serving(once(HELLO)) as server:
        with pytest.raises(Rejected):
            await transport.post(server.url, b"{}", {"anthropic-beta": value}, PATIENT)
        assert all(b"evil" not in request for request in server.requests)


# ── deadlines ─────────────────────────────────────────────────────────────────────────────────────────


def silent_after(data: bytes) -> Script:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(data)
        await peer.left()

    return script


def dribbling(data: bytes) -> Script:
    """Sends `data` again and again, a little at a time."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(CHUNKED)
        leaving = asyncio.create_task(peer.left())
        while not leaving.done():
            await peer.send(data)
            await asyncio.wait({leaving}, timeout=0.005)

    return script


@pytest.mark.parametrize(
    ("script", "deadlines", "phase"),
    [
        pytest.param(silent_after(b""), Deadlines(first_token_s=0.05), "first_token", id="not a byte"),
        pytest.param(silent_after(b"HTTP/1.1 200 O"), Deadlines(first_token_s=0.05), "first_token", id="half a head"),
        pytest.param(silent_after(CHUNKED), Deadlines(first_token_s=0.05), "first_token", id="a head only"),
        pytest.param(
            silent_after(CHUNKED + b"2\r\nhi\r\n"), Deadlines(between_tokens_s=0.05), "between_tokens", id="gap"
        ),
        pytest.param(silent_after(b""), Deadlines(total_s=0.05), "total", id="total before the first token"),
        pytest.param(dribbling(b"2\r\nhi\r\n"), Deadlines(total_s=0.05, between_tokens_s=2), "total", id="total"),
    ],
)
async def test_a_late_answer_is_a_timeout(
    transport: Transport, script: Script, deadlines: Deadlines, phase: str
) -> None:
    async with serving(script) as server:
        caught = await error_of(transport, server, deadlines)
        assert isinstance(caught, ProviderTimeout)
        assert caught.phase == phase
        if phase != "total":
            await asyncio.wait_for(server.left.wait(), 1)


async def test_a_slow_reader_is_not_the_providers_fault(transport: Transport) -> None:
    size = 4_000_000
    async with serving(once(OK + b"content-length: %d\r\n\r\n" % size + b"x" * size)) as server:
        reply = await transport.post(server.url, b"{}", {}, Deadlines(between_tokens_s=0.2))
        chunks = reply.chunks()
        total = len(await anext(chunks))
        await asyncio.sleep(0.3)  # longer than the deadline that must not count now
        async for data in chunks:
            total += len(data)
        assert total == size


# ── callers that leave ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("sent", [b"", CHUNKED, CHUNKED + b"2\r\nhi\r\n"], ids=["silent", "head", "body"])
async def test_a_cancelled_call_closes_the_upstream_at_once(transport: Transport, sent: bytes) -> None:
    reached = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(sent)
        reached.set()
        await peer.left()

    async with serving(script) as server:
        task = asyncio.create_task(call(transport, server))
        await reached.wait()
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(server.left.wait(), 1)


async def test_closing_a_stream_early_closes_the_upstream_at_once(transport: Transport) -> None:
    async with serving(silent_after(CHUNKED + b"2\r\nhi\r\n")) as server:
        reply = await transport.post(server.url, b"{}", {}, PATIENT)
        chunks = reply.chunks()
        assert await anext(chunks) == b"hi"
        await chunks.aclose()
        await asyncio.wait_for(server.left.wait(), 1)


async def test_closing_an_unread_answer_closes_the_upstream_at_once(transport: Transport) -> None:
    async with serving(silent_after(CHUNKED)) as server:
        reply = await transport.post(server.url, b"{}", {}, PATIENT)
        reply.close()
        reply.close()
        await asyncio.wait_for(server.left.wait(), 1)


async def test_detaching_from_a_body_that_does_not_end_closes_the_upstream(transport: Transport) -> None:
    async with serving(dribbling(b"2\r\nhi\r\n")) as server:
        reply = await transport.post(server.url, b"{}", {}, PATIENT)
        chunks = reply.chunks()
        assert (await anext(chunks)).startswith(b"hi")
        reply.detach()
        await chunks.aclose()
        await asyncio.wait_for(server.left.wait(), 2)


async def test_after_detaching_no_later_call_sees_the_rest(transport: Transport) -> None:
    gone_on = asyncio.Event()

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.send(CHUNKED + b"2\r\nhi\r\n")
            await gone_on.wait()
            await peer.send(b"4\r\nrest\r\n0\r\n\r\n")

    async with serving(script) as server:
        reply = await transport.post(server.url, b"{}", {}, PATIENT)
        chunks = reply.chunks()
        assert await anext(chunks) == b"hi"
        reply.detach()
        await chunks.aclose()
        gone_on.set()
        assert await call(transport, server) == b"hirest"
