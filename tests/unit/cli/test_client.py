from collections.abc import AsyncGenerator, Mapping
from typing import Any

import msgspec
import pytest

from polyroute.cli.client import Client
from polyroute.errors import PolyrouteError, Unreachable
from polyroute.types.cards import Deadlines


class Canned:
    """An upstream's reply, and the transport that gives it."""

    def __init__(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.status = status
        self.headers = headers or {}
        self.asked: list[tuple[str, dict[str, Any], Mapping[str, str]]] = []
        self._body = body

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], deadlines: Deadlines) -> "Canned":
        self.asked.append((url, msgspec.json.decode(body), headers))
        return self

    async def get(self, url: str, headers: Mapping[str, str], deadlines: Deadlines) -> "Canned":
        return self

    async def delete(self, url: str, headers: Mapping[str, str], deadlines: Deadlines) -> "Canned":
        return self

    async def read(self) -> bytes:
        return self._body

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        for at in range(0, len(self._body), 7):
            yield self._body[at : at + 7]

    def close(self) -> None:
        """Nothing is held."""

    def detach(self) -> None:
        """Nothing is held."""

    async def aclose(self) -> None:
        """Nothing is held."""


@pytest.mark.parametrize("url", ["http://h:1", "http://h:1/", "http://h:1/v1", "http://h:1/v1/"])
async def test_the_address_may_or_may_not_end_in_v1(url: str) -> None:
    canned = Canned(200, b'{"choices":[{"message":{"content":"hi"}}]}', {"x-polyroute-cost-usd": "0.1", "date": "x"})
    answer = await Client(url, "secret", canned).post("/v1/chat/completions", {"model": "m"})
    assert (answer.text, answer.report) == ("hi", {"cost_usd": "0.1"})
    ((asked, body, headers),) = canned.asked
    assert (asked, body, headers["authorization"]) == (
        "http://h:1/v1/chat/completions",
        {"model": "m"},
        "Bearer secret",
    )


async def test_a_stream_gives_its_text_and_then_its_report() -> None:
    events = (
        b'data: {"choices":[{"delta":{"content":"one "}}]}\n\ndata: {"choices":[{"delta":{"content":"two"}}]}\n\n'
        b'data: {"choices":[],"polyroute":{"cost_usd":"0.2"}}\n\ndata: [DONE]\n\n'
    )
    report: dict[str, Any] = {}
    client = Client("http://h:1", None, Canned(200, events, {"x-polyroute-request-id": "req_1"}))
    assert [text async for text in client.stream({"model": "m"}, report)] == ["one ", "two"]
    assert report == {"request_id": "req_1", "cost_usd": "0.2"}


@pytest.mark.parametrize(
    ("body", "told"),
    [(b'{"error":{"message":"no such model"}}', "404: no such model"), (b"<html>", "404: <html>"), (b"[]", "404: []")],
)
async def test_an_error_is_told_in_the_servers_words(body: bytes, told: str) -> None:
    with pytest.raises(PolyrouteError, match=told.replace("[]", r"\[\]")):
        await Client("http://h:1", None, Canned(404, body)).post("/v1/x", {})


async def test_a_broken_stream_is_an_error() -> None:
    client = Client("http://h:1", None, Canned(200, b'data: {"error":{"message":"cut"}}\n\n'))
    with pytest.raises(PolyrouteError, match="the stream broke: cut"):
        _ = [text async for text in client.stream({}, {})]


class Nobody(Canned):
    async def post(self, url: str, body: bytes, headers: Mapping[str, str], deadlines: Deadlines) -> Canned:
        raise Unreachable("no connection")


async def test_where_nobody_serves_the_address_is_named() -> None:
    with pytest.raises(PolyrouteError, match="no answer from http://h:1: no connection"):
        await Client("http://h:1", None, Nobody(200, b"")).post("/v1/x", {})
