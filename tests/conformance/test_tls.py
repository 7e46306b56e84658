"""A TLS fault is one typed error, whatever is wrong and whichever the transport: Unreachable, with nothing sent."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from tests.journeys.tls import Certificate, secured

from polyroute.errors import Remedy, Unreachable
from polyroute.ports import Transport
from polyroute.providers.transport.aiohttp_client import AiohttpTransport
from polyroute.providers.transport.http1 import Http1Transport
from polyroute.types.cards import Deadlines

PATIENT = Deadlines(connect_s=5, first_token_s=5, between_tokens_s=5, total_s=10)
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
OPENERS: list[Callable[..., Transport]] = [Http1Transport, AiohttpTransport]


@pytest.fixture(params=OPENERS, ids=["http1", "aiohttp"])
def opener(request: pytest.FixtureRequest) -> Callable[..., Transport]:
    opener: Callable[..., Transport] = request.param
    return opener


@pytest.fixture
async def transport(opener: Callable[..., Transport]) -> AsyncIterator[Transport]:
    opened = opener()
    yield opened
    await opened.aclose()


async def fault(transport: Transport, port: int) -> Unreachable:
    with pytest.raises(Unreachable) as caught:
        await transport.post(f"https://127.0.0.1:{port}/v1", b"{}", {"authorization": "Bearer secret-42"}, PATIENT)
    assert "secret-42" not in caught.value.message
    assert "127.0.0.1" not in caught.value.message
    return caught.value


async def test_a_certificate_that_is_trusted_is_spoken_to(opener: Callable[..., Transport], tmp_path: Path) -> None:
    certificate = Certificate(tmp_path)
    transport = opener(tls=certificate.for_client)
    async with secured(certificate, ANSWER) as port:
        reply = await transport.post(f"https://127.0.0.1:{port}/v1", b"{}", {}, PATIENT)
        assert (reply.status, await reply.read()) == (200, b"{}")
    await transport.aclose()


async def test_a_certificate_nobody_signed_is_refused(transport: Transport, tmp_path: Path) -> None:
    async with secured(Certificate(tmp_path), ANSWER) as port:
        assert (await fault(transport, port)).remedy is Remedy.SWITCH


async def test_an_expired_certificate_is_refused(opener: Callable[..., Transport], tmp_path: Path) -> None:
    certificate = Certificate(tmp_path, from_day=-9, to_day=-1)
    transport = opener(tls=certificate.for_client)
    async with secured(certificate, ANSWER) as port:
        assert (await fault(transport, port)).remedy is Remedy.SWITCH
    await transport.aclose()


async def test_a_certificate_for_another_host_is_refused(opener: Callable[..., Transport], tmp_path: Path) -> None:
    certificate = Certificate(tmp_path, "other.example")
    transport = opener(tls=certificate.for_client)
    async with secured(certificate, ANSWER) as port:
        assert (await fault(transport, port)).remedy is Remedy.SWITCH
    await transport.aclose()


async def test_a_handshake_that_is_cut_may_be_tried_again(transport: Transport) -> None:
    async with secured(None) as port:
        assert (await fault(transport, port)).remedy is Remedy.RETRY
