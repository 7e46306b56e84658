"""Addresses named at run time lead to the public internet, and to the very address that was looked up."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.journeys.tls import Certificate, secured

from polyroute.errors import ProviderError, Rejected, Unreachable
from polyroute.providers.transport.guarded import GuardedTransport, objection_to
from polyroute.types.cards import Deadlines

DEADLINES = Deadlines(connect_s=5.0, first_token_s=5.0, between_tokens_s=5.0, total_s=5.0)
HOST, PUBLIC = "hooks.example.com", "93.184.216.34"
URL = f"https://{HOST}/hook?a=b"
THIS_MACHINE = (
    "127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.0.0.1", "0x7f.1", "0177.0.0.1", "017700000001",
    "127.0.0.1.", "１２７.0.0.1", "127。0。0。1", "localhost", "LOCALHOST.", "[::1]", "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[::127.0.0.1]", "0", "0.0.0.0", "[::]",
)  # fmt: skip
PRIVATE = (
    "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
    "255.255.255.255", "192.0.2.1", "198.18.0.1", "192.88.99.1", "::1",
    "::", "fe80::1", "fe80::1%eth0", "fec0::1", "fc00::1", "ff02::1",
    "::ffff:10.0.0.1", "64:ff9b::a00:1", "64:ff9b:1::a00:1", "2002:a00:1::", "2001:0:1::1", "2001:db8::1",
    "2600::200:5efe:10.0.0.1", "2600::5efe:a00:1", "::10.0.0.1",
)  # fmt: skip


class Names:
    """A resolver that answers by script, in order; the last again and again."""

    def __init__(self, *answers: Sequence[str] | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.mark.parametrize("host", THIS_MACHINE)
def test_no_spelling_of_this_machine_may_be_named(host: str) -> None:
    assert objection_to(f"https://{host}/") is not None


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://example.com/", "https://"),
        ("ftp://example.com/", "http:// or https://"),
        ("file:///etc/passwd", "http:// or https://"),
        ("gopher://example.com/", "http:// or https://"),
        ("https://user:secret@example.com/", "credentials"),
        ("https://example.com:22/", "port"),
        ("https://example.com:6379/", "port"),
        ("https://example.com:99999/", "not an address"),
        ("https://metadata.google.internal/", "public internet"),
        ("https://router/", "public internet"),
        ("https:///x", "no host"),
        ("https://example.com/a b", "printable"),
        ("https://example.com/\r\nx: y", "printable"),
        ("//example.com/", "http:// or https://"),
        ("", "http:// or https://"),
    ],
)
def test_what_may_not_be_called_is_told(url: str, said: str) -> None:
    assert said in (objection_to(url) or "")


@pytest.mark.parametrize("url", [URL, "https://example.com:8443/", "https://8.8.8.8/", "https://[2600::1]/"])
def test_the_public_internet_may(url: str) -> None:
    assert objection_to(url) is None


@pytest.mark.parametrize("found", [(one,) for one in PRIVATE] + [(PUBLIC, "127.0.0.1"), ("10.0.0.1", PUBLIC), ()])
async def test_a_name_that_leads_into_a_private_network_is_not_called(found: tuple[str, ...]) -> None:
    with pytest.raises(Rejected, match="private network") as caught:
        await GuardedTransport(Names(found)).post(URL, b"{}", {}, DEADLINES)
    assert not any(one in caught.value.message for one in found)


@pytest.mark.parametrize("fault", [OSError("no such name"), TimeoutError()])
async def test_a_name_that_nobody_knows_is_unreachable(fault: Exception) -> None:
    with pytest.raises(Unreachable):
        await GuardedTransport(Names(fault)).get(URL, {}, DEADLINES)


class Dialled:
    """Connections go to a server on this machine, and where they were meant to go is noted."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, port: int) -> None:
        self.calls: list[tuple[str, int, str | None]] = []
        loop = asyncio.get_running_loop()
        connect = loop.create_connection

        async def dial(protocol: Any, host: str, at: int, *, ssl: Any, server_hostname: str | None) -> Any:
            self.calls.append((host, at, server_hostname))
            return await connect(protocol, "127.0.0.1", port, ssl=ssl, server_hostname=server_hostname)

        monkeypatch.setattr(loop, "create_connection", dial)


async def test_the_connection_goes_to_the_address_looked_up_and_its_certificate_is_the_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once public and then this machine: the second answer is never asked for in one call, and refused in the next."""
    certificate = Certificate(tmp_path, HOST)
    names = Names((PUBLIC,), ("127.0.0.1",))
    async with secured(certificate, b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok") as port:
        dialled = Dialled(monkeypatch, port)
        guarded = GuardedTransport(names, tls=certificate.for_client)
        reply = await guarded.post(URL, b"{}", {"content-type": "application/json"}, DEADLINES)
        assert (reply.status, await reply.read()) == (200, b"ok")
        with pytest.raises(Rejected):
            await guarded.post(URL, b"{}", {}, DEADLINES)
        assert dialled.calls == [(PUBLIC, 443, HOST)]
        assert names.asked == [HOST, HOST]


async def test_another_names_certificate_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = Certificate(tmp_path, "other.example.com")
    async with secured(certificate, b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n") as port:
        Dialled(monkeypatch, port)
        with pytest.raises(Unreachable, match="TLS"):
            await GuardedTransport(Names((PUBLIC,)), tls=certificate.for_client).get(URL, {}, DEADLINES)


async def test_a_redirect_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = Certificate(tmp_path, HOST)
    answer = b"HTTP/1.1 302 Found\r\nlocation: https://127.0.0.1/\r\ncontent-length: 0\r\n\r\n"
    async with secured(certificate, answer) as port:
        dialled = Dialled(monkeypatch, port)
        with pytest.raises(ProviderError, match="redirect"):
            await GuardedTransport(Names((PUBLIC,)), tls=certificate.for_client).get(URL, {}, DEADLINES)
        assert len(dialled.calls) == 1
