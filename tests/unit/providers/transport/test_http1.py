"""Our own client's pools and TLS; what every transport does is checked in tests/conformance/test_transports.py."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from polyroute.errors import ProviderTimeout, Remedy, Unreachable
from polyroute.providers.transport.http1 import Http1Transport
from polyroute.types.cards import Deadlines

HELLO = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"
PEM = Path(__file__).parent / "loopback.pem"  # a certificate for 127.0.0.1 signed by itself; good for nothing else


class Upstream:
    def __init__(self) -> None:
        self.url = ""
        self.connections = 0
        self.requests = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.arrived = asyncio.Event()
        self.closed = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while await reader.readuntil(b"{}"):
                self.requests += 1
                self.arrived.set()
                await self.may_answer.wait()
                writer.write(HELLO)
        except (asyncio.IncompleteReadError, ConnectionError):
            self.closed += 1
        finally:
            writer.close()


@asynccontextmanager
async def serving(tls: ssl.SSLContext | None = None) -> AsyncIterator[Upstream]:
    upstream = Upstream()
    listener = await asyncio.start_server(upstream.serve, "127.0.0.1", 0, ssl=tls)
    scheme = "http" if tls is None else "https"
    upstream.url = f"{scheme}://127.0.0.1:{listener.sockets[0].getsockname()[1]}/"
    try:
        yield upstream
    finally:
        listener.close()


@asynccontextmanager
async def opened(transport: Http1Transport) -> AsyncIterator[Http1Transport]:
    try:
        yield transport
    finally:
        await transport.aclose()


async def call(transport: Http1Transport, upstream: Upstream, deadlines: Deadlines | None = None) -> bytes:
    reply = await transport.post(upstream.url, b"{}", {}, deadlines or Deadlines())
    return await reply.read()


async def test_no_more_connections_than_allowed_are_opened() -> None:
    async with serving() as upstream, opened(Http1Transport(max_open=3)) as transport:
        assert await asyncio.gather(*(call(transport, upstream) for _ in range(20))) == [b"hello"] * 20
        assert upstream.connections == 3


async def test_no_more_idle_connections_than_allowed_are_kept() -> None:
    async with serving() as upstream, opened(Http1Transport(max_idle=1)) as transport:
        upstream.may_answer.clear()
        calls = [asyncio.create_task(call(transport, upstream)) for _ in range(4)]
        while upstream.requests < 4:
            await asyncio.sleep(0)
        upstream.may_answer.set()
        await asyncio.gather(*calls)
        while upstream.closed < 3:
            await asyncio.sleep(0)
        assert await call(transport, upstream) == b"hello"
        assert upstream.connections == 4


async def test_a_connection_idle_too_long_is_closed() -> None:
    async with serving() as upstream, opened(Http1Transport(idle_s=0.02)) as transport:
        await call(transport, upstream)
        async with asyncio.timeout(1):
            while not upstream.closed:
                await asyncio.sleep(0.005)
        assert await call(transport, upstream) == b"hello"
        assert upstream.connections == 2


async def test_waiting_for_a_free_connection_counts_as_connecting() -> None:
    async with serving() as upstream, opened(Http1Transport(max_open=1)) as transport:
        upstream.may_answer.clear()
        first = asyncio.create_task(call(transport, upstream))
        await upstream.arrived.wait()
        with pytest.raises(ProviderTimeout, match="all 1 connections to it are busy") as caught:
            await call(transport, upstream, Deadlines(connect_s=0.02))
        assert caught.value.phase == "connect"
        upstream.may_answer.set()
        assert await first == b"hello"
        assert await call(transport, upstream) == b"hello"


async def test_waiting_for_a_free_connection_is_not_the_providers_silence() -> None:
    async with serving() as upstream, opened(Http1Transport(max_open=1)) as transport:
        upstream.may_answer.clear()
        first = asyncio.create_task(call(transport, upstream))
        await upstream.arrived.wait()
        second = asyncio.create_task(call(transport, upstream, Deadlines(first_token_s=0.2)))
        await asyncio.sleep(0.25)  # longer than the deadline that does not run yet
        upstream.may_answer.set()
        assert (await first, await second) == (b"hello", b"hello")


async def test_the_total_holds_while_connecting_too() -> None:
    async with serving() as upstream, opened(Http1Transport(max_open=1)) as transport:
        upstream.may_answer.clear()
        first = asyncio.create_task(call(transport, upstream))
        await upstream.arrived.wait()
        with pytest.raises(ProviderTimeout) as caught:
            await call(transport, upstream, Deadlines(total_s=0.02))
        assert caught.value.phase == "total"
        upstream.may_answer.set()
        assert await first == b"hello"


async def test_a_call_cancelled_while_it_waits_gives_its_place_away() -> None:
    async with serving() as upstream, opened(Http1Transport(max_open=1)) as transport:
        upstream.may_answer.clear()
        first = asyncio.create_task(call(transport, upstream))
        await upstream.arrived.wait()
        second, third = (asyncio.create_task(call(transport, upstream)) for _ in range(2))
        await asyncio.sleep(0)
        upstream.may_answer.set()
        await first
        second.cancel()  # perhaps in the very moment in which the place became its own
        assert await third == b"hello"
        assert (await asyncio.gather(second, return_exceptions=True))[0] is not None
        assert await call(transport, upstream) == b"hello"


async def test_a_cancelled_call_frees_its_place() -> None:
    async with serving() as upstream, opened(Http1Transport(max_open=1)) as transport:
        upstream.may_answer.clear()
        first = asyncio.create_task(call(transport, upstream))
        await upstream.arrived.wait()
        waiting = asyncio.create_task(call(transport, upstream))
        await asyncio.sleep(0)
        first.cancel()
        upstream.may_answer.set()
        assert await waiting == b"hello"


async def test_a_refused_connection_frees_its_place() -> None:
    async with serving() as upstream:
        pass
    async with opened(Http1Transport(max_open=1)) as transport:
        for _ in range(3):
            with pytest.raises(Unreachable):
                await call(transport, upstream, Deadlines(connect_s=1))


async def test_closing_closes_calls_in_flight_too() -> None:
    async with serving() as upstream:
        transport = Http1Transport()
        upstream.may_answer.clear()
        running = asyncio.create_task(call(transport, upstream))
        await upstream.arrived.wait()
        await transport.aclose()
        with pytest.raises(Unreachable):
            await running


def test_a_transport_outlives_an_event_loop() -> None:
    transport = Http1Transport()

    async def once() -> bytes:
        async with serving() as upstream:
            try:
                return await call(transport, upstream)
            finally:
                await transport.aclose()

    assert [asyncio.run(once()) for _ in range(2)] == [b"hello"] * 2


async def test_tls_is_spoken_and_kept_alive() -> None:
    server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_tls.load_cert_chain(PEM)
    trusting = ssl.create_default_context(cafile=str(PEM))
    async with serving(server_tls) as upstream, opened(Http1Transport(tls=trusting)) as transport:
        for _ in range(3):
            assert await call(transport, upstream) == b"hello"
        assert upstream.connections == 1


async def test_a_certificate_nobody_trusts_is_refused_for_good() -> None:
    server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_tls.load_cert_chain(PEM)
    async with serving(server_tls) as upstream, opened(Http1Transport()) as transport:
        with pytest.raises(Unreachable, match="CERTIFICATE_VERIFY_FAILED") as caught:
            await call(transport, upstream)
        assert caught.value.remedy is Remedy.SWITCH
        assert upstream.requests == 0
