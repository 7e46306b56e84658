"""What only this transport does: it goes through a proxy where the environment names one."""

import asyncio
import ssl
from pathlib import Path

import pytest

from polyroute.errors import Remedy, Unreachable
from polyroute.providers.transport.aiohttp_client import AiohttpTransport
from polyroute.types.cards import Deadlines

PEM = Path(__file__).parent / "loopback.pem"


async def test_the_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bytes] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"{}"))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello")
        writer.close()

    listener = await asyncio.start_server(proxy, "127.0.0.1", 0)
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    transport = AiohttpTransport()
    try:
        reply = await transport.post("http://models.example/v1/chat", b"{}", {}, Deadlines())
        assert await reply.read() == b"hello"
        assert asked[0].startswith(b"POST http://models.example/v1/chat HTTP/1.1\r\n")
    finally:
        await transport.aclose()
        listener.close()


async def test_a_certificate_nobody_trusts_is_refused_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_tls.load_cert_chain(PEM)
    listener = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=server_tls)
    transport = AiohttpTransport()
    try:
        with pytest.raises(Unreachable) as caught:
            await transport.post(f"https://127.0.0.1:{listener.sockets[0].getsockname()[1]}/", b"{}", {}, Deadlines())
        assert caught.value.remedy is Remedy.SWITCH
    finally:
        await transport.aclose()
        listener.close()
